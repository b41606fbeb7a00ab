/** Apache Kafka for a test: brokers of its own on loopback, or the cluster that `KAFKA_BROKERS` names. */

import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../ports.js';
import type { CleansUp } from '../temporary.js';
import { BrokerProcess } from './broker.js';
import { KafkaCluster } from './cluster.js';
import {
  type ClusterPlan,
  formatArguments,
  type KafkaSecurity,
  type NodePorts,
  propertiesOf,
} from './configuration.js';
import { classpathOf, type JarList } from './jars.js';

export { type Broker, KafkaCluster } from './cluster.js';

/** Kafka 3.9 in its newest patch, and the newest 4. */
export const KAFKA_VERSIONS = { '3.9': 'broker-3.9.2', '4': 'broker-4.4.0' } as const satisfies Record<
  string,
  JarList
>;
export type KafkaVersion = keyof typeof KAFKA_VERSIONS;

export interface KafkaOptions {
  /** Three replicate everything thrice, two of which must have a record; 1 unless told. */
  readonly brokers?: 1 | 3;
  /** What `KAFKA_VERSION` says unless told, and without that the newest 4. */
  readonly version?: KafkaVersion;
  /** Listeners besides the plain one. */
  readonly security?: KafkaSecurity;
  /** Access control: everybody is allowed what no ACL speaks of; ACLs are given through `cluster.admin()`. */
  readonly authorizer?: boolean;
  /** Lines of `server.properties` besides. */
  readonly config?: Readonly<Record<string, string>>;
  /** Of the plain listener of one broker; one that is free unless told. */
  readonly port?: number;
  /** The test stops brokers: `KAFKA_BROKERS` is not for it. */
  readonly own?: boolean;
}

/** Resolves when every broker answers. Everything is gone when `context` is cleaned up. */
export async function startKafka(context: CleansUp, options: KafkaOptions = {}): Promise<KafkaCluster> {
  const existing = process.env.KAFKA_BROKERS ?? '';
  if (existing !== '' && !needsOwn(options)) {
    const cluster = new KafkaCluster({ brokers: existing.split(','), existing: true });
    context.after(() => cluster.close());
    return cluster;
  }
  const { brokers: count = 1, version = chosenVersion() } = options;
  const classpath = await classpathOf(KAFKA_VERSIONS[version]);
  const { security = { listeners: {} }, authorizer = false, config = {}, port } = options;
  const chosen = await choosePorts(count, security);
  const nodes = port === undefined ? chosen : chosen.map((node) => ({ ...node, plain: port }));
  const plan: ClusterPlan = { nodes, security, authorizer, config };
  const directory = mkdtempSync(join(tmpdir(), 'teranode-p2p-kafka-'));
  const processes = plan.nodes.map((_, index) => {
    const id = index + 1;
    const own = join(directory, `broker-${id}`);
    mkdirSync(own);
    const properties = join(own, 'server.properties');
    writeFileSync(properties, propertiesOf(plan, id, join(own, 'data')));
    return new BrokerProcess({ classpath, id, directory: own, properties });
  });
  const cluster = new KafkaCluster({
    brokers: plan.nodes.map(({ plain }) => `127.0.0.1:${plain}`),
    processes,
    plan,
  });
  context.after(async () => {
    await cluster.close();
    rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  });
  const clusterId = randomClusterId();
  await Promise.all(
    processes.map((broker, index) => {
      const properties = join(directory, `broker-${index + 1}`, 'server.properties');
      return broker.format(formatArguments(plan, clusterId, properties));
    }),
  );
  for (const broker of processes) broker.launch();
  await cluster.ready();
  return cluster;
}

function chosenVersion(): KafkaVersion {
  const told = process.env.KAFKA_VERSION || '4';
  if (Object.hasOwn(KAFKA_VERSIONS, told)) return told as KafkaVersion;
  throw new Error(`KAFKA_VERSION: ${told} is none of ${Object.keys(KAFKA_VERSIONS).join(', ')}`);
}

function needsOwn({
  brokers = 1,
  version,
  security,
  authorizer,
  config,
  port,
  own = false,
}: KafkaOptions): boolean {
  return (
    own ||
    brokers > 1 ||
    [version, security, authorizer, config, port].some((option) => option !== undefined && option !== false)
  );
}

async function choosePorts(count: number, { listeners }: KafkaSecurity): Promise<NodePorts[]> {
  const names = Object.keys(listeners);
  const each = 3 + names.length;
  const ports = await freePorts(count * each);
  return Array.from({ length: count }, (_, node) => {
    const [plain = 0, controller = 0, admin = 0, ...rest] = ports.slice(node * each, (node + 1) * each);
    return {
      plain,
      controller,
      admin,
      listeners: Object.fromEntries(names.map((name, index) => [name, rest[index] ?? 0])),
    };
  });
}

/** 16 bytes as Kafka writes them; the first is small, as a name that begins with a hyphen reads like an option. */
function randomClusterId(): string {
  const bytes = randomBytes(16);
  bytes[0] = 1;
  return bytes.toString('base64url');
}
