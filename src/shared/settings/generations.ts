/**
 * What the generation makes of settings that files of several years share. Files of 2025 still ship settings that no node of the
 * current generation reads: followed here, they would put the server where none of them is.
 */

import { defaultOf } from './defaults.js';
import type { Setting } from './setting.js';
import { SETTINGS, type SettingKey, type Settings } from './table.js';

type Chosen<K extends SettingKey> = Pick<Settings, K | 'p2p_generation'>;

/** Whether connections are protected by `p2p_shared_key`. */
export function isPrivateNetwork(settings: Chosen<'p2p_dht_use_private' | 'p2p_private_network'>): boolean {
  return (
    settings.p2p_private_network || (settings.p2p_generation === 'first' && settings.p2p_dht_use_private)
  );
}

/** What stands before `/kad/1.0.0` in the DHT's protocol: `/ipfs` on a public network, whatever `p2p_dht_protocol_id` is. */
export function dhtPrefix(
  settings: Chosen<'p2p_dht_protocol_id' | 'p2p_dht_use_private' | 'p2p_private_network'>,
): string {
  return isPrivateNetwork(settings) ? settings.p2p_dht_protocol_id : '/ipfs';
}

/** Multiaddrs of the generation's bootstrap peers, each once. */
export function bootstrapMultiaddrs(
  settings: Chosen<'p2p_bootstrap_peers' | 'p2p_bootstrapAddresses'>,
): readonly string[] {
  const older = settings.p2p_generation === 'first' ? settings.p2p_bootstrapAddresses : [];
  return [...new Set([...settings.p2p_bootstrap_peers, ...older])];
}

/** Multiaddrs of `p2p_relay_peers`, else of the bootstrap peers, each once. */
export function relayMultiaddrs(
  settings: Chosen<'p2p_bootstrap_peers' | 'p2p_bootstrapAddresses' | 'p2p_relay_peers'>,
): readonly string[] {
  const relays = [...new Set(settings.p2p_relay_peers)];
  return relays.length > 0 ? relays : bootstrapMultiaddrs(settings);
}

/** One line for each setting that is set and not followed, beginning with its key. */
export function leftoverWarnings(settings: Settings): readonly string[] {
  if (settings.p2p_generation === 'first') return [];
  const warnings: string[] = [];
  const warn = (key: SettingKey, why: string): void => {
    const setting: Setting = SETTINGS[key];
    const usual = defaultOf(setting, { generation: 'current' });
    if (setting.format(settings[key]) !== setting.format(usual)) warnings.push(`${key}: ${why}`);
  };
  if (!settings.p2p_private_network) {
    const why =
      'is not followed in the current generation, whose network is public, unless p2p_private_network is true';
    for (const key of ['p2p_dht_use_private', 'p2p_shared_key', 'p2p_dht_protocol_id'] as const)
      warn(key, why);
  }
  warn('p2p_ip', 'is not followed in the current generation; see p2p_listen_addresses');
  warn(
    'p2p_bootstrapAddresses',
    'names no bootstrap peers in the current generation, only peers that GetPeers leaves out; see p2p_bootstrap_peers',
  );
  return warnings;
}
