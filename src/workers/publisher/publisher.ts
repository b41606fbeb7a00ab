/** The publisher: everything that remembers is here. Repeats, sequence, outbox, Kafka, BlockFound, frames. */

import { Registry } from 'prom-client';
import { monotonic, monotonicOf, wall } from '../../shared/clock.js';
import { errorMessage, UnavailableError } from '../../shared/errors.js';
import { createFrameStreamMetrics } from '../../shared/frames/metrics.js';
import { FrameStreamServer } from '../../shared/frames/stream-server.js';
import type { Frame } from '../../shared/frames/types.js';
import { createBlockValidationClient } from '../../shared/grpc/block-validation-client.js';
import { serviceFiles } from '../../shared/grpc/channel.js';
import { createNeighbourMetrics } from '../../shared/grpc/neighbour-metrics.js';
import { type HashHex, hashFromBytes } from '../../shared/hash.js';
import type { DependencyHealth } from '../../shared/health.js';
import { createProducer, type KafkaSettingKey } from '../../shared/kafka/index.js';
import { kafkaFiles } from '../../shared/kafka/security-settings.js';
import { parseKafkaUrl } from '../../shared/kafka/url.js';
import type { Logger } from '../../shared/logging.js';
import { blocks, KAFKA_TOPICS, KAFKA_TOPICS_BY_ID } from '../../shared/messages/topics.js';
import { type DatabasePort, RemoteDatabase } from '../../shared/outbox/database-port.js';
import { DeadLetters } from '../../shared/outbox/dead-letters.js';
import { TopicDrainer } from '../../shared/outbox/drainer.js';
import { createOutboxMetrics } from '../../shared/outbox/metrics.js';
import type { OutboxRecord } from '../../shared/outbox/records.js';
import { type Appended, type Chunk, OutboxStore, type Reopened } from '../../shared/outbox/store.js';
import { decodeCheckedBatch } from '../../shared/pipeline/checked-batch.js';
import { isTaken, OUTCOMES, type OutcomeName, outcomeIndex } from '../../shared/pipeline/outcomes.js';
import type {
  AnnouncedRecord,
  CheckedMessage,
  KnownAnnouncers,
  PublishedBatch,
} from '../../shared/pipeline/types.js';
import type { DeadLetter, OutboxTopic, PublisherConfig } from '../../shared/pipeline/worker-config.js';
import { TlsWatch } from '../../shared/tls-watch.js';
import { Admission, STORED_REPEATS } from './admission.js';
import { Announcers } from './announcers.js';
import { BlockFoundForwarder } from './block-found.js';
import { createPublisherMetrics } from './metrics.js';
import { NotificationsTopic } from './notifications-topic.js';

/** Within what readiness gives the publisher (2,000 ms), so that what Kafka does not answer costs that topic's line alone. */
const HEALTH_MS = 1500;
/**
 * Places of a hash for each standing but strangers': as many as peers that can be connected, several times over, since who leaves
 * may come back under another name.
 */
const ACQUAINTANCES_A_CONNECTION = 8;
/** Of the outbox's room for a topic, what strangers' announcements leave to everybody else's: they could fill all of it. */
const KEPT_FROM_STRANGERS = 0.1;

/** A batch on its way through `publish`. */
interface Sorted {
  readonly outcomes: Uint8Array;
  /** Positions of the messages that are to be stored, and the messages. */
  readonly stored: { readonly index: number; readonly message: CheckedMessage; readonly isNew: boolean }[];
}

export class Publisher {
  readonly #config: PublisherConfig;
  readonly #logger: Logger;
  readonly #registry = new Registry();
  readonly #metrics = createPublisherMetrics(this.#registry);
  readonly #outboxMetrics = createOutboxMetrics(
    this.#registry,
    KAFKA_TOPICS.map(({ name }) => name),
  );
  readonly #store: OutboxStore;
  readonly #deadLetters: DeadLetters;
  readonly #drainers: ReadonlyMap<string, TopicDrainer>;
  readonly #admission: Admission;
  readonly #announcers: Announcers;
  readonly #blockFound: BlockFoundForwarder | undefined;
  readonly #notifications: NotificationsTopic | undefined;
  readonly #tls: TlsWatch;
  #frames: FrameStreamServer | undefined;
  #queue: Promise<unknown> = Promise.resolve();
  #closed = false;

  /** Throws ConfigurationError when a Kafka setting is wrong. */
  constructor(
    { logger, database }: { readonly logger: Logger; readonly database: DatabasePort },
    config: PublisherConfig,
  ) {
    const { settings, brokerSocketPath } = config;
    this.#config = config;
    this.#announcers = new Announcers({
      max: settings.p2p_peer_map_max_size,
      rememberMs: settings.p2p_peer_map_ttl,
    });
    this.#logger = logger;
    this.#store = new OutboxStore(
      { logger },
      {
        path: config.outboxPath,
        fsync: settings.p2p_outbox_fsync,
        frameRing: settings.p2p_frame_ring,
        repeats: STORED_REPEATS,
        openDatabase: (path) => new RemoteDatabase(database, path),
      },
    );
    const store = this.#store;
    const metrics = this.#outboxMetrics;
    this.#deadLetters = new DeadLetters({ store, logger, metrics });
    const deadLetters = this.#deadLetters;
    // Main tells of these files.
    this.#tls = new TlsWatch({}, { services: serviceFiles(settings), kafka: kafkaFiles(settings) });
    const kafka = { logger, brokerSocketPath, tls: this.#tls.of('kafka') };
    this.#drainers = new Map(
      KAFKA_TOPICS.map(({ name: topic, setting }) => {
        const producer = createProducer(settings, setting, kafka);
        const place = placeOf(setting, settings[setting]);
        return [topic, new TopicDrainer({ producer, store, deadLetters, metrics, logger }, { topic, place })];
      }),
    );
    this.#admission = new Admission({
      maxAnnouncersPerHash: settings.p2p_max_announcers_per_hash,
      maxAcquaintancesPerHash: ACQUAINTANCES_A_CONNECTION * settings.p2p_max_connections,
    });
    if (settings.blockvalidation_grpcAddress !== '' && settings.p2p_validation_forward) {
      const client = createBlockValidationClient({
        settings,
        logger,
        tls: this.#tls.of('services'),
        metrics: createNeighbourMetrics(this.#registry),
      });
      this.#blockFound = new BlockFoundForwarder({ client, logger, metrics: this.#metrics });
    }
    if (settings.kafka_notificationsConfig !== '') {
      const producer = createProducer(settings, 'kafka_notificationsConfig', kafka);
      this.#notifications = new NotificationsTopic({ producer, store, logger, metrics: this.#metrics });
    }
  }

  /** Opens the outbox and takes up where the last publisher ended. Throws OutboxUnusableError. */
  async start(): Promise<void> {
    this.#tls.start();
    const found = await this.#store.open();
    try {
      await this.#resume(found);
    } catch (error) {
      await this.#store.close();
      throw error;
    }
  }

  async #resume(found: Reopened): Promise<void> {
    const { settings, frameSocketPath } = this.#config;
    for (const { key, at } of found.repeats) this.#admission.restore(key, monotonicOf(at));
    await this.#deadLetters.open();
    this.#frames = new FrameStreamServer({
      socketPath: frameSocketPath,
      epoch: this.#store.epoch,
      bound: { frames: settings.p2p_frame_ring },
      logger: this.#logger,
      metrics: createFrameStreamMetrics(this.#registry),
    });
    await this.#frames.start(found.frames, this.#store.nextSeq);
    this.#addStored(found);
    this.#store.onReopened = (more) => {
      for (const { key, at } of more.repeats) this.#admission.restore(key, monotonicOf(at));
      this.#addStored(more);
      this.#emit(more.frames);
    };
    for (const drainer of this.#drainers.values()) drainer.start();
    await this.#notifications?.start();
    const waiting = this.#depth();
    if (waiting > 0) this.#logger.info({ waiting }, 'the outbox holds records of an earlier run');
  }

  #addStored({ chunks }: Reopened): void {
    for (const chunk of chunks) {
      const drainer = this.#drainers.get(chunk.topic);
      if (drainer === undefined) this.#logger.error(chunk, 'the outbox holds records of an unknown topic');
      else drainer.addStored(chunk);
    }
  }

  #depth(): number {
    let depth = 0;
    for (const { waiting } of this.#drainers.values()) depth += waiting;
    return depth;
  }

  /** Records that the outbox still takes for `topic`: each has a bound of its own, so that one at fault fills up alone. */
  #room(topic: string): number {
    const drainer = this.#drainers.get(topic);
    return drainer === undefined ? 0 : this.#config.settings.p2p_outbox_max - drainer.waiting;
  }

  /** The part of a topic's room that is not for strangers. */
  get #kept(): number {
    return Math.floor(this.#config.settings.p2p_outbox_max * KEPT_FROM_STRANGERS);
  }

  /**
   * Resolves once everything accepted is in the outbox. Batches are worked on in the order of the calls. `retry`: what
   * an earlier publisher stored of this batch is `ok`.
   */
  publish(batch: ArrayBuffer, retry: boolean): Promise<PublishedBatch> {
    return this.#inTurn(() => this.#publish(decodeCheckedBatch(batch), retry));
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(() => {
      if (this.#closed) throw new UnavailableError('the publisher is closed');
      return work();
    });
    this.#queue = result.catch(() => {});
    return result;
  }

  async #publish(messages: readonly CheckedMessage[], retry: boolean): Promise<PublishedBatch> {
    const end = this.#metrics.batchSeconds.startTimer();
    const now = monotonic();
    const sorted = this.#sort(messages, retry, now);
    await this.#keep(sorted, now);
    messages.forEach((message, index) => {
      if (!isTaken(sorted.outcomes[index] ?? -1)) return;
      if (message.record !== undefined && !message.own) {
        this.#announcers.remember(message.record, message.author);
      }
    });
    this.#count(sorted.outcomes);
    this.#metrics.repeats.set(this.#admission.remembered);
    this.#metrics.announcers.set(this.#announcers.size);
    end();
    return { outcomes: sorted.outcomes, outboxDepth: this.#depth() };
  }

  /** Decides what is new, and remembers it. */
  #sort(messages: readonly CheckedMessage[], retry: boolean, now: number): Sorted {
    const outcomes = new Uint8Array(messages.length);
    const stored: { index: number; message: CheckedMessage; isNew: boolean }[] = [];
    const rooms = new Map([...this.#drainers.keys()].map((topic) => [topic, this.#room(topic)]));
    messages.forEach((message, index) => {
      outcomes[index] = message.outcome;
      if (!isTaken(message.outcome)) return;
      if (message.own) {
        if (message.frame.length > 0) stored.push({ index, message, isNew: false });
        return;
      }
      let outcome: OutcomeName = this.#admission.check(message, now);
      if (retry && (outcome === 'repeat' || outcome === 'spam')) return;
      const topic = topicName(message.record);
      const room = topic === undefined ? 1 : (rooms.get(topic) ?? 0);
      const kept = topic !== undefined && message.standing === 'stranger' ? this.#kept : 0;
      if (outcome === 'ok' && room <= kept) outcome = 'outbox_full';
      if (outcome !== 'ok') {
        outcomes[index] = outcomeIndex(outcome);
        return;
      }
      if (topic !== undefined) rooms.set(topic, room - 1);
      this.#admission.remember(message, now);
      if (message.frame.length > 0 || message.record !== undefined)
        stored.push({ index, message, isNew: true });
    });
    return { outcomes, stored };
  }

  /** Stores what is to be stored; what follows from it begins only when that is safe. */
  async #keep({ outcomes, stored }: Sorted, now: number): Promise<void> {
    if (stored.length === 0) return;
    const end = this.#metrics.writeSeconds.startTimer();
    let appended: Appended;
    try {
      appended = await this.#append(stored.map(({ message }) => message));
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
    this.#emit(appended.frames);
    for (const chunk of appended.chunks) this.#hand(chunk);
    for (const { message, isNew } of stored) if (isNew) this.#tellValidation(message);
  }

  #append(messages: readonly CheckedMessage[]): Promise<Appended> {
    const frames: Omit<Frame, 'seq'>[] = [];
    const repeatKeys: string[] = [];
    const records = new Map<string, OutboxRecord[]>();
    for (const { frame, record, receivedAt, kind, own, repeatKey } of messages) {
      if (frame.length > 0) frames.push({ receivedAt, kind, own, json: frame });
      if (repeatKey !== '' && !own) repeatKeys.push(repeatKey);
      if (record === undefined || own) continue;
      const entry = { receivedAt, hash: record.hash, key: record.key, value: record.value };
      const topic = topicName(record) ?? '';
      const part = records.get(topic);
      if (part === undefined) records.set(topic, [entry]);
      else part.push(entry);
    }
    return this.#store.append({ frames, repeatKeys, records });
  }

  #emit(frames: readonly Frame[]): void {
    this.#frames?.append(frames);
    this.#metrics.frames.inc(frames.length);
    this.#notifications?.add(frames);
  }

  #hand(chunk: Chunk): void {
    this.#drainers.get(chunk.topic)?.add(chunk);
  }

  #tellValidation(message: CheckedMessage): void {
    const { record, author } = message;
    if (record?.topic !== blocks.id) return;
    const block = { hash: hashFromBytes(record.hash), baseUrl: record.url, peerId: author };
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
    const signal = AbortSignal.timeout(HEALTH_MS);
    const others = [
      ...this.#drainers.values(),
      ...(this.#notifications === undefined ? [] : [this.#notifications]),
    ];
    const refused = this.#blockFound?.refusal();
    return [
      ...(refused === undefined ? [] : [refused]),
      this.#outboxHealth(),
      ...(await Promise.all(others.map((other) => other.health(signal)))),
    ];
  }

  #outboxHealth(): DependencyHealth {
    const resource = 'outbox';
    const drainers = [...this.#drainers.values()];
    const depths = drainers.map(({ topic, waiting }) => `${waiting} ${topic}`).join(', ');
    const message = `${depths} wait for Kafka, at most ${this.#config.settings.p2p_outbox_max} each`;
    const { failure } = this.#store;
    if (failure !== undefined) return { resource, status: 503, error: failure.message, message };
    const full = drainers.filter(({ topic }) => this.#room(topic) <= 0).map(({ topic }) => topic);
    if (full.length > 0) {
      const error = `full: p2p_outbox_max is reached by ${full.join(' and ')}`;
      return { resource, status: 503, error, message };
    }
    const nearly = drainers.filter(({ topic }) => this.#room(topic) <= this.#kept).map(({ topic }) => topic);
    if (nearly.length > 0) {
      const error = `full for strangers: the last tenth of p2p_outbox_max is left for ${nearly.join(' and ')}`;
      return { resource, status: 503, error, message };
    }
    return { resource, status: 200, message };
  }

  async metrics(): Promise<readonly object[]> {
    for (const drainer of this.#drainers.values()) drainer.observe();
    return this.#registry.getMetricsAsJSON();
  }

  outbox(): readonly OutboxTopic[] {
    return [...this.#drainers.values()].map((drainer) => drainer.status());
  }

  /** Who announced each of `hashes`, in their order. */
  announcers(topic: number, hashes: readonly HashHex[]): KnownAnnouncers {
    return {
      of: hashes.map((hash) => this.#announcers.of(topic, hash)),
      whole: hashes.map((hash) => this.#announcers.isWhole(topic, hash)),
    };
  }

  deadLetters(limit: number): Promise<readonly DeadLetter[]> {
    return this.#deadLetters.list(limit);
  }

  replayDeadLetters(): Promise<number> {
    return this.#inTurn(() =>
      this.#deadLetters.replay(
        (topic) => this.#room(topic),
        (chunk) => this.#hand(chunk),
      ),
    );
  }

  /** Gives Kafka until `deadline` (monotonic), then closes everything. Gives the number of records left. */
  async close(deadline: number): Promise<number> {
    if (this.#closed) return this.#depth();
    await this.#inTurn(async () => {
      this.#closed = true;
    });
    await this.#frames?.stop();
    await Promise.all([
      ...[...this.#drainers.values()].map((drainer) => drainer.stop(deadline)),
      this.#notifications?.stop(deadline),
    ]);
    this.#blockFound?.stop();
    this.#tls.stop();
    await this.#store.close().catch((error: unknown) => {
      this.#logger.error({ reason: errorMessage(error) }, 'the outbox did not close');
    });
    const left = this.#depth();
    if (left > 0) this.#logger.warn({ left }, 'records stay in the outbox until the next start');
    return left;
  }
}

/** Of the topic that a record goes to: empty where nobody knows it, undefined where there is no record. */
const topicName = (record: AnnouncedRecord | undefined): string | undefined =>
  record === undefined ? undefined : (KAFKA_TOPICS_BY_ID[record.topic]?.name ?? '');

/** Where the topic of a setting is, for a person. */
function placeOf(key: KafkaSettingKey, url: string): string {
  const { scheme, brokers } = parseKafkaUrl(key, url);
  return `${scheme === 'memory' ? 'embedded broker' : brokers.join(',')} (${key})`;
}
