/** What a peer is worth to this node, from 0 to 100, out of how dealing with it went. */

/** What counts towards a reputation. Times are unix ms, 0 for never. */
export interface Interactions {
  readonly successes: number;
  readonly failures: number;
  readonly lastSuccess: number;
  readonly lastFailure: number;
  /** Times that it was found to cheat. */
  readonly malicious: number;
  /** Milliseconds that an answer takes, the newest a fifth of it; 0 while unknown. */
  readonly averageMs: bigint;
}

/** Of a peer with which nothing was tried. */
export const NEUTRAL_REPUTATION = 50;
/** Below it a peer's subtree, rejected_tx and node_status messages are ignored (WIRE §5). */
export const LOW_REPUTATION = 20;
/** Below it a peer is told to be unhealthy. */
export const HEALTHY_REPUTATION = 40;
/** Given back to a peer that was low for long enough: below neutral, and heard again. */
export const RECOVERED_REPUTATION = 30;
/** Of a peer that cheated, whatever else it did. */
const MALICIOUS_REPUTATION = 5;

/** Share of the rate of success; the rest is neutral. */
const SUCCESS_WEIGHT = 0.6;
const RECENT_MS = 3_600_000;
const RECENT_FAILURE = 15;
const RECENT_SUCCESS = 10;

/** The longest average of each factor, in ms. */
const SPEEDS: readonly (readonly [below: bigint, factor: number])[] = [
  [200n, 1.2],
  [500n, 1.1],
  [2_000n, 1],
  [5_000n, 0.9],
  [10_000n, 0.8],
  [30_000n, 0.7],
];
const SLOWEST = 0.6;

/** How long a low peer waits for its first recovery, in ms; each one more triples it. */
export const RECOVERY_MS = 300_000;
const LONGEST_RECOVERY_MS = 86_400_000;

function speedFactor(averageMs: bigint): number {
  if (averageMs === 0n) return 1;
  return SPEEDS.find(([below]) => averageMs < below)?.[1] ?? SLOWEST;
}

/** The reputation at `now` (unix ms), by the figures of the newest Go nodes. */
export function reputationOf(peer: Interactions, now: number): number {
  if (peer.malicious > 0) return MALICIOUS_REPUTATION;
  const outcomes = peer.successes + peer.failures;
  if (outcomes === 0) return NEUTRAL_REPUTATION;
  const isRecent = (at: number) => at > 0 && now - at < RECENT_MS;
  let score = (peer.successes / outcomes) * 100 * SUCCESS_WEIGHT + NEUTRAL_REPUTATION * (1 - SUCCESS_WEIGHT);
  if (isRecent(peer.lastFailure)) score -= RECENT_FAILURE;
  if (isRecent(peer.lastSuccess)) score += RECENT_SUCCESS;
  return Math.min(100, Math.max(0, score * speedFactor(peer.averageMs)));
}

/** A new average of answers; a sample of 0 is none. */
export function blendedMs(averageMs: bigint, sampleMs: bigint): bigint {
  if (sampleMs <= 0n) return averageMs;
  return averageMs === 0n ? sampleMs : (averageMs * 4n + sampleMs) / 5n;
}

/**
 * When (unix ms) a low peer is given {@link RECOVERED_REPUTATION}: 5 minutes after its last failure, from the second time on
 * also 15 minutes, 45 and so on, a day at the most, after it was last given it.
 */
export function recoveryDue(lastFailure: number, lastRecovery: number, recoveries: number): number {
  if (recoveries === 0) return lastFailure + RECOVERY_MS;
  const wait = Math.min(LONGEST_RECOVERY_MS, RECOVERY_MS * 3 ** recoveries);
  return Math.max(lastFailure + RECOVERY_MS, lastRecovery + wait);
}
