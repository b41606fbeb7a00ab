/** The stop of the parts, wherever their start has come to. */

import pTimeout from 'p-timeout';
import type { Lifecycle } from '../../shared/lifecycle/lifecycle.js';

/** What a start that is given up has to end: after its parts are stopped, and in a hand-over also before. */
const START_ENDS_MS = 1_000;

export interface StopOptions {
  readonly handOver: { readonly handingOver: boolean };
  /** Monotonic. */
  readonly deadline: number;
}

/** `starting`: the start, as far as it came. Never rejects; gives the names of what did not end cleanly. */
export async function stopParts(
  lifecycle: Lifecycle | undefined,
  starting: Promise<void> | undefined,
  { handOver, deadline }: StopOptions,
): Promise<readonly string[]> {
  let isStarting = starting !== undefined;
  const started = starting
    ?.catch(() => {})
    .then(() => {
      isStarting = false;
    });
  const ended = () => started && pTimeout(started, { milliseconds: START_ENDS_MS, message: false });
  // A part that is just starting may, once it has, go on for ever. A process that ends takes it along.
  if (handOver.handingOver) await ended();
  const unclean = (await lifecycle?.stop(deadline)) ?? [];
  if (isStarting) await ended();
  return isStarting ? [...unclean, 'start'] : unclean;
}
