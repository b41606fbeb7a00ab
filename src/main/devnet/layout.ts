/** Who is who in the development network: directories, keys, ports and settings of its three nodes. */

import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { ConfigurationError, errorMessage } from '../../shared/errors.js';
import { makeDirectory } from '../../shared/files/make-directory.js';
import { KAFKA_TOPICS } from '../../shared/messages/topics.js';
import { settingKey } from '../../shared/settings/load.js';
import { type SetValues, STANDALONE, setArguments } from '../../shared/settings/standalone.js';
import type { SettingKey } from '../../shared/settings/table.js';
import { generateKeyHex, KEY_FILE_NAME, parseKeyHex } from '../node/identity/keys.js';

const NODES = 3;
/** Between a node's ports and the next one's. */
const STRIDE = 10;
const HOST = '127.0.0.1';

const BASE_PORTS = {
  p2p_grpcListenAddress: 9904,
  p2p_port: 9905,
  p2p_httpListenAddress: 9906,
  health_check_httpListenAddress: 8000,
  profilerAddr: 9091,
} as const satisfies Partial<Record<SettingKey, number>>;

type PortSetting = keyof typeof BASE_PORTS;

export interface DevnetNode {
  readonly name: string;
  readonly directory: string;
  /** Base58. */
  readonly peerId: string;
  readonly ports: Readonly<Record<PortSetting, number>>;
}

export interface LayoutOptions {
  readonly directory: string;
  /** Added to every port. */
  readonly portOffset: number;
}

/** The three nodes, their directories and keys made where missing. Throws ConfigurationError naming a bad key file. */
export async function layOut({ directory, portOffset }: LayoutOptions): Promise<readonly DevnetNode[]> {
  const nodes: DevnetNode[] = [];
  for (let index = 0; index < NODES; index++) {
    const name = `node${index + 1}`;
    const own = resolve(directory, name);
    const ports = Object.fromEntries(
      Object.entries(BASE_PORTS).map(([setting, port]) => [setting, port + index * STRIDE + portOffset]),
    ) as Record<PortSetting, number>;
    nodes.push({ name, directory: own, peerId: await peerIdIn(own), ports });
  }
  return nodes;
}

async function peerIdIn(directory: string): Promise<string> {
  const path = join(directory, KEY_FILE_NAME);
  try {
    makeDirectory(directory);
    if (!existsSync(path)) {
      writeFileSync(path, await generateKeyHex(), { mode: 0o600 });
      chmodSync(path, 0o600);
    }
    return peerIdFromPrivateKey(await parseKeyHex(readFileSync(path, 'utf8'))).toString();
  } catch (error) {
    throw new ConfigurationError([`DATADIR: ${path}: ${errorMessage(error)}`]);
  }
}

/** What can be changed about the network's pace. Milliseconds. */
export interface Pace {
  readonly blocks: number;
  readonly subtrees: number;
  readonly rejected: number;
}

export interface NodeOptions {
  readonly validationPort: number;
  readonly pace: Pace;
  readonly logLevel: string;
  /** `key=value` each, for every node. */
  readonly sets: readonly string[];
}

/** What is given to a node, and `--set` may change. */
const CHANGEABLE: ReadonlySet<string> = new Set<SettingKey>([
  ...KAFKA_TOPICS.map(({ setting }) => setting.key),
  'kafka_record_format',
  'p2p_checkers',
  'p2p_notification_servers',
  'p2p_validation_forward',
]);

/** Options of the command that say what `--set` may not. */
const OPTIONS: Partial<Record<SettingKey, string>> = {
  DATADIR: '--data',
  logLevel: '--log-level',
  p2p_embedded_mining_interval: '--blocks',
  p2p_embedded_subtree_interval: '--subtrees',
  p2p_embedded_rejected_tx_interval: '--rejected',
  ...Object.fromEntries(Object.keys(BASE_PORTS).map((key) => [key, '--port-offset'])),
};

/**
 * `key=value` for each setting of a node. Also says what might otherwise come in from the operator's own settings files
 * and environment. Throws ConfigurationError naming each of `sets` that is not to be changed.
 */
export function settingsOfNode(
  node: DevnetNode,
  nodes: readonly DevnetNode[],
  { sets, ...options }: NodeOptions,
): readonly string[] {
  const given = givenTo(node, nodes, options);
  const problems = sets.flatMap((set) => {
    const key = settingKey(set.split('=', 1)[0]?.trim() ?? '');
    if (key === undefined || !Object.hasOwn(given, key) || CHANGEABLE.has(key)) return [];
    const option = OPTIONS[key];
    return `${key}: the development network sets it itself${option === undefined ? '' : `; use ${option}`}`;
  });
  if (problems.length > 0) throw new ConfigurationError(problems);
  return [...setArguments(given), ...sets];
}

function givenTo(
  node: DevnetNode,
  nodes: readonly DevnetNode[],
  { validationPort, pace, logLevel }: Omit<NodeOptions, 'sets'>,
): SetValues {
  const { ports } = node;
  const mines = node === nodes[0];
  return {
    ...STANDALONE,
    network: 'regtest',
    clientName: node.name,
    DATADIR: node.directory,
    listen_mode: 'full',
    logLevel,
    shutdown_timeout: '5s',
    p2p_listen_addresses: HOST,
    p2p_port: ports.p2p_port,
    p2p_dht_mode: 'off',
    p2p_bootstrap_peers: '',
    p2p_static_peers: nodes
      .filter((other) => other !== node)
      .map((other) => `/ip4/${HOST}/tcp/${other.ports.p2p_port}/p2p/${other.peerId}`)
      .join('|'),
    p2p_allow_private_ips: true,
    p2p_enable_nat: false,
    p2p_enable_mdns: false,
    p2p_checkers: 1,
    p2p_notification_servers: 1,
    asset_httpAddress: `http://${HOST}:${8090 + ports.p2p_port - BASE_PORTS.p2p_port}`,
    blockvalidation_grpcAddress: `${HOST}:${validationPort}`,
    p2p_validation_forward: true,
    p2p_grpcListenAddress: `${HOST}:${ports.p2p_grpcListenAddress}`,
    p2p_grpcAddress: `localhost:${ports.p2p_grpcListenAddress}`,
    p2p_httpListenAddress: `${HOST}:${ports.p2p_httpListenAddress}`,
    p2p_httpAddress: `localhost:${ports.p2p_httpListenAddress}`,
    health_check_httpListenAddress: `${HOST}:${ports.health_check_httpListenAddress}`,
    profilerAddr: `${HOST}:${ports.profilerAddr}`,
    p2p_embedded_mining_interval: mines ? `${pace.blocks}ms` : '0s',
    p2p_embedded_subtree_interval: mines ? `${pace.subtrees}ms` : '0s',
    p2p_embedded_rejected_tx_interval: mines ? `${pace.rejected}ms` : '0s',
  };
}

/** Throws ConfigurationError naming node, setting and port of everything that is taken. */
export async function checkPorts(nodes: readonly DevnetNode[]): Promise<void> {
  const problems: string[] = [];
  for (const { name, ports } of nodes) {
    for (const [setting, port] of Object.entries(ports)) {
      const fault = await portFault(port);
      if (fault !== undefined) problems.push(`${setting}: port ${port} of ${name} ${fault}`);
    }
  }
  if (problems.length > 0) throw new ConfigurationError(problems);
}

function portFault(port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', (error: NodeJS.ErrnoException) =>
      resolve(error.code === 'EADDRINUSE' ? 'is in use' : `cannot be listened on: ${error.message}`),
    );
    probe.listen({ host: HOST, port, exclusive: true }, () => probe.close(() => resolve(undefined)));
  });
}
