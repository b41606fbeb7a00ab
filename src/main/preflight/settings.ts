/** Everything that is wrong with settings, before anything is built on them. */

import { createPrivateKey, createPublicKey } from 'node:crypto';
import { ConfigurationError, errorMessage } from '../../shared/errors.js';
import { channelProblems, grpcTarget } from '../../shared/grpc/channel.js';
import { adminKeyFileProblems } from '../../shared/secrets/secrets.js';
import { checkSettings } from '../../shared/settings/checks.js';
import type { SettingsOrigin } from '../../shared/settings/load.js';
import type { SettingKey, Settings } from '../../shared/settings/table.js';
import { kafkaSecurityProblems, onCluster } from '../../shared/sinks/kafka/security-settings.js';
import { announcedUrls } from '../announce/urls.js';
import { miningProblem } from '../chain/embedded-chain.js';
import { AdminKey } from '../grpc/admin-key.js';
import { grpcServerProblems } from '../grpc/server.js';
import { announceMultiaddrs, listenMultiaddrs } from '../node/addresses/multiaddrs.js';
import { swarmKey } from '../node/identity/pre-shared-key.js';
import {
  bootstrapPeerAddresses,
  olderBootstrapIds,
  relayPeerAddresses,
  staticPeerAddresses,
} from '../node/peering/bootstrap.js';
import { islandProblems } from '../server/isolation.js';
import { notificationProblems } from '../websocket/index.js';

const NEIGHBOURS = [
  'blockchain_grpcAddress',
  'blockvalidation_grpcAddress',
  'blockassembly_grpcAddress',
] as const satisfies readonly SettingKey[];

/**
 * One line for each problem, beginning with its key; what several checks find wrong with one value is told once. `unread`:
 * keys whose values could not be read, so that `settings` has their defaults, of which nothing is to be concluded; `origin`: where they were found.
 */
export function settingsProblems(
  settings: Settings,
  unread: ReadonlySet<string> = new Set(),
  origin?: SettingsOrigin,
): readonly string[] {
  const told = new Told();
  told.add(checkSettings(settings));
  // What the parts would throw when they are built or started, asked of all of them at once.
  for (const problems of [
    notificationProblems(settings),
    grpcServerProblems(settings),
    thrown('asset_httpAddress', () => announcedUrls(settings)),
    onCluster(settings) ? kafkaSecurityProblems(settings) : [],
    ...neighbourProblems(settings),
    thrown('grpc_admin_api_key', () => {
      if (settings.grpc_admin_api_key !== '') new AdminKey(settings.grpc_admin_api_key);
    }),
    adminKeyFileProblems(settings),
    thrown('p2p_private_key', () => checkPublicHalf(settings.p2p_private_key)),
    thrown('p2p_shared_key', () => swarmKey(settings)),
    thrown('p2p_listen_addresses', () => listenMultiaddrs(settings)),
    thrown('p2p_advertise_addresses', () => announceMultiaddrs(settings)),
    thrown('p2p_static_peers', () => staticPeerAddresses(settings)),
    thrown('p2p_bootstrap_peers', () => bootstrapPeerAddresses({ ...settings, p2p_bootstrapAddresses: [] })),
    thrown('p2p_bootstrapAddresses', () => olderBootstrapIds(settings)),
    thrown('p2p_relay_peers', () => relayPeerAddresses(settings)),
    embeddedProblems(settings, unread),
    unread.size === 0 ? islandProblems(settings, origin) : [],
  ]) {
    told.add(problems);
  }
  return told.problems;
}

/** Throws ConfigurationError with every problem. */
export function refuseProblems(settings: Settings, origin?: SettingsOrigin): void {
  const problems = settingsProblems(settings, new Set(), origin);
  if (problems.length > 0) throw new ConfigurationError(problems);
}

/** Problems of several checks: a later one says nothing of a value that an earlier one has spoken of. */
class Told {
  readonly problems: string[] = [];

  add(lines: readonly string[]): void {
    const before = this.problems.map(subjectOf);
    for (const line of lines) {
      const { key, value } = subjectOf(line);
      const same = before.some(
        (one) => one.key === key && (one.value === value || one.value === undefined || value === undefined),
      );
      if (!same) this.problems.push(line);
    }
  }
}

/** The key of a problem and, where it goes on with one in quotes, the value or the entry of a list that it is about. */
function subjectOf(problem: string): { readonly key: string; readonly value: string | undefined } {
  const [, key = '', value] = /^([^:]*)(?:: ("(?:[^"\\]|\\.)*"))?/.exec(problem) ?? [];
  return { key, value };
}

/** What `check` throws, as lines; that of an error that names no key begins with `key`. */
function thrown(key: SettingKey, check: () => unknown): readonly string[] {
  try {
    check();
    return [];
  } catch (error) {
    return error instanceof ConfigurationError ? error.problems : [`${key}: ${errorMessage(error)}`];
  }
}

function neighbourProblems(settings: Settings): readonly (readonly string[])[] {
  const called = NEIGHBOURS.filter((key) => settings[key] !== '');
  return [
    ...called.map((key) => thrown(key, () => grpcTarget(settings[key], key))),
    called.length === 0 ? [] : channelProblems(settings),
  ];
}

function embeddedProblems(settings: Settings, unread: ReadonlySet<string>): readonly string[] {
  const problems: string[] = [];
  const mining = settings.blockchain_grpcAddress === '' ? miningProblem(settings) : undefined;
  if (mining !== undefined && !unread.has('network')) problems.push(mining);
  if (settings.p2p_embedded_rejected_tx_interval > 0 && settings.kafka_rejectedTxConfig === '') {
    problems.push('p2p_embedded_rejected_tx_interval: needs kafka_rejectedTxConfig');
  }
  return problems;
}

/** DER of an Ed25519 private key, up to its 32 secret bytes. */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');

/** Throws RangeError where the public half of a node key in hex is not its secret half's; other faults are found before. */
function checkPublicHalf(text: string): void {
  const bytes = Buffer.from(text.trim().replace(/^08011240(?=[0-9a-f]{128}$)/i, ''), 'hex');
  if (bytes.length !== 64 && bytes.length !== 96) return;
  const der = Buffer.concat([PKCS8, bytes.subarray(0, 32)]);
  const secret = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  const spki = createPublicKey(secret).export({ format: 'der', type: 'spki' });
  if (!bytes.subarray(32, 64).equals(spki.subarray(-32))) {
    throw new RangeError('has a public half that does not belong to its secret half');
  }
}
