/**
 * What can become of a message that has come, once. Checker and publisher name an outcome; main derives from it the verdict for
 * GossipSub, the author's ban score and the metric. Outcomes cross threads as their index.
 */

/** `blame`: reject when the propagation source is the author, else ignore (honest nodes relay whatever is signed). */
type Verdict = 'accept' | 'ignore' | 'blame';

/** Reasons of WIRE §5's `AddBanScore`. */
export type Offence = 'protocol_violation' | 'spam' | 'invalid_block' | 'invalid_subtree';

export interface Outcome {
  readonly name: string;
  readonly verdict: Verdict;
  /** Scored against the author. */
  readonly offence?: Offence;
}

export const OUTCOMES = [
  { name: 'ok', verdict: 'accept' },
  // As good as ok, but larger than what the newest nodes take of us: they would hold it against us
  { name: 'unforwarded', verdict: 'ignore' },
  // Checker: dropped, not scored
  { name: 'oversized', verdict: 'ignore' },
  { name: 'malformed', verdict: 'ignore' },
  { name: 'unknown_framing', verdict: 'ignore' },
  { name: 'blacklisted', verdict: 'ignore' },
  // Not scored: nodes of 2025 ship a data hub at localhost, so an honest node says so with each block and subtree.
  { name: 'unusable_hub', verdict: 'ignore' },
  // Checker: dropped and scored
  { name: 'bad_field', verdict: 'blame', offence: 'protocol_violation' },
  { name: 'bad_url', verdict: 'blame', offence: 'protocol_violation' },
  { name: 'bad_header', verdict: 'blame', offence: 'protocol_violation' },
  { name: 'spoofed', verdict: 'blame', offence: 'protocol_violation' },
  // Checker: the signature does not hold, so nobody knows whose it is
  { name: 'forged', verdict: 'ignore' },
  // Checker: killed alone
  { name: 'poisonous', verdict: 'ignore' },
  // Publisher
  { name: 'repeat', verdict: 'ignore' },
  { name: 'spam', verdict: 'ignore', offence: 'spam' },
  { name: 'too_many_announcers', verdict: 'ignore' },
  { name: 'outbox_full', verdict: 'ignore' },
  { name: 'store_failed', verdict: 'ignore' },
  // Main
  { name: 'shed', verdict: 'ignore' },
  { name: 'banned', verdict: 'ignore' },
  { name: 'low_reputation', verdict: 'ignore' },
] as const satisfies readonly Outcome[];

export type OutcomeName = (typeof OUTCOMES)[number]['name'];

const INDEX = new Map<string, number>(OUTCOMES.map((outcome, index) => [outcome.name, index]));

/** Position of an outcome in the table: what crosses threads. */
export function outcomeIndex(name: OutcomeName): number {
  return INDEX.get(name) as number;
}

const TAKEN: ReadonlySet<number> = new Set([outcomeIndex('ok'), outcomeIndex('unforwarded')]);

/** Whether the outcome at `index` is that of a message that becomes frames, records and facts. */
export function isTaken(index: number): boolean {
  return TAKEN.has(index);
}

/** The outcome at `index`. Throws RangeError outside the table. */
export function outcomeAt(index: number): Outcome & { readonly name: OutcomeName } {
  const outcome = OUTCOMES[index];
  if (outcome === undefined) throw new RangeError(`no outcome ${index}`);
  return outcome;
}
