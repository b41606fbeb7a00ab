/**
 * The pipeline: what gossip brought in one turn becomes a batch, goes unopened to a checker and on to the publisher, and comes
 * back as verdicts. Batches are handed to the publisher in the order in which they were collected.
 */

import { availableParallelism } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import type { Counter } from 'prom-client';
import { monotonic, wall } from '../../shared/clock.js';
import type { Logger } from '../../shared/logging.js';
import { framedBound } from '../../shared/messages/framing.js';
import { byId } from '../../shared/messages/ids.js';
import { MESSAGE_KINDS } from '../../shared/messages/index.js';
import type { MessageKind } from '../../shared/messages/kind.js';
import { microsOf } from '../../shared/pipeline/checked-batch.js';
import {
  type Offence,
  OUTCOMES,
  type Outcome,
  type OutcomeName,
  outcomeAt,
} from '../../shared/pipeline/outcomes.js';
import type { AuthorStanding } from '../../shared/pipeline/standing.js';
import type { PeerFact } from '../../shared/pipeline/types.js';
import type { PublisherConfig } from '../../shared/pipeline/worker-config.js';
import type { Settings } from '../../shared/settings/table.js';
import type { BanGate, HeardMessage, P2PNode } from '../node/types.js';
import { CheckerPool } from './checker-pool.js';
import type { PipelineMetrics } from './metrics.js';
import { PublisherPool } from './publisher-pool.js';
import { FairQueue, type QueuedMessage } from './queue.js';

export interface PipelineComponents {
  readonly settings: Settings;
  readonly logger: Logger;
  readonly metrics: PipelineMetrics;
  /** Takes the verdict that GossipSub waits for. */
  readonly verdicts: Pick<P2PNode, 'report'>;
  readonly bans: Pick<BanGate, 'isPeerBanned'>;
  /** Asked for every message: constant time. */
  readonly reputation: { isLow(peer: string): boolean };
  /** Asked for every message: constant time. */
  readonly standingOf: (author: string) => AuthorStanding;
  readonly onFact: (fact: PeerFact) => void;
  /** Called for the author, whose signature the message bears. */
  readonly onOffence: (author: string, offence: Offence) => void;
}

export interface PipelineOptions {
  readonly publisher: PublisherConfig;
  /** The table that the node subscribes to; `kindsModule` is the same for the checkers. */
  readonly kinds?: readonly MessageKind[];
  readonly kindsModule?: string;
  readonly checkerFile?: URL;
  readonly publisherFile?: URL;
  readonly checkerTimeoutMs?: number;
  readonly publisherTimeoutMs?: number;
}

const BATCH_MESSAGES = 256;
const BATCH_BYTES = 1_048_576;
/** Twice what a full batch of good messages takes on a slow machine: what is heard later waits no longer for a checker. */
const BATCH_MICROS = 20_000;
const BATCHES_A_CHECKER = 2;
const DRAIN_TIMEOUT_MS = 3000;
/** Kinds from this priority on are shed last, and each second of it is logged. */
const LOUD_PRIORITY = 5;

/**
 * Messages whose author was scored for them. Anybody may send a signed message again once GossipSub has forgotten it, so one
 * mistake of an honest author would ban it for ever. As many as all peers whose score is remembered can have until banned:
 * who crowds these out crowds out the scores too.
 */
const MAX_SCORED = 50_000;

const OUTCOME: ReadonlyMap<OutcomeName, Outcome> = new Map(
  OUTCOMES.map((outcome) => [outcome.name, outcome]),
);
const IGNORED: Outcome = { name: 'shed', verdict: 'ignore' };

/** Threads for `p2p_checkers`: 0 means cores less one, at least 1. */
export function checkerThreads(settings: Settings): number {
  return settings.p2p_checkers > 0 ? settings.p2p_checkers : Math.max(1, availableParallelism() - 1);
}

export class Pipeline {
  readonly #components: PipelineComponents;
  /** By their ids. */
  readonly #kinds: readonly (MessageKind | undefined)[];
  readonly #ownPeer: string;
  readonly #queue: FairQueue;
  readonly #maxInFlight: number;
  readonly checkers: CheckerPool;
  readonly publisher: PublisherPool;
  readonly #counters = new Map<number, Map<OutcomeName, Counter.Internal>>();
  #inFlight = 0;
  #collecting = false;
  #started = false;
  #closed = false;
  #tipBits = 0;
  /** Settles when the batch collected last has been handed to the publisher. */
  #handedOver: Promise<unknown> = Promise.resolve();
  #idle: (() => void)[] = [];
  readonly #scored = new LRUCache<string, true>({ max: MAX_SCORED });
  #shedLoudly = 0;
  #lastLoud = 0;

  constructor(components: PipelineComponents, options: PipelineOptions) {
    const { settings, logger, metrics } = components;
    this.#components = components;
    this.#kinds = byId(options.kinds ?? MESSAGE_KINDS);
    this.#ownPeer = options.publisher.peerId;
    const threads = checkerThreads(settings);
    this.#maxInFlight = threads * BATCHES_A_CHECKER;
    this.#queue = new FairQueue({
      maxBytes: settings.p2p_queue_bytes,
      batchMessages: BATCH_MESSAGES,
      batchBytes: BATCH_BYTES,
      batchMicros: BATCH_MICROS,
      priorityOf: (kind) => this.#kinds[kind]?.priority ?? 0,
    });
    metrics.showQueue(this.#queue);
    const { kindsModule, checkerFile, publisherFile, checkerTimeoutMs, publisherTimeoutMs } = options;
    this.checkers = new CheckerPool(
      { logger, metrics },
      {
        config: { settings, ...(kindsModule === undefined ? {} : { kindsModule }) },
        threads,
        ...(checkerFile === undefined ? {} : { file: checkerFile }),
        ...(checkerTimeoutMs === undefined ? {} : { taskTimeoutMs: checkerTimeoutMs }),
      },
    );
    this.publisher = new PublisherPool(
      { logger, metrics },
      {
        config: options.publisher,
        ...(publisherFile === undefined ? {} : { file: publisherFile }),
        ...(publisherTimeoutMs === undefined ? {} : { taskTimeoutMs: publisherTimeoutMs }),
      },
    );
  }

  /** Why a pool cannot respawn, for liveness; undefined while both can. */
  get failed(): string | undefined {
    return this.checkers.failed ?? this.publisher.failed;
  }

  /** Whether both pools came to run. */
  get started(): boolean {
    return this.#started;
  }

  /** Messages waiting or in flight. */
  get busy(): boolean {
    return this.#inFlight > 0 || this.#queue.length > 0;
  }

  /** Compact target of our tip, for the header checks of the batches to come. */
  setTipBits(bits: number): void {
    this.#tipBits = bits;
  }

  /** Starts both pools; a pool that cannot start leaves neither. */
  async start(): Promise<void> {
    try {
      await Promise.all([this.publisher.start(), this.checkers.start()]);
    } catch (error) {
      await this.stop();
      throw error;
    }
    this.#started = true;
    this.#collectSoon();
  }

  /** Takes a heard message. Its verdict comes later, exactly once. */
  push(heard: HeardMessage): void {
    const kind = this.#kinds[heard.kind];
    const { id, author, source, data } = heard;
    const message: QueuedMessage = {
      id,
      kind: heard.kind,
      author,
      source,
      data,
      receivedAt: wall.told(),
      queuedAt: monotonic(),
      own: false,
      standing: this.#components.standingOf(author),
    };
    if (kind === undefined || this.#closed) this.#settle(message, 'shed');
    else if (this.#components.bans.isPeerBanned(author)) this.#settle(message, 'banned');
    else if (kind.needsReputation && this.#components.reputation.isLow(author))
      this.#settle(message, 'low_reputation');
    else if (data.length > framedBound(kind.sizeBound)) this.#settle(message, 'oversized');
    else this.#enqueue(message);
  }

  /** Takes one of our own messages, framed as it was published: for the WebSocket clients. */
  pushOwn(kind: number, data: Uint8Array): void {
    if (this.#closed) return;
    const peer = this.#ownPeer;
    this.#enqueue({
      id: '',
      kind,
      author: peer,
      source: peer,
      data,
      receivedAt: wall.told(),
      queuedAt: monotonic(),
      own: true,
      standing: 'configured',
    });
  }

  /**
   * Takes no more and resolves when everything taken has its verdict, or after `timeoutMs`, when a publisher that does not
   * respawn keeps it: neighbours that get no verdict announce again elsewhere.
   */
  async drain(timeoutMs = DRAIN_TIMEOUT_MS): Promise<void> {
    this.#closed = true;
    if (!this.busy) return;
    const late = new AbortController();
    const idle = new Promise<void>((resolve) => this.#idle.push(resolve)).then(() => late.abort());
    await Promise.race([idle, delay(timeoutMs, undefined, { signal: late.signal }).catch(() => {})]);
    if (this.busy) {
      const left = { waiting: this.#queue.length, batches: this.#inFlight };
      this.#components.logger.warn(left, 'messages are left without a verdict');
    }
  }

  /** Ends the pools at once; `drain` first, and the publisher's `close`, for a clean end. */
  async stop(): Promise<void> {
    this.#closed = true;
    await Promise.all([this.checkers.stop(), this.publisher.stop()]);
  }

  #enqueue(message: QueuedMessage): void {
    for (const shed of this.#queue.push(message)) this.#shed(shed);
    this.#collectSoon();
  }

  /** A batch is what one turn of the event loop brought, or what gathered while every checker was busy. */
  #collectSoon(): void {
    if (!this.#started || this.#collecting || this.#inFlight >= this.#maxInFlight) return;
    this.#collecting = true;
    setImmediate(() => {
      this.#collecting = false;
      this.#collect();
    });
  }

  #collect(): void {
    while (this.#inFlight < this.#maxInFlight) {
      const batch = this.#queue.take();
      if (batch.length === 0) break;
      this.#dispatch(batch);
    }
  }

  #dispatch(batch: readonly QueuedMessage[]): void {
    const { metrics, logger } = this.#components;
    this.#inFlight += 1;
    metrics.batchesInFlight.set(this.#inFlight);
    metrics.batchMessages.observe(batch.length);
    const collected = monotonic();
    metrics.stageSeconds.observe({ stage: 'queued' }, (collected - (batch[0]?.queuedAt ?? collected)) / 1000);
    const checked = this.checkers.check(batch, this.#tipBits);
    // Looked at below, but maybe not before it fails: the batch before may take longer.
    checked.catch(() => {});
    // Whatever the checkers' order, this batch follows the one collected before it. The publisher takes it within the turn,
    // so nothing passes between; it is not waited for, or only one batch would be at the publisher at a time.
    const before = this.#handedOver;
    const published = before.then(async () => {
      const bytes = await checked;
      this.#charge(batch, microsOf(bytes));
      metrics.stageSeconds.observe({ stage: 'checked' }, (monotonic() - collected) / 1000);
      return { answer: this.publisher.publish(bytes), handedOn: monotonic() };
    });
    this.#handedOver = published.catch(() => {});
    published
      .then(async ({ answer, handedOn }) => {
        const { outcomes, facts } = await answer;
        metrics.stageSeconds.observe({ stage: 'published' }, (monotonic() - handedOn) / 1000);
        const names = batch.map((_, index) => outcomeAt(outcomes[index] ?? -1).name);
        return { names, facts };
      })
      .catch((error: unknown) => {
        logger.error({ err: error, messages: batch.length }, 'a batch was lost');
        return { names: batch.map((): OutcomeName => 'shed'), facts: [] };
      })
      .then(({ names, facts }) => {
        batch.forEach((message, index) => {
          this.#settle(message, names[index] ?? 'shed');
        });
        for (const fact of facts) this.#tell(() => this.#components.onFact(fact));
      })
      .finally(() => this.#finished())
      .catch((error: unknown) => logger.error({ err: error }, 'a batch was not finished'));
  }

  /** Who sent what took long to check waits for its next turn as much longer. */
  #charge(batch: readonly QueuedMessage[], micros: readonly number[]): void {
    const byKind = new Map<number, number>();
    batch.forEach(({ kind, source }, index) => {
      const took = micros[index] ?? 0;
      this.#queue.charge(source, took);
      byKind.set(kind, (byKind.get(kind) ?? 0) + took);
    });
    for (const [kind, took] of byKind) {
      const name = this.#kinds[kind]?.name ?? 'unknown';
      this.#components.metrics.checkingSeconds.inc({ kind: name }, took / 1e6);
    }
  }

  #finished(): void {
    this.#inFlight -= 1;
    this.#components.metrics.batchesInFlight.set(this.#inFlight);
    if (this.#queue.length > 0) this.#collectSoon();
    if (this.busy) return;
    const waiting = this.#idle;
    this.#idle = [];
    for (const resolve of waiting) resolve();
  }

  #settle(message: QueuedMessage, name: OutcomeName): void {
    this.#counterOf(message.kind, name).inc();
    if (message.own) return;
    const { verdicts, onOffence } = this.#components;
    const { verdict, offence } = OUTCOME.get(name) ?? IGNORED;
    const blamed = message.source === message.author ? 'reject' : 'ignore';
    this.#tell(() => verdicts.report(message.id, message.source, verdict === 'blame' ? blamed : verdict));
    if (offence === undefined || this.#scored.has(message.id)) return;
    this.#scored.set(message.id, true);
    this.#tell(() => onOffence(message.author, offence));
  }

  /** Looked up by labels once: for each message that costs more than counting. */
  #counterOf(kind: number, name: OutcomeName): Counter.Internal {
    let ofKind = this.#counters.get(kind);
    if (ofKind === undefined) {
      ofKind = new Map();
      this.#counters.set(kind, ofKind);
    }
    let counter = ofKind.get(name);
    if (counter === undefined) {
      counter = this.#components.metrics.messages.labels({
        kind: this.#kinds[kind]?.name ?? 'unknown',
        outcome: name,
      });
      ofKind.set(name, counter);
    }
    return counter;
  }

  /** One listener's failure must not cost the other messages of a batch their verdicts. */
  #tell(listener: () => void): void {
    try {
      listener();
    } catch (error) {
      this.#components.logger.error({ err: error }, 'what came of a message could not be told');
    }
  }

  #shed(message: QueuedMessage): void {
    this.#settle(message, 'shed');
    if ((this.#kinds[message.kind]?.priority ?? 0) < LOUD_PRIORITY) return;
    this.#shedLoudly += 1;
    const now = monotonic();
    if (now - this.#lastLoud < 1000) return;
    this.#components.logger.error(
      { shed: this.#shedLoudly, source: message.source, queuedBytes: this.#queue.bytes },
      'blocks or subtrees are shed: more is heard than can be checked',
    );
    this.#lastLoud = now;
    this.#shedLoudly = 0;
  }
}
