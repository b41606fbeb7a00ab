/** What peers are banned for. */

/** Points of each reason (WIRE §5; `catchup_malicious` and `corrupt_block_body` are the newest nodes'). */
export const OFFENCE_POINTS = {
  invalid_subtree: 10,
  protocol_violation: 20,
  spam: 50,
  invalid_block: 10,
  corrupt_block_body: 10,
  catchup_failure: 30,
  catchup_malicious: 50,
} as const;
