/** How settings must fit together. What each must be by itself is in its row. */

import { isIP } from 'node:net';
import { MESSAGE_KINDS } from '../messages/index.js';
import type { ListenAddress } from '../net/listen-address.js';
import { dhtPrefix, isPrivateNetwork } from './generations.js';
import type { Generation, Setting } from './setting.js';
import { ROWS, type SettingKey, type Settings } from './table.js';

type KeysOf<T> = { [K in SettingKey]: Settings[K] extends T ? K : never }[SettingKey];
type TextKey = KeysOf<string>;

const LISTENING = [
  'p2p_grpcListenAddress',
  'p2p_httpListenAddress',
  'health_check_httpListenAddress',
  'profilerAddr',
] as const satisfies readonly KeysOf<ListenAddress | undefined>[];

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

type Problem = (key: SettingKey, message: string) => void;

/**
 * Every problem of `settings` together, each line beginning with a setting's key. `unread`: keys that have their defaults because their
 * texts could not be read, of which nothing is to be concluded.
 */
export function checkSettings(
  settings: Settings,
  unread: ReadonlySet<string> = new Set(),
): readonly string[] {
  const problems: string[] = [];
  const problem: Problem = (key, message) => {
    problems.push(`${key}: ${message}`);
  };
  for (const [key, setting] of ROWS) {
    if (isRequired(setting, settings.p2p_generation) && setting.format(settings[key]) === '')
      problem(key, requiredProblem(setting));
  }
  checkFollowed(settings, problem);
  checkTopics(settings, unread, problem);
  checkPorts(settings, unread, problem);
  checkFiles(settings, problem);
  if (settings.p2p_enable_peer_exchange && !settings.p2p_enable_peer_scoring) {
    problem('p2p_enable_peer_exchange', 'needs p2p_enable_peer_scoring');
  }
  for (const { text, portless } of settings.p2p_advertise_addresses) {
    if (portless && settings.p2p_port === 0)
      problem('p2p_advertise_addresses', `${JSON.stringify(text)}: needs a port, since p2p_port is 0`);
  }
  return problems;
}

/** What is checked only where the generation follows it; elsewhere it is a leftover, whatever it is. */
function checkFollowed(settings: Settings, problem: Problem): void {
  if (isPrivateNetwork(settings)) {
    if (settings.p2p_shared_key === '') {
      // In the first generation the rule of required settings has said so already.
      if (settings.p2p_generation !== 'first') {
        problem('p2p_shared_key', 'must not be empty where p2p_private_network is true');
      }
    } else if (!/^[0-9a-fA-F]{64}$/.test(settings.p2p_shared_key)) {
      problem('p2p_shared_key', 'is not 64 hex digits');
    }
  }
  if (settings.p2p_generation === 'first' && settings.p2p_ip !== '' && isIP(settings.p2p_ip) === 0) {
    problem('p2p_ip', `${JSON.stringify(settings.p2p_ip)} is not an IP address`);
  }
  if (!/^\/[\w./-]*$/.test(dhtPrefix(settings))) {
    problem('p2p_dht_protocol_id', 'is not a prefix such as /teranode');
  }
}

function checkTopics(settings: Settings, unread: ReadonlySet<string>, problem: Problem): void {
  const keyOf = new Map<string, SettingKey>();
  const keys = MESSAGE_KINDS.map(({ topic }) => topic.key);
  for (const key of keys.filter((key) => !unread.has(key))) {
    const other = keyOf.get(settings[key]);
    if (other !== undefined) problem(key, `names the same topic as ${other}`);
    keyOf.set(settings[key], key);
  }
}

/** Two listeners on one port, on the same host or on any. */
function checkPorts(settings: Settings, unread: ReadonlySet<string>, problem: Problem): void {
  const ports = new TakenPorts(unread, problem);
  const own =
    settings.p2p_generation === 'first' && settings.p2p_listen_addresses.length === 0
      ? [settings.p2p_ip]
      : settings.p2p_listen_addresses;
  if (own.length === 0) ports.take('p2p_port', undefined, settings.p2p_port);
  for (const host of own) ports.take('p2p_port', host, settings.p2p_port);
  for (const key of LISTENING) ports.listen(key, settings[key]);
}

/** Of the listeners `keys` alone: lines that begin with a setting's key. */
export function clashingPorts(
  settings: Settings,
  unread: ReadonlySet<string>,
  keys: readonly (typeof LISTENING)[number][],
): readonly string[] {
  const problems: string[] = [];
  const ports = new TakenPorts(unread, (key, message) => problems.push(`${key}: ${message}`));
  for (const key of keys) ports.listen(key, settings[key]);
  return problems;
}

class TakenPorts {
  readonly #unread: ReadonlySet<string>;
  readonly #problem: Problem;
  readonly #taken: { key: SettingKey; host: string | undefined; port: number }[] = [];

  constructor(unread: ReadonlySet<string>, problem: Problem) {
    this.#unread = unread;
    this.#problem = problem;
  }

  listen(key: SettingKey, address: ListenAddress | undefined): void {
    if (address !== undefined) this.take(key, address.host, address.port);
  }

  take(key: SettingKey, host: string | undefined, port: number): void {
    if (port === 0 || this.#unread.has(key)) return;
    const any = (name: string | undefined) => name === undefined || name === '0.0.0.0' || name === '::';
    const other = this.#taken.find(
      (one) => one.key !== key && one.port === port && (any(host) || any(one.host) || one.host === host),
    );
    if (other !== undefined) this.#problem(key, `port ${port} is that of ${other.key}`);
    this.#taken.push({ key, host, port });
  }
}

function checkFiles(settings: Settings, problem: Problem): void {
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
}
