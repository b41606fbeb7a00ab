/** A cluster that runs: where it is, how to stop and start its brokers, and Kafka's own tools to look at it with. */

import { randomUUID } from 'node:crypto';
import kafkajs, { type Admin, type Kafka, type KafkaConfig } from 'kafkajs';
import type { KafkaTopicKey } from '../../../src/shared/messages/topics.js';
import type { SettingChanges } from '../settings.js';
import { waitFor } from '../wait.js';
import { type BrokerProcess, FAST_START } from './broker.js';
import { ADMIN, type ClusterPlan } from './configuration.js';
import { classpathOf } from './jars.js';
import { type Ended, findJava, runToEnd } from './java.js';

const READY_MS = 60_000;
const TOOL_MS = 120_000;
/** For a JVM that has to start and to join its group before the first record, on a loaded machine. */
const CONSOLE_IDLE_MS = 60_000;

/** The settings that name topics. */
const KEYS = {
  blocks: 'kafka_blocksConfig',
  subtrees: 'kafka_subtreesConfig',
  rejectedTx: 'kafka_rejectedTxConfig',
  invalidBlocks: 'kafka_invalidBlocksConfig',
  invalidSubtrees: 'kafka_invalidSubtreesConfig',
  notifications: 'kafka_notificationsConfig',
} as const satisfies Record<string, KafkaTopicKey>;
type TopicName = keyof typeof KEYS;

export interface Broker {
  /** Resolves when the cluster answers with this broker in it. */
  start(): Promise<void>;
  /** SIGTERM, with a bound. */
  stop(): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** SIGSTOP and SIGCONT: it is there and does not answer. */
  pause(): void;
  resume(): void;
  /** The last of what it said. */
  readonly output: string;
  /** Undefined while it does not run. */
  readonly pid: number | undefined;
  /** Holds its configuration and data. */
  readonly directory: string;
}

export interface ConsoleConsumerOptions {
  readonly topic: string;
  /** Ends after this many records; after as many as the topic has unless told. */
  readonly max?: number;
  /** More of its own arguments, such as `--formatter-property print.key=true`. */
  readonly args?: readonly string[];
}

export class KafkaCluster {
  /** `host:port,host:port` of the plain listener. */
  readonly brokers: string;
  readonly #addresses: readonly string[];
  readonly #processes: readonly BrokerProcess[];
  readonly #plan: ClusterPlan | undefined;
  readonly #existing: boolean;
  readonly #topics = new Set<string>();
  readonly #admins = new Set<Admin>();

  constructor(options: {
    readonly brokers: readonly string[];
    readonly processes?: readonly BrokerProcess[];
    readonly plan?: ClusterPlan;
    readonly existing?: boolean;
  }) {
    this.#addresses = options.brokers;
    this.brokers = options.brokers.join(',');
    this.#processes = options.processes ?? [];
    this.#plan = options.plan;
    this.#existing = options.existing ?? false;
  }

  /** `host:port,…` of a listener of `security`. */
  listener(name: string): string {
    const ports = this.#plan?.nodes.map(({ listeners }) => listeners[name]);
    if (ports === undefined || ports.includes(undefined)) throw new Error(`no listener ${name}`);
    return ports.map((port) => `127.0.0.1:${port}`).join(',');
  }

  /** A topic name that nothing else uses; deleted afterwards when the cluster outlives the test. */
  topic(name = 'topic'): string {
    const topic = `${name}-${randomUUID()}`;
    this.#topics.add(topic);
    return topic;
  }

  /** `kafka://…/<topic>?…` on the plain listener, or on another. */
  url(
    topic: string,
    params: Readonly<Record<string, string | number>> = {},
    brokers: string = this.brokers,
  ): string {
    this.#topics.add(topic);
    const query = new URLSearchParams(
      Object.entries(params).map(([key, value]): [string, string] => [key, String(value)]),
    );
    return `kafka://${brokers}/${topic}${query.size === 0 ? '' : `?${query}`}`;
  }

  /** Settings that put the topics named on this cluster, each under a name of its own. */
  settings(
    names: readonly TopicName[] = ['blocks', 'subtrees'],
    params: Readonly<Record<string, string | number>> = {},
    brokers: string = this.brokers,
  ): SettingChanges {
    const replicated: Record<string, number> =
      this.#addresses.length > 1 ? { replication: this.#addresses.length } : {};
    return Object.fromEntries(
      names.map((name) => [KEYS[name], this.url(this.topic(name), { ...replicated, ...params }, brokers)]),
    );
  }

  /** kafkajs on the plain listener; on the super user's own when there is access control. */
  client(config: Partial<KafkaConfig> = {}): Kafka {
    const plan = this.#plan;
    const admin =
      plan?.authorizer === true
        ? {
            brokers: plan.nodes.map((node) => `127.0.0.1:${node.admin}`),
            sasl: { mechanism: 'plain' as const, ...ADMIN },
          }
        : {};
    return new kafkajs.Kafka({
      clientId: 'test',
      brokers: [...this.#addresses],
      logLevel: kafkajs.logLevel.NOTHING,
      connectionTimeout: 1000,
      retry: { initialRetryTime: 100, retries: 5 },
      ...admin,
      ...config,
    });
  }

  /** Connected, with every right; disconnected when the test ends. */
  async admin(config: Partial<KafkaConfig> = {}): Promise<Admin> {
    const admin = this.client(config).admin();
    this.#admins.add(admin);
    await admin.connect();
    return admin;
  }

  /** Broker `n`, from 1. */
  broker(n: number): Broker {
    const process = this.#processes[n - 1];
    if (process === undefined) throw new Error(`broker ${n} is not of this test`);
    return {
      start: async () => {
        process.launch();
        await this.ready();
      },
      stop: () => process.stop(),
      kill: () => process.kill(),
      pause: () => process.pause(),
      resume: () => process.resume(),
      get output() {
        return process.output;
      },
      get pid() {
        return process.pid;
      },
      directory: process.directory,
    };
  }

  /** Resolves when every broker that runs is in the cluster and the cluster answers. */
  async ready(): Promise<void> {
    const running = this.#processes.filter((process) => process.running).length;
    const last = { error: undefined as unknown };
    const look = async (): Promise<boolean> => {
      if (this.#processes.filter((process) => process.running).length < running) {
        throw new Error('a broker ended');
      }
      const admin = this.client({ retry: { retries: 0 } }).admin();
      try {
        await admin.connect();
        const { brokers, controller } = await admin.describeCluster();
        return brokers.length >= running && controller !== null && controller >= 0;
      } catch (error) {
        last.error = error;
        return false;
      } finally {
        await admin.disconnect().catch(() => {});
      }
    };
    try {
      await waitFor(look, { timeoutMs: READY_MS, everyMs: 100, what: 'the Kafka cluster' });
    } catch (error) {
      const said = this.#processes.map((process, index) => `broker ${index + 1}:\n${process.output}`);
      throw new Error(`Kafka does not come up: ${error} (${last.error})\n${said.join('\n')}`);
    }
  }

  /** Runs one of Kafka's own programs, such as `org.apache.kafka.tools.ProducerPerformance`, to its end. */
  async tool(
    className: string,
    args: readonly string[],
    { timeoutMs = TOOL_MS }: { readonly timeoutMs?: number } = {},
  ): Promise<Ended> {
    const classpath = await classpathOf('tools-4.3.1');
    const quiet = '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn';
    return runToEnd(
      findJava(),
      ['-Xmx256m', ...FAST_START, quiet, '-cp', classpath, className, ...args],
      timeoutMs,
    );
  }

  /** How many records a topic has. */
  async count(topic: string): Promise<number> {
    const admin = this.client().admin();
    await admin.connect();
    try {
      const ends = await admin.fetchTopicOffsets(topic);
      return ends.reduce((sum, { low, high }) => sum + Number(high) - Number(low), 0);
    } finally {
      await admin.disconnect();
    }
  }

  /** The records of a topic from the oldest on as Kafka's console consumer prints them: a line each. */
  async consoleConsumer({ topic, max, args = [] }: ConsoleConsumerOptions): Promise<string[]> {
    const wanted = max ?? (await this.count(topic));
    if (wanted === 0) return [];
    const { code, stdout, stderr } = await this.tool('org.apache.kafka.tools.consumer.ConsoleConsumer', [
      ...['--bootstrap-server', this.brokers, '--topic', topic, '--from-beginning'],
      ...['--timeout-ms', String(CONSOLE_IDLE_MS), '--max-messages', String(wanted)],
      ...args,
    ]);
    // Ends with 1 when nothing came for so long: what there is tells the caller more.
    if (code !== 0 && !stderr.includes('TimeoutException')) {
      throw new Error(`the console consumer failed (${code}):\n${stderr.slice(-4000)}`);
    }
    return stdout.split('\n').slice(0, -1);
  }

  /** Kills the brokers; deletes the test's topics from a cluster that stays. */
  async close(): Promise<void> {
    if (this.#existing && this.#topics.size > 0) {
      const admin = await this.admin();
      const there = (await admin.listTopics()).filter((topic) => this.#topics.has(topic));
      if (there.length > 0) await admin.deleteTopics({ topics: there });
    }
    await Promise.all([...this.#admins].map((admin) => admin.disconnect().catch(() => {})));
    await Promise.all(this.#processes.map((process) => process.kill()));
  }
}
