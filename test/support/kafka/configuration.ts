/** What a broker of the tests is told: `server.properties` and the arguments that format its storage. */

import type { TestCertificate } from '../certificates.js';

/** A listener besides the plain one. */
interface ListenerSecurity {
  /** TLS with this certificate. */
  readonly certificate?: Pick<TestCertificate, 'certificate' | 'key'>;
  /** Mutual TLS: the certificates (PEM) that a client's must be signed by. */
  readonly clientAuthority?: string;
  /** SASL, every mechanism: the users of the cluster. */
  readonly sasl?: boolean;
  /** Port that clients are told instead of its own: a proxy's. */
  readonly advertised?: number;
}

export interface KafkaSecurity {
  /** Names of lower-case letters and digits. */
  readonly listeners: Readonly<Record<string, ListenerSecurity>>;
  /** Names and passwords for SASL PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512. */
  readonly users?: Readonly<Record<string, string>>;
}

export interface NodePorts {
  readonly plain: number;
  readonly controller: number;
  readonly admin: number;
  readonly listeners: Readonly<Record<string, number>>;
}

export interface ClusterPlan {
  readonly nodes: readonly NodePorts[];
  readonly security: KafkaSecurity;
  readonly authorizer: boolean;
  readonly config: Readonly<Record<string, string>>;
}

export const ADMIN = { username: 'admin', password: 'admin-of-the-tests' } as const;
const MECHANISMS = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const;

/** `server.properties` of node `id`, from 1. */
export function propertiesOf(plan: ClusterPlan, id: number, directory: string): string {
  const { nodes, security, authorizer, config } = plan;
  const ports = nodes[id - 1];
  if (ports === undefined) throw new Error(`no node ${id}`);
  const listeners: { name: string; port: number; protocol: string; advertised?: number | undefined }[] = [
    { name: 'PLAIN', port: ports.plain, protocol: 'PLAINTEXT' },
    ...(authorizer ? [{ name: 'ADMIN', port: ports.admin, protocol: 'SASL_PLAINTEXT' }] : []),
    ...Object.entries(security.listeners).map(([name, listener]) => ({
      name: name.toUpperCase(),
      port: ports.listeners[name] ?? 0,
      protocol: protocolOf(listener),
      advertised: listener.advertised,
    })),
  ];
  const controller = {
    name: 'CONTROLLER',
    port: ports.controller,
    protocol: authorizer ? 'SASL_PLAINTEXT' : 'PLAINTEXT',
  };
  const all = [...listeners, controller];
  const at = ({ name, port }: { name: string; port: number }) => `${name}://127.0.0.1:${port}`;
  const replication = String(nodes.length);
  return format({
    'process.roles': 'broker,controller',
    'node.id': String(id),
    'controller.quorum.voters': nodes
      .map(({ controller: port }, index) => `${index + 1}@127.0.0.1:${port}`)
      .join(','),
    listeners: all.map(at).join(','),
    'advertised.listeners': listeners
      .map((listener) => at({ ...listener, port: listener.advertised ?? listener.port }))
      .join(','),
    'listener.security.protocol.map': all.map(({ name, protocol }) => `${name}:${protocol}`).join(','),
    'inter.broker.listener.name': authorizer ? 'ADMIN' : 'PLAIN',
    'controller.listener.names': 'CONTROLLER',
    'log.dirs': directory,
    'default.replication.factor': replication,
    'min.insync.replicas': nodes.length > 1 ? '2' : '1',
    'offsets.topic.replication.factor': replication,
    'offsets.topic.num.partitions': '3',
    'transaction.state.log.replication.factor': replication,
    'transaction.state.log.min.isr': nodes.length > 1 ? '2' : '1',
    'transaction.state.log.num.partitions': '3',
    'share.coordinator.state.topic.replication.factor': replication,
    'share.coordinator.state.topic.min.isr': '1',
    'share.coordinator.state.topic.num.partitions': '1',
    'auto.create.topics.enable': 'false',
    'group.initial.rebalance.delay.ms': '0',
    'group.min.session.timeout.ms': '1000',
    'controlled.shutdown.max.retries': '1',
    'log.cleaner.dedupe.buffer.size': '4194304',
    'num.network.threads': '2',
    'num.io.threads': '4',
    // How long a broker that was killed stays in the way of others, and of itself started again.
    'broker.session.timeout.ms': nodes.length > 1 ? '6000' : '3000',
    'broker.heartbeat.interval.ms': '500',
    ...saslProperties(plan),
    ...Object.fromEntries(
      Object.entries(security.listeners).flatMap(([name, listener]) => tlsProperties(name, listener)),
    ),
    ...(authorizer
      ? {
          'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
          'allow.everyone.if.no.acl.found': 'true',
          'super.users': `User:${ADMIN.username}`,
        }
      : {}),
    ...config,
  });
}

/** SCRAM's users are part of the storage from its first day; PLAIN's are part of the configuration. */
export function formatArguments({ security }: ClusterPlan, clusterId: string, properties: string): string[] {
  const users = Object.entries(security.users ?? {}).flatMap(([name, password]) =>
    MECHANISMS.slice(1).flatMap((mechanism) => [
      '--add-scram',
      `${mechanism}=[name=${name},password=${password}]`,
    ]),
  );
  return ['format', '--cluster-id', clusterId, '--config', properties, ...users];
}

function protocolOf({ certificate, sasl = false }: ListenerSecurity): string {
  if (sasl) return certificate === undefined ? 'SASL_PLAINTEXT' : 'SASL_SSL';
  return certificate === undefined ? 'PLAINTEXT' : 'SSL';
}

function saslProperties({ security, authorizer }: ClusterPlan): Record<string, string> {
  const users = { ...security.users, ...(authorizer ? { [ADMIN.username]: ADMIN.password } : {}) };
  const plain = [
    'org.apache.kafka.common.security.plain.PlainLoginModule required',
    `username="${ADMIN.username}" password="${ADMIN.password}"`,
    ...Object.entries(users).map(([name, password]) => `user_${name}="${password}"`),
  ].join(' ');
  const scram = 'org.apache.kafka.common.security.scram.ScramLoginModule required';
  const names = [
    ...Object.entries(security.listeners).flatMap(([name, { sasl }]) => (sasl ? [name] : [])),
    ...(authorizer ? ['admin', 'controller'] : []),
  ];
  if (names.length === 0) return {};
  const jaas = names.flatMap((name) => [
    [`listener.name.${name}.plain.sasl.jaas.config`, `${plain};`],
    [`listener.name.${name}.scram-sha-256.sasl.jaas.config`, `${scram};`],
    [`listener.name.${name}.scram-sha-512.sasl.jaas.config`, `${scram};`],
  ]);
  return {
    'sasl.enabled.mechanisms': MECHANISMS.join(','),
    'sasl.mechanism.inter.broker.protocol': 'PLAIN',
    'sasl.mechanism.controller.protocol': 'PLAIN',
    ...Object.fromEntries(jaas),
  };
}

function tlsProperties(name: string, { certificate, clientAuthority }: ListenerSecurity): [string, string][] {
  if (certificate === undefined) return [];
  const prefix = `listener.name.${name}.ssl`;
  return [
    [`${prefix}.keystore.type`, 'PEM'],
    [`${prefix}.keystore.key`, certificate.key],
    [`${prefix}.keystore.certificate.chain`, certificate.certificate],
    ...(clientAuthority === undefined
      ? []
      : ([
          [`${prefix}.client.auth`, 'required'],
          [`${prefix}.truststore.type`, 'PEM'],
          [`${prefix}.truststore.certificates`, clientAuthority],
        ] as [string, string][])),
  ];
}

/** As `java.util.Properties` reads it. */
function format(properties: Readonly<Record<string, string>>): string {
  const escaped = (value: string) =>
    value.replaceAll('\\', '\\\\').replaceAll('\r', '').replaceAll('\n', '\\n');
  return Object.entries(properties)
    .map(([key, value]) => `${key}=${escaped(value)}\n`)
    .join('');
}
