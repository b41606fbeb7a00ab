/** Starting parts in order and stopping them backwards. */

import { monotonic } from '../../shared/clock.js';
import { AbortedError, errorMessage } from '../../shared/errors.js';
import type { Logger } from '../../shared/logging/logger.js';

/** One part of the server's life. */
export interface Stage {
  readonly name: string;
  /** Resolves when the part is ready. A long wait gives up with the signal. */
  start(signal: AbortSignal): Promise<void>;
  /** When the stop begins, before any part is ended: what must not happen any more from then on. */
  beforeStop?(): void;
  /** Ends the part by `deadline` (monotonic). Also called when `start` failed half-way. */
  stop?(deadline: number): Promise<void>;
}

/** What a stage that ignores its deadline gets on top before it is left behind. */
const GRACE_MS = 500;

export class Stages {
  readonly #started: Stage[] = [];

  constructor(
    private readonly stages: readonly Stage[],
    private readonly logger: Logger,
  ) {}

  /**
   * Starts each stage when the one before is ready. Rejects with what a stage rejected with, or AbortedError; what had
   * started is then still to be stopped.
   */
  async start(signal: AbortSignal): Promise<void> {
    for (const stage of this.stages) {
      if (signal.aborted) throw new AbortedError(`stopped before ${stage.name} started`);
      const began = performance.now();
      this.#started.push(stage);
      await stage.start(signal);
      this.logger.debug({ stage: stage.name, ms: Math.round(performance.now() - began) }, 'started');
    }
  }

  /** The stage that is starting, or the last that was started and not stopped. */
  get current(): string | undefined {
    return this.#started.at(-1)?.name;
  }

  /** Stops what was started, backwards. Never rejects: what fails is logged, what is late is left behind. Gives the names of both. */
  async stop(deadline: number): Promise<readonly string[]> {
    const unclean: string[] = [];
    for (const stage of this.#started) stage.beforeStop?.();
    for (let stage = this.#started.pop(); stage !== undefined; stage = this.#started.pop()) {
      const began = performance.now();
      try {
        await before(deadline + GRACE_MS, stage.stop?.(deadline));
        this.logger.debug({ stage: stage.name, ms: Math.round(performance.now() - began) }, 'stopped');
      } catch (error) {
        unclean.push(stage.name);
        this.logger.warn({ stage: stage.name, error: errorMessage(error) }, 'did not stop cleanly');
      }
    }
    return unclean;
  }
}

/** `work`, or a rejection at `deadline` (monotonic). */
async function before(deadline: number, work: Promise<void> | undefined): Promise<void> {
  if (work === undefined) return;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('took too long')), Math.max(0, deadline - monotonic()));
  });
  try {
    await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
