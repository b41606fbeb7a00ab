/** Gateways in this process, on a topic of an embedded broker that nodes' publishers would have written. */

import { randomBytes } from 'node:crypto';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { gatewayDependencies } from '../../src/main/gateway/dependencies.js';
import { Gateway } from '../../src/main/gateway/gateway.js';
import type { JournalledEntry } from '../../src/shared/journal/entry.js';
import { frameTimestamp } from '../../src/shared/messages/frame.js';
import { block, nodeStatus } from '../../src/shared/messages/index.js';
import { stringify } from '../../src/shared/messages/json.js';
import type { Settings } from '../../src/shared/settings/table.js';
import type { EmbeddedBroker, EmbeddedBrokerOptions } from '../../src/shared/sinks/kafka/embedded/broker.js';
import type { BrokerPort } from '../../src/shared/sinks/kafka/embedded/port.js';
import { EmbeddedTopicReader } from '../../src/shared/sinks/kafka/embedded/topic-reader.js';
import { frameForm } from '../../src/shared/sinks/kafka/frame-record.js';
import { BrokerFaultError, type KafkaRecord } from '../../src/shared/sinks/kafka/types.js';
import { startBroker } from './embedded-broker.js';
import { kindNamed } from './kinds.js';
import { type KeptLog, keptLog } from './logger.js';
import { SHARES_PORT } from './notifications.js';
import { entryWith } from './open-journal.js';
import { type SettingChanges, settingsOf } from './settings.js';
import { temporaryDirectory } from './temporary.js';
import { waitFor } from './wait.js';

export const TOPIC = 'notifications';
/** For so long the broker waits for a record at the most. */
const WAIT_MS = 50;

export interface Announced {
  readonly author?: string;
  readonly own?: boolean;
  /** Unix ms at which the node got it. */
  readonly receivedAt?: number;
  /** 80 bytes, of a block. */
  readonly header?: Uint8Array;
}

/** What one node's publisher writes to the topic. */
export class WritingNode {
  readonly epoch = randomBytes(8).toString('hex');
  #seq = 0;
  readonly #recordOf = frameForm(this.epoch).recordOf;

  /** The record of a frame of `type`. */
  record(
    type: string,
    fields: object,
    { author = 'peer', own = false, receivedAt = 5, header }: Announced = {},
  ): KafkaRecord {
    const frame = Buffer.from(stringify({ timestamp: frameTimestamp(receivedAt), type, ...fields }));
    const bytes = entryWith({ kind: kindNamed(type).id, author, own, receivedAt, header, frame });
    const entry: JournalledEntry = { position: this.#seq, seq: this.#seq++, bytes };
    return this.#recordOf(entry);
  }

  /** A block at this height, whose hash is made of it. */
  block(height: number, announced: Announced = {}): KafkaRecord {
    const hash = height.toString(16).padStart(64, '0');
    const fields = { hash, base_url: 'http://hub', peer_id: announced.author ?? 'peer', height };
    return this.record(block.name, fields, announced);
  }

  /** The node's own status. */
  status(author: string, height = 1): KafkaRecord {
    return this.record(nodeStatus.name, { peer_id: author, best_height: height }, { author, own: true });
  }
}

/** A topic of one partition unless told, of a broker that may go, and whose place another may take. */
export class NotificationsTopic implements Pick<BrokerPort, 'topics' | 'read'> {
  #broker: EmbeddedBroker | undefined;

  private constructor(private readonly context: Pick<TestContext, 'after'>) {}

  static async start(
    context: Pick<TestContext, 'after'>,
    options: Parameters<NotificationsTopic['make']>[0] = {},
  ): Promise<NotificationsTopic> {
    const topic = new NotificationsTopic(context);
    await topic.make(options);
    return topic;
  }

  /** Makes the topic anew, without a record, on a broker that is there. */
  async make({
    partitions = 1,
    retentionMs = -1,
    broker = {},
  }: {
    readonly partitions?: number;
    /** For ever unless told. */
    readonly retentionMs?: number;
    readonly broker?: EmbeddedBrokerOptions;
  } = {}): Promise<void> {
    this.#broker = await startBroker(this.context, broker);
    await this.#broker.createTopic({ topic: TOPIC, partitions, retentionMs });
  }

  /** Its retention takes what is due. */
  async trim(): Promise<void> {
    await this.#there().trim();
  }

  /** Retention takes what is older than `ms`. */
  async retain(ms: number): Promise<void> {
    const broker = this.#there();
    await broker.createTopic({ topic: TOPIC, partitions: 1, retentionMs: ms });
    await broker.trim();
  }

  /** The broker has no such topic any more. */
  async remove(): Promise<void> {
    this.#broker = await startBroker(this.context);
  }

  /** What reads it as a gateway does. */
  reader(): EmbeddedTopicReader {
    return new EmbeddedTopicReader(this, TOPIC);
  }

  async write(...records: readonly KafkaRecord[]): Promise<void> {
    await this.#there().produce(TOPIC, records);
  }

  /** Written as it is. */
  async writeText(...values: readonly (string | Uint8Array)[]): Promise<void> {
    await this.write(...values.map((value) => ({ value: Buffer.from(value) })));
  }

  /** The broker is away; gives what brings it back. */
  leave(): () => void {
    const broker = this.#broker;
    this.#broker = undefined;
    return () => {
      this.#broker = broker;
    };
  }

  /** The topic as one has it who has read it up to `offset` alone, until it is let go on. */
  upTo(offset: number): { readonly reader: () => EmbeddedTopicReader; readonly goOn: () => void } {
    let end = offset;
    const port: Pick<BrokerPort, 'topics' | 'read'> = {
      topics: async () =>
        (await this.topics()).map((one) => ({
          ...one,
          offsets: one.offsets.map(({ oldest, next }) => ({ oldest, next: Math.min(next, end) })),
        })),
      read: async (request) => {
        const records = (await this.read(request)).filter(({ offset }) => Number(offset) < end);
        // As a broker does that has no more.
        if (records.length === 0) await delay(Math.min(request.waitMs, WAIT_MS));
        return records;
      },
    };
    return {
      reader: () => new EmbeddedTopicReader(port, TOPIC),
      goOn: () => {
        end = Number.POSITIVE_INFINITY;
      },
    };
  }

  async topics() {
    return this.#there().topics();
  }

  async read(request: Parameters<BrokerPort['read']>[0]) {
    return this.#there().read({ ...request, waitMs: Math.min(request.waitMs, WAIT_MS) });
  }

  #there(): EmbeddedBroker {
    if (this.#broker === undefined) throw new BrokerFaultError('the broker is away');
    return this.#broker;
  }
}

export interface TestGateway {
  readonly gateway: Gateway;
  readonly log: KeptLog;
  readonly url: string;
  readonly directory: string;
}

/** Of a gateway whose topic is that of a broker that is told besides: nobody is at the address. */
export const gatewaySettings = (context: Pick<TestContext, 'after'>, changes: SettingChanges): Settings =>
  settingsOf({
    network: 'regtest',
    clientName: 'gateway',
    DATADIR: temporaryDirectory(context),
    kafka_notificationsConfig: `kafka://127.0.0.1:1/${TOPIC}`,
    p2p_notification_servers: 1,
    p2p_websocket_transport: SHARES_PORT,
    p2p_httpListenAddress: '127.0.0.1:0',
    health_check_httpListenAddress: '127.0.0.1:0',
    profilerAddr: '127.0.0.1:0',
    p2p_websocket_text_ping: false,
    ...changes,
  });

/** A gateway on `topic`, initialised and not started; stopped when the test ends. */
export async function initGateway(
  context: Pick<TestContext, 'after'>,
  topic: Pick<NotificationsTopic, 'reader'>,
  changes: SettingChanges = {},
): Promise<Omit<TestGateway, 'url'>> {
  const log = keptLog();
  const settings = gatewaySettings(context, changes);
  const composed = gatewayDependencies(settings, log.logger);
  const gateway = Gateway.create({ ...composed, reader: topic.reader() });
  context.after(() => gateway.stop());
  await gateway.init();
  return { gateway, log, directory: settings.DATADIR };
}

/** The same, started. */
export async function startGateway(
  context: Pick<TestContext, 'after'>,
  topic: Pick<NotificationsTopic, 'reader'>,
  changes: SettingChanges = {},
): Promise<TestGateway> {
  const initialised = await initGateway(context, topic, changes);
  const { gateway } = initialised;
  await gateway.start();
  // They listen, and have heard of the journal.
  await waitFor(
    async () => {
      const { dependencies } = await gateway.health(false);
      return dependencies.find(({ resource }) => resource === 'notification servers')?.status === 200;
    },
    { what: 'notification servers at the stream' },
  );
  return { ...initialised, url: `ws://127.0.0.1:${gateway.ports.http}/p2p-ws` };
}
