/** What settings must be besides values of their types: formats, and how they fit together. */

import { isIP } from 'node:net';
import { multiaddr } from '@multiformats/multiaddr';
import ipaddr from 'ipaddr.js';
import { ConfigurationError, errorMessage } from '../errors.js';
import { MESSAGE_KINDS } from '../messages/index.js';
import { KAFKA_TOPICS } from '../messages/topics.js';
import { parseDialAddress, parseListenAddress } from '../net/listen-address.js';
import { compressionProblem } from '../sinks/kafka/kafkajs/compression.js';
import { parseKafkaUrl } from '../sinks/kafka/url.js';
import { dhtPrefix, isPrivateNetwork } from './generations.js';
import { type Generation, SETTINGS, type Setting, type SettingKey, type Settings } from './table.js';

/** Values of `logLevel`, as pino names them. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

type KeysOf<T> = { [K in SettingKey]: Settings[K] extends T ? K : never }[SettingKey];
type TextKey = KeysOf<string>;
type ListKey = KeysOf<readonly string[]>;

const LISTENING = [
  'p2p_grpcListenAddress',
  'p2p_httpListenAddress',
  'health_check_httpListenAddress',
  'profilerAddr',
] as const satisfies readonly TextKey[];

const DIALLED = [
  'p2p_grpcAddress',
  'p2p_httpAddress',
  'blockchain_grpcAddress',
  'blockvalidation_grpcAddress',
  'blockassembly_grpcAddress',
] as const satisfies readonly TextKey[];

const MULTIADDRS = [
  'p2p_bootstrapAddresses',
  'p2p_bootstrap_peers',
  'p2p_static_peers',
  'p2p_relay_peers',
] as const satisfies readonly ListKey[];

const PAIRS = [
  ['server_certFile', 'server_keyFile'],
  ['grpc_cert_file', 'grpc_key_file'],
  ['KAFKA_TLS_CERT_FILE', 'KAFKA_TLS_KEY_FILE'],
] as const satisfies readonly (readonly [TextKey, TextKey])[];

/** Whether `setting` must not be empty in `generation`. */
export function isRequired(setting: Setting, generation: Generation): boolean {
  return setting.required === 'always' || (setting.required === 'first' && generation === 'first');
}

/** What is wrong with a required setting that is empty. */
export function requiredProblem({ required }: Setting): string {
  return `is required${required === 'first' ? ' in the first generation' : ''} and must not be empty`;
}

/**
 * Every problem of `settings`, each line beginning with a setting's key. Secrets and whatever may hold one are never
 * quoted.
 */
export function checkSettings(settings: Settings): readonly string[] {
  const problems: string[] = [];
  const problem = (key: SettingKey, message: string): void => {
    problems.push(`${key}: ${message}`);
  };
  const attempt = (key: SettingKey, check: () => unknown): void => {
    try {
      check();
    } catch (error) {
      problem(key, errorMessage(error));
    }
  };

  for (const [key, setting] of Object.entries(SETTINGS as Record<SettingKey, Setting>)) {
    if (settings[key as SettingKey] === '' && isRequired(setting, settings.p2p_generation)) {
      problem(key as SettingKey, requiredProblem(setting));
    }
  }
  if (!(LOG_LEVELS as readonly string[]).includes(settings.logLevel)) {
    problem('logLevel', `${JSON.stringify(settings.logLevel)} is none of ${LOG_LEVELS.join(', ')}`);
  }
  checkKeys(settings, problem);
  if (settings.p2p_enable_peer_exchange && !settings.p2p_enable_peer_scoring) {
    problem('p2p_enable_peer_exchange', 'needs p2p_enable_peer_scoring');
  }
  checkTopics(settings, problem);
  for (const key of LISTENING) {
    if (settings[key] !== '') attempt(key, () => parseListenAddress(settings[key]));
  }
  checkPorts(settings, problem);
  for (const key of DIALLED) {
    if (settings[key] !== '') attempt(key, () => parseDialAddress(settings[key]));
  }
  // In the current generation it is a leftover, whatever it is; so is the DHT's prefix where it is not followed.
  if (settings.p2p_generation === 'first' && settings.p2p_ip !== '' && isIP(settings.p2p_ip) === 0) {
    problem('p2p_ip', `${JSON.stringify(settings.p2p_ip)} is not an IP address`);
  }
  for (const address of settings.p2p_listen_addresses) {
    if (isIP(address) === 0) {
      problem('p2p_listen_addresses', `${JSON.stringify(address)} is not a bare IP address`);
    }
  }
  for (const key of MULTIADDRS) {
    for (const address of settings[key]) attempt(key, () => parseMultiaddr(key, address));
  }
  for (const address of settings.p2p_advertise_addresses) {
    attempt('p2p_advertise_addresses', () => parseAdvertised(address));
  }
  for (const key of ['p2p_allowed_addresses', 'p2p_websocket_trusted_source_cidrs'] as const) {
    for (const address of settings[key]) {
      // Teranode's word for an empty list, which its loader cannot express.
      if (key === 'p2p_websocket_trusted_source_cidrs' && address.toLowerCase() === 'none') continue;
      if (!ipaddr.isValid(address) && !ipaddr.isValidCIDR(address)) {
        problem(key, `${JSON.stringify(address)} is neither an address nor a subnet`);
      }
    }
  }
  for (const key of [
    'asset_httpAddress',
    'asset_httpPublicAddress',
    'asset_propagation_public_url',
  ] as const) {
    if (settings[key] !== '') attempt(key, () => parseHttpUrl(settings[key]));
  }
  const compression = compressionProblem(settings.p2p_kafka_compression);
  if (compression !== undefined) problem('p2p_kafka_compression', compression);
  for (const { key, optional } of KAFKA_TOPICS.map(({ setting }) => setting)) {
    if (settings[key] !== '') problems.push(...kafkaProblems(key, settings[key]));
    else if (optional !== true) problem(key, 'must not be empty; memory:// is the embedded broker');
  }
  for (const [certificate, key] of PAIRS) {
    if ((settings[certificate] === '') !== (settings[key] === '')) {
      problem(
        settings[key] === '' ? key : certificate,
        `${certificate} and ${key} go together or not at all`,
      );
    }
  }
  if (settings.securityLevelHTTP === 1 && settings.server_certFile === '' && settings.server_keyFile === '') {
    problem('server_certFile', 'securityLevelHTTP 1 needs server_certFile and server_keyFile');
  }
  if (settings.security_level_grpc === 3 && settings.grpc_cert_file === '' && settings.grpc_key_file === '') {
    problem('grpc_cert_file', 'security_level_grpc 3 needs grpc_cert_file and grpc_key_file');
  }
  const store = settings.blockchain_store.trim();
  if (/^postgres(?:ql)?:/i.test(store) && !URL.canParse(store)) {
    problem('blockchain_store', 'is not a URL postgres://user:password@host:port/database');
  }
  if (settings.prometheusEndpoint !== '' && !/^\/[\w./-]*$/.test(settings.prometheusEndpoint)) {
    problem('prometheusEndpoint', 'is not a path such as /metrics');
  }
  if (!/^\/[\w./-]*$/.test(dhtPrefix(settings))) {
    problem('p2p_dht_protocol_id', 'is not a prefix such as /teranode');
  }
  if (
    settings.p2p_force_sync_peer !== '' &&
    !/^[1-9A-HJ-NP-Za-km-z]{32,128}$/.test(settings.p2p_force_sync_peer)
  ) {
    problem('p2p_force_sync_peer', 'is not a peer ID');
  }
  return problems;
}

type Problem = (key: SettingKey, message: string) => void;

function checkKeys(settings: Settings, problem: Problem): void {
  // On a public network it is a leftover, whatever it is.
  if (isPrivateNetwork(settings)) {
    if (settings.p2p_shared_key === '') {
      if (settings.p2p_generation !== 'first') {
        problem('p2p_shared_key', 'must not be empty where p2p_private_network is true');
      }
    } else if (!/^[0-9a-fA-F]{64}$/.test(settings.p2p_shared_key)) {
      problem('p2p_shared_key', 'is not 64 hex digits');
    }
  }
  const key = settings.p2p_private_key.toLowerCase();
  if (key === '') return;
  if (!/^(?:[0-9a-f]{128}|08011240[0-9a-f]{128}|[0-9a-f]{192})$/.test(key)) {
    problem('p2p_private_key', 'is not 128 or 192 hex digits');
  } else if (key.length === 192 && key.slice(64, 128) !== key.slice(128)) {
    problem('p2p_private_key', 'its two public halves differ');
  }
}

function checkTopics(settings: Settings, problem: Problem): void {
  const keyOf = new Map<string, SettingKey>();
  for (const { key, required } of MESSAGE_KINDS.map((kind) => kind.topic)) {
    const topic = settings[key];
    if (topic === '') {
      // In the first generation the rule of required settings has said so already.
      if (settings.p2p_generation === 'current' || required === undefined) problem(key, 'must not be empty');
      continue;
    }
    if (!/^[\x21-\x7e]{1,128}$/.test(topic)) problem(key, 'is not 1 to 128 printable ASCII characters');
    const other = keyOf.get(topic);
    if (other !== undefined) problem(key, `names the same topic as ${other}`);
    keyOf.set(topic, key);
  }
  if (settings.p2p_topic_prefix !== '' && !/^[\x21-\x7e]{1,128}$/.test(settings.p2p_topic_prefix)) {
    problem('p2p_topic_prefix', 'is not 1 to 128 printable ASCII characters');
  }
}

/** Two listeners on one port, on the same host or on any. */
function checkPorts(settings: Settings, problem: Problem): void {
  const taken: { key: SettingKey; host: string | undefined; port: number }[] = [];
  const take = (key: SettingKey, host: string | undefined, port: number): void => {
    if (port === 0) return;
    const any = (name: string | undefined) => name === undefined || name === '0.0.0.0' || name === '::';
    const other = taken.find(
      (one) => one.key !== key && one.port === port && (any(host) || any(one.host) || one.host === host),
    );
    if (other !== undefined) problem(key, `port ${port} is that of ${other.key}`);
    taken.push({ key, host, port });
  };
  const own =
    settings.p2p_generation === 'first' && settings.p2p_listen_addresses.length === 0
      ? [settings.p2p_ip]
      : settings.p2p_listen_addresses;
  if (own.length === 0) take('p2p_port', undefined, settings.p2p_port);
  for (const host of own) take('p2p_port', host, settings.p2p_port);
  for (const key of LISTENING) {
    try {
      const { host, port } = parseListenAddress(settings[key]);
      take(key, host, port);
    } catch {
      // Empty, or already a problem.
    }
  }
}

function parseMultiaddr(key: SettingKey, address: string): void {
  let names: readonly string[];
  try {
    names = multiaddr(address)
      .getComponents()
      .map(({ name }) => name);
  } catch (error) {
    throw new RangeError(`${JSON.stringify(address)} is not a multiaddr: ${errorMessage(error)}`);
  }
  const needsId = key === 'p2p_static_peers' || (key !== 'p2p_advertise_addresses' && names[0] !== 'dnsaddr');
  if (needsId && names.at(-1) !== 'p2p') {
    throw new RangeError(`${JSON.stringify(address)} does not end in /p2p/<peer ID>`);
  }
}

/** A multiaddr, or a bare host with or without a port. */
function parseAdvertised(address: string): void {
  if (address.startsWith('/')) parseMultiaddr('p2p_advertise_addresses', address);
  else if (isIP(address) === 0) parseListenAddress(/:\d+$/.test(address) ? address : `${address}:0`);
}

function parseHttpUrl(text: string): void {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new RangeError('is not an http or https URL');
  }
  if (url.username !== '' || url.password !== '') {
    throw new RangeError('holds credentials, which peers would be told');
  }
}

function kafkaProblems(key: TextKey, text: string): readonly string[] {
  try {
    parseKafkaUrl(key, text);
    return [];
  } catch (error) {
    return error instanceof ConfigurationError ? error.problems : [`${key}: ${errorMessage(error)}`];
  }
}
