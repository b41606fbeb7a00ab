/** The publisher: everything that remembers is here. Repeats, sequence, outbox, Kafka, BlockFound, frames. */

import { resolve } from 'node:path';
import { Registry } from 'prom-client';
import { deadlineSignal } from '../../shared/async/deadline.js';
import { type HashHex, hashFromBytes } from '../../shared/bitcoin/hash.js';
import { monotonic, monotonicOf, wall } from '../../shared/clock.js';
import { UnavailableError } from '../../shared/errors.js';
import { createFrameStreamMetrics } from '../../shared/feed/metrics.js';
import { isOwnStatus } from '../../shared/feed/stream.js';
import { FrameStreamServer } from '../../shared/feed/stream-server.js';
import { createBlockValidationClient } from '../../shared/grpc/block-validation-client.js';
import { serviceFiles } from '../../shared/grpc/channel.js';
import { createNeighbourMetrics } from '../../shared/grpc/neighbour-metrics.js';
import type { DependencyHealth } from '../../shared/health.js';
import { journalBounds } from '../../shared/journal/bounds.js';
import { hasFrame, type JournalledEntry } from '../../shared/journal/entry.js';
import type { Logger } from '../../shared/logging/logger.js';
import { isTaken, OUTCOMES, outcomeIndex } from '../../shared/messages/outcomes.js';
import { ANNOUNCED_TOPICS, blocks } from '../../shared/messages/topics.js';
import type { PeerIdText } from '../../shared/net/peer-id.js';
import { decodeCheckedBatch } from '../../shared/pipeline/checked-batch.js';
import type { CheckedMessage, KnownAnnouncers, PublishedBatch } from '../../shared/pipeline/types.js';
import type { PublisherConfig } from '../../shared/pipeline/worker-config.js';
import { QUEUES } from '../../shared/queues.js';
import { Secrets } from '../../shared/secrets/secrets.js';
import { kafkaFiles } from '../../shared/sinks/kafka/security-settings.js';
import { createOutboxMetrics } from '../../shared/sinks/metrics.js';
import { placeValues } from '../../shared/sinks/traced.js';
import type { DeadLetter, OutboxTopic } from '../../shared/sinks/types.js';
import { TlsWatch } from '../../shared/tls/watch.js';
import { FLUSH_MS, Tracing } from '../../shared/tracing/tracing.js';
import type { SpanValues, TracedMessage, TraceParent } from '../../shared/tracing/types.js';
import { Admission } from './admission.js';
import { Announcers } from './announcers.js';
import { BlockFoundForwarder } from './block-found.js';
import { createPublisherMetrics } from './metrics.js';
import { Outbox } from './outbox.js';
import { Outlets } from './outlets.js';
import { type Sorted, sortBatch } from './sort.js';

/** Within what readiness gives the publisher (2,000 ms), so that what Kafka does not answer costs that topic's line alone. */
const HEALTH_MS = 1500;
/**
 * Places of a hash for each standing but strangers': as many as peers that can be connected, several times over, since who leaves
 * may come back under another name.
 */
const ACQUAINTANCES_A_CONNECTION = 8;
/** Of the outbox's capacity for a topic, what strangers' announcements leave to everybody else's: they could fill all of it. */
const { keptFromStrangers: KEPT_FROM_STRANGERS } = QUEUES.outbox.bounds;

/** Newest frames among which a former run's own status is looked for, with which clients are greeted until the next. */
const GREETING_FRAMES = 10_000;

export class Publisher {
  readonly #config: PublisherConfig;
  readonly #logger: Logger;
  readonly #registry = new Registry();
  readonly #metrics = createPublisherMetrics(this.#registry);
  readonly #outlets: Outlets;
  readonly #outbox: Outbox;
  readonly #admission: Admission;
  readonly #announcers: Announcers;
  readonly #blockFound: BlockFoundForwarder | undefined;
  readonly #tls: TlsWatch;
  readonly #secrets: Secrets;
  readonly #tracing: Tracing;
  #frames: FrameStreamServer | undefined;
  #closed = false;

  /** Throws ConfigurationError when a Kafka setting is wrong. */
  constructor({ logger }: { readonly logger: Logger }, config: PublisherConfig) {
    const { settings } = config;
    this.#config = config;
    this.#announcers = new Announcers({
      max: settings.p2p_peer_map_max_size,
      rememberMs: settings.p2p_peer_map_ttl,
    });
    this.#logger = logger;
    this.#tracing = new Tracing({ logger, registry: this.#registry }, config.tracing?.config);
    // Main tells of these files.
    this.#tls = new TlsWatch({}, { services: serviceFiles(settings), kafka: kafkaFiles(settings) });
    this.#secrets = new Secrets(settings);
    this.#outlets = new Outlets(
      {
        logger,
        metrics: this.#metrics,
        tls: this.#tls.of('kafka'),
        secrets: this.#secrets,
        tracers: this.#tracing,
      },
      config,
    );
    const metrics = createOutboxMetrics(
      this.#registry,
      ANNOUNCED_TOPICS.map((topic) => topic.name),
    );
    this.#outbox = new Outbox(
      { logger, metrics, outlets: this.#outlets.all },
      {
        path: config.journalPath,
        fsync: settings.p2p_outbox_fsync,
        bounds: journalBounds(settings),
        max: settings.p2p_outbox_max,
      },
    );
    this.#admission = new Admission({
      maxAnnouncersPerHash: settings.p2p_max_announcers_per_hash,
      maxAcquaintancesPerHash: ACQUAINTANCES_A_CONNECTION * settings.p2p_max_connections,
    });
    if (settings.blockvalidation_grpcAddress !== undefined && settings.p2p_validation_forward) {
      const client = createBlockValidationClient({
        settings,
        logger,
        tls: this.#tls.of('services'),
        secrets: this.#secrets,
        metrics: createNeighbourMetrics(this.#registry),
        tracers: this.#tracing,
      });
      this.#blockFound = new BlockFoundForwarder({ client, logger, metrics: this.#metrics });
    }
  }

  /** Opens the journal and takes up where the last publisher ended. Throws JournalUnusableError. */
  async start(): Promise<void> {
    await this.#tracing.open(this.#config.tracing?.service);
    this.#tls.start();
    this.#secrets.start();
    const { repeats } = await this.#outbox.open();
    try {
      for (const { key, at } of repeats) this.#admission.restore(key, monotonicOf(at));
      await this.#serveFrames();
    } catch (error) {
      await this.#outbox.close(0);
      throw error;
    }
    const { depth: waiting } = this.#outbox;
    if (waiting > 0) this.#logger.info({ waiting }, 'the outbox holds records of an earlier run');
  }

  async #serveFrames(): Promise<void> {
    const { frameSocketPath, journalPath } = this.#config;
    const { journal } = this.#outbox;
    this.#frames = new FrameStreamServer({
      socketPath: frameSocketPath,
      journal: {
        directory: resolve(journalPath),
        epoch: journal.epoch,
        get end() {
          return journal.end;
        },
        get nextSeq() {
          return journal.nextSeq;
        },
      },
      logger: this.#logger,
      metrics: createFrameStreamMetrics(this.#registry),
    });
    await this.#frames.start(this.#outbox.newest(GREETING_FRAMES, isOwnStatus));
  }

  /** The part of a topic's capacity that is not for strangers. */
  get #kept(): number {
    return Math.floor(this.#config.settings.p2p_outbox_max * KEPT_FROM_STRANGERS);
  }

  /**
   * Gives its answer once everything accepted is in the journal. `id` is the batch's alone. `retry`: what an earlier publisher stored of it
   * is `ok`, and stored once. `traced`: its messages that are traced. Throws UnavailableError once closed.
   */
  publish(
    batch: ArrayBuffer,
    {
      id,
      retry,
      traced,
    }: {
      readonly id: number;
      readonly retry: boolean;
      readonly traced?: readonly TracedMessage[] | undefined;
    },
  ): PublishedBatch {
    if (this.#closed) throw new UnavailableError('the publisher is closed');
    const end = this.#metrics.batchSeconds.startTimer();
    const messages = decodeCheckedBatch(batch);
    const now = monotonic();
    const sorted = sortBatch(
      messages,
      { admission: this.#admission, outbox: this.#outbox },
      { earlier: retry ? this.#outbox.stored(id) : undefined, now, kept: this.#kept },
    );
    this.#keep(id, sorted, { now, traced });
    messages.forEach((message, index) => {
      if (!isTaken(sorted.outcomes[index] ?? -1)) return;
      if (message.record !== undefined && !message.own) {
        // Whoever's signature it bears.
        this.#announcers.remember(message.record, message.author as PeerIdText);
      }
    });
    this.#count(sorted.outcomes);
    this.#metrics.repeats.set(this.#admission.remembered);
    this.#metrics.announcers.set(this.#announcers.size);
    end();
    return { outcomes: sorted.outcomes, outboxDepth: this.#outbox.depth };
  }

  /** Stores what is to be stored; what follows from it begins only when that is safe. */
  #keep(
    id: number,
    { outcomes, stored }: Sorted,
    { now, traced }: { readonly now: number; readonly traced: readonly TracedMessage[] | undefined },
  ): void {
    if (stored.length === 0) return;
    const from = traced === undefined ? 0 : monotonic();
    const end = this.#metrics.writeSeconds.startTimer();
    let placed: readonly JournalledEntry[];
    try {
      placed = this.#outbox.append(
        id,
        stored.map(({ message }) => message.entry),
      );
    } catch (error) {
      this.#logger.debug({ err: error }, 'a batch could not be stored');
      for (const { index, message, isNew } of stored) {
        outcomes[index] = outcomeIndex('store_failed');
        if (isNew) this.#admission.forget(message, now);
      }
      return;
    }
    end();
    const oldest = stored.reduce((first, { message }) => Math.min(first, message.receivedAt), wall.told());
    this.#metrics.storedSeconds.observe(Math.max(0, wall.told() - oldest) / 1000);
    const parents = traced && new Map(traced.map(({ index, parent }) => [index, parent]));
    const frames = placed.filter(({ bytes }) => hasFrame(bytes));
    this.#frames?.append(frames, parents && this.#trace(parents, { stored, placed, from }));
    this.#metrics.frames.inc(frames.length);
    for (const { message, isNew, index } of stored)
      if (isNew) this.#tellValidation(message, parents?.get(index));
  }

  /** Traces what was just stored, and what becomes of it. Gives the parents by sequence number, of what has a frame. */
  #trace(
    parents: ReadonlyMap<number, TraceParent>,
    {
      stored,
      placed,
      from,
    }: Pick<Sorted, 'stored'> & { readonly placed: readonly JournalledEntry[]; readonly from: number },
  ): ReadonlyMap<number, TraceParent> {
    const shown = new Map<number, TraceParent>();
    stored.forEach(({ index, message: { record } }, n) => {
      const parent = parents.get(index);
      const entry = placed[n];
      if (parent === undefined || entry === undefined) return;
      const values: SpanValues = {
        ...placeValues(this.#outbox.journal.epoch, entry.position),
        'teranode.p2p.hash': record && hashFromBytes(record.hash),
      };
      this.#tracing.tracer?.start('journal', { parent, at: from, values })?.end();
      this.#outlets.follow(entry, parent, values);
      if (hasFrame(entry.bytes)) shown.set(entry.seq, parent);
    });
    return shown;
  }

  #tellValidation(message: CheckedMessage, trace: TraceParent | undefined): void {
    const { record, author } = message;
    if (record?.topic !== blocks.id) return;
    const block = { hash: hashFromBytes(record.hash), baseUrl: record.dataHubUrl, peerId: author, trace };
    this.#blockFound?.forward(block, message);
  }

  #count(outcomes: Uint8Array): void {
    const counts = new Uint32Array(OUTCOMES.length);
    for (const outcome of outcomes) counts[outcome] = (counts[outcome] ?? 0) + 1;
    OUTCOMES.forEach(({ name }, index) => {
      const count = counts[index] ?? 0;
      if (count > 0) this.#metrics.messages.inc({ outcome: name }, count);
    });
  }

  async health(): Promise<readonly DependencyHealth[]> {
    const signal = deadlineSignal(HEALTH_MS);
    const refused = this.#blockFound?.refusal();
    return [
      ...(refused === undefined ? [] : [refused]),
      this.#outbox.health(this.#kept),
      ...(await this.#outbox.sinkHealth(signal)),
    ];
  }

  async metrics(): Promise<readonly object[]> {
    this.#outbox.observe();
    return this.#registry.getMetricsAsJSON();
  }

  outbox(): readonly OutboxTopic[] {
    return this.#outbox.status();
  }

  /** Who announced each of `hashes`, in their order. */
  announcers(topic: number, hashes: readonly HashHex[]): KnownAnnouncers {
    return {
      of: hashes.map((hash) => this.#announcers.of(topic, hash)),
      whole: hashes.map((hash) => this.#announcers.isWhole(topic, hash)),
    };
  }

  deadLetters(limit: number): Promise<readonly DeadLetter[]> {
    return this.#outbox.deadLetters(limit);
  }

  replayDeadLetters(): Promise<number> {
    if (this.#closed) throw new UnavailableError('the publisher is closed');
    return this.#outbox.replayDeadLetters();
  }

  /** Throws UnavailableError where `topic` has no loss to accept. */
  acceptLoss(topic: string): void {
    this.#outbox.acceptLoss(topic);
  }

  /** Throws UnavailableError where there is no such cursor, or a setting names it. */
  forget(cursor: string): void {
    this.#outbox.forget(cursor);
  }

  /** Gives Kafka until `deadline` (monotonic), then closes everything. Gives the number of records left. */
  async close(deadline: number): Promise<number> {
    if (this.#closed) return this.#outbox.depth;
    this.#closed = true;
    await this.#frames?.stop();
    await this.#outbox.close(deadline);
    this.#blockFound?.stop();
    this.#tls.stop();
    this.#secrets.stop();
    await this.#tracing.close(FLUSH_MS);
    const left = this.#outbox.depth;
    if (left > 0) this.#logger.warn({ left }, 'records stay in the outbox until the next start');
    return left;
  }
}
