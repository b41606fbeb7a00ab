/** What GossipSub takes for new, on its way to the publisher: what comes in one turn goes there at its end. */

import { monotonic } from '../../shared/clock.js';
import type { Logger } from '../../shared/logging/logger.js';
import { type OutcomeName, outcomeAt } from '../../shared/messages/outcomes.js';
import { joinCheckedMessages } from '../../shared/pipeline/checked-batch.js';
import { QUEUES } from '../../shared/queues.js';
import type { TracedMessage, TraceParent } from '../../shared/tracing/types.js';
import type { MessageTrace } from './message-trace.js';
import type { PipelineMetrics } from './metrics.js';
import type { PublisherPool } from './publisher-pool.js';
import type { Known } from './verdicts.js';

/** Bytes with the publisher from which on nothing more is collected: what waits for it is to wait where it can be shed. */
const PUBLISHING_BYTES = QUEUES.publishing.bounds.bytes;

/** A message on its way to the publisher, or with it. */
export interface Claim {
  readonly message: Known;
  /** Of a checked batch. */
  readonly bytes: Buffer;
  /** What the publisher's spans are below. */
  readonly parent: TraceParent | undefined;
}

export interface PublishingComponents {
  readonly publisher: PublisherPool;
  readonly logger: Logger;
  readonly metrics: PipelineMetrics;
  /** What came of it. */
  readonly concluded: (claim: Claim, outcome: OutcomeName) => void;
  /** The publisher has given an answer, so that there may be room again. */
  readonly answered: () => void;
  /** There was an answer, or nothing for the publisher. */
  readonly rested: () => void;
}

export class Publishing {
  readonly #components: PublishingComponents;
  /** For the publisher, at the end of the turn. */
  #claims: Claim[] = [];
  /** Checked messages that GossipSub has not asked for in this turn. */
  #unclaimed = 0;
  /** Those of this turn that are traced. */
  #traced: MessageTrace[] = [];
  #handingOver = false;
  #batches = 0;
  #bytes = 0;

  constructor(components: PublishingComponents) {
    this.#components = components;
  }

  /** Batches with the publisher. */
  get batches(): number {
    return this.#batches;
  }

  /** Bytes with the publisher. */
  get bytes(): number {
    return this.#bytes;
  }

  get busy(): boolean {
    return this.#batches > 0 || this.#handingOver;
  }

  /** Whether more may come. */
  get canTake(): boolean {
    return this.#bytes < PUBLISHING_BYTES;
  }

  /** A message holds, and GossipSub may ask for it in this turn. */
  offer(trace: MessageTrace | undefined): void {
    this.#unclaimed += 1;
    if (trace !== undefined) this.#traced.push(trace);
    this.#handOverSoon();
  }

  /** GossipSub asks for one that was offered. */
  takeUp(): void {
    this.#unclaimed -= 1;
  }

  /** At the end of the turn it goes to the publisher. */
  claim(claim: Claim): void {
    this.#claims.push(claim);
    this.#handOverSoon();
  }

  /** When GossipSub has been given every answer of this turn, and what comes of that in promises has come. */
  #handOverSoon(): void {
    if (this.#handingOver) return;
    this.#handingOver = true;
    queueMicrotask(() => process.nextTick(() => this.#handOver()));
  }

  #handOver(): void {
    this.#handingOver = false;
    if (this.#unclaimed > 0) this.#components.metrics.unclaimed.inc(this.#unclaimed);
    this.#unclaimed = 0;
    if (this.#traced.length > 0) {
      for (const trace of this.#traced) if (!trace.claimed) trace.end('duplicate');
      this.#traced = [];
    }
    const claims = this.#claims;
    this.#claims = [];
    if (claims.length > 0) this.#publish(claims);
    else this.#components.rested();
  }

  #publish(claims: readonly Claim[]): void {
    const { publisher, metrics, logger, concluded, answered, rested } = this.#components;
    const batch = joinCheckedMessages(claims.map(({ bytes }) => bytes));
    const { byteLength } = batch;
    this.#batches += 1;
    this.#bytes += byteLength;
    const handedOver = monotonic();
    publisher
      .publish(batch, tracedOf(claims))
      .then(({ outcomes }) => {
        metrics.stageSeconds.observe({ stage: 'published' }, (monotonic() - handedOver) / 1000);
        return claims.map((_, index) => outcomeAt(outcomes[index] ?? -1).name);
      })
      .catch((error: unknown) => {
        logger.error({ err: error, messages: claims.length }, 'a batch was lost');
        return claims.map((): OutcomeName => 'shed');
      })
      .then((names) => {
        claims.forEach((claim, index) => {
          concluded(claim, names[index] ?? 'shed');
        });
      })
      .finally(() => {
        this.#batches -= 1;
        this.#bytes -= byteLength;
        answered();
        rested();
      })
      .catch((error: unknown) => logger.error({ err: error }, 'a batch was not finished'));
  }
}

/** Those of a batch that are traced; undefined where none is. */
function tracedOf(claims: readonly Claim[]): readonly TracedMessage[] | undefined {
  let traced: TracedMessage[] | undefined;
  for (let index = 0; index < claims.length; index++) {
    const parent = claims[index]?.parent;
    if (parent === undefined) continue;
    traced ??= [];
    traced.push({ index, parent });
  }
  return traced;
}
