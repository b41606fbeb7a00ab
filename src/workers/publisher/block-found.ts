/** Tells the block validation service of announced blocks, as well as that goes: Kafka has the record anyway. */

import type { BackoffPolicy } from '../../shared/async/backoff.js';
import { deadlineSignal } from '../../shared/async/deadline.js';
import { retry } from '../../shared/async/retry.js';
import { errorMessage } from '../../shared/errors.js';
import type { BlockValidationClient, FoundBlock } from '../../shared/grpc/block-validation-client.js';
import { DeadlineError } from '../../shared/grpc/call.js';
import { KeyRefusedError } from '../../shared/grpc/call-key.js';
import type { DependencyHealth } from '../../shared/health.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { CheckedMessage } from '../../shared/pipeline/types.js';
import { QUEUES } from '../../shared/queues.js';
import type { PublisherMetrics } from './metrics.js';

/** Bound of the queue `BlockFound calls`. */
const MAX_WAITING = QUEUES.blockFound.bounds.calls;
const CONCURRENCY = 8;
/** Of these, for blocks that strangers announce. */
const STRANGERS_CONCURRENCY = CONCURRENCY / 2;
/**
 * For one block, everything included: the client allows it 2 s, and as much again where it then finds, within 2 s, that the connection was
 * dead.
 */
const DEADLINE_MS = 6500;
const ATTEMPTS = 3;
const BACKOFF: BackoffPolicy = { firstMs: 100, maxMs: 1_000 };

export class BlockFoundForwarder {
  readonly #client: BlockValidationClient;
  readonly #metrics: PublisherMetrics;
  readonly #logger: Logger;
  readonly #stopping = new AbortController();
  /** Peers' that are no strangers, strangers' whose header proves its work, other strangers'. */
  readonly #waiting: readonly [FoundBlock[], FoundBlock[], FoundBlock[]] = [[], [], []];
  #calls = 0;
  #strangersCalls = 0;
  #refusal: string | undefined;
  #failing = false;

  constructor({
    client,
    metrics,
    logger,
  }: { client: BlockValidationClient; metrics: PublisherMetrics; logger: Logger }) {
    this.#client = client;
    this.#metrics = metrics;
    this.#logger = logger;
  }

  /**
   * Never waits. Strangers' blocks go after the others, first those whose header proves its work. With 256 waiting the oldest of
   * the last sort is given up.
   */
  forward(block: FoundBlock, { standing, proven }: Pick<CheckedMessage, 'standing' | 'proven'>): void {
    if (this.#stopping.signal.aborted) return;
    const [known, provenStrangers, strangers] = this.#waiting;
    if (standing !== 'stranger') known.push(block);
    else if (proven) provenStrangers.push(block);
    else strangers.push(block);
    if (this.#count() > MAX_WAITING) {
      this.#waiting.findLast((blocks) => blocks.length > 0)?.shift();
      this.#metrics.blockFound.inc({ outcome: 'given_up' });
    }
    this.#next();
  }

  #count(): number {
    return this.#waiting.reduce((sum, { length }) => sum + length, 0);
  }

  /** For readiness, where the service refuses our key: its own health is told to anybody. Until a block is told. */
  refusal(): DependencyHealth | undefined {
    if (this.#refusal === undefined) return undefined;
    const message = 'the validation service is told of no block; Kafka has them';
    return { resource: 'BlockFound', status: 503, error: this.#refusal, message };
  }

  #next(): void {
    while (this.#calls < CONCURRENCY) {
      const ofStranger = this.#waiting[0].length === 0;
      if (ofStranger && this.#strangersCalls >= STRANGERS_CONCURRENCY) break;
      const block = this.#waiting.find((blocks) => blocks.length > 0)?.shift();
      if (block === undefined) break;
      this.#calls++;
      if (ofStranger) this.#strangersCalls++;
      this.#call(block).then(
        () => this.#ended('told', ofStranger),
        (error: unknown) => {
          this.#complain(block, error);
          if (error instanceof KeyRefusedError) this.#refusal = error.message;
          this.#ended('failed', ofStranger);
        },
      );
    }
    this.#metrics.blockFoundWaiting.set(this.#count());
  }

  #ended(outcome: 'told' | 'failed', ofStranger: boolean): void {
    this.#calls--;
    if (ofStranger) this.#strangersCalls--;
    if (outcome === 'told') {
      this.#refusal = undefined;
      this.#failing = false;
    }
    this.#metrics.blockFound.inc({ outcome });
    this.#next();
  }

  /** Aloud once until a block is told: strangers decide how many there are. The reason has the service's address. */
  #complain({ hash }: FoundBlock, error: unknown): void {
    this.#logger[this.#failing ? 'debug' : 'warn'](
      { hash, reason: errorMessage(error) },
      'BlockFound failed',
    );
    this.#failing = true;
  }

  async #call(block: FoundBlock): Promise<void> {
    const signal = deadlineSignal(DEADLINE_MS, this.#stopping.signal);
    await retry(() => this.#client.blockFound(block, signal), {
      backoff: BACKOFF,
      attempts: ATTEMPTS,
      signal,
      // Where no answer came, the block is told already or will not be.
      retryable: ({ error }) => !signal.aborted && !(error instanceof DeadlineError),
    });
  }

  stop(): void {
    this.#stopping.abort();
    for (const blocks of this.#waiting) blocks.length = 0;
    this.#client.close();
  }
}
