/** The private network's pre-shared key (WIRE §1). */

import type { ConnectionProtector } from '@libp2p/interface';
import { ConfigurationError } from '../../../shared/errors.js';
import { isPrivateNetwork } from '../../../shared/settings/generations.js';
import type { Settings } from '../../../shared/settings/table.js';

/** The text of a swarm key file. Throws RangeError unless `hex` is 64 hex digits. */
export function preSharedKeyText(hex: string): string {
  if (!/^[0-9a-fA-F]{64}$/.test(hex)) {
    throw new RangeError(`a pre-shared key is 64 hex digits, not ${hex.length} characters`);
  }
  return `/key/swarm/psk/1.0.0/\n/base16/\n${hex.toLowerCase()}\n`;
}

type KeySettings = Pick<
  Settings,
  'p2p_generation' | 'p2p_private_network' | 'p2p_dht_use_private' | 'p2p_shared_key'
>;

/** The text of the swarm key file of a private network, undefined on a public one. Throws ConfigurationError when the key is missing or malformed. */
export function swarmKey(settings: KeySettings): string | undefined {
  if (!isPrivateNetwork(settings)) return undefined;
  const hex = settings.p2p_shared_key.trim();
  if (hex === '') {
    throw new ConfigurationError(['p2p_shared_key: a private network needs it']);
  }
  try {
    return preSharedKeyText(hex);
  } catch {
    throw new ConfigurationError([`p2p_shared_key: must be 64 hex digits, has ${hex.length} characters`]);
  }
}

/** What libp2p takes as `connectionProtector`, on a private network. Rejects as {@link swarmKey} throws. */
export async function connectionProtector(
  settings: KeySettings,
): Promise<(() => ConnectionProtector) | undefined> {
  const text = swarmKey(settings);
  if (text === undefined) return undefined;
  // Loaded where it is used.
  const { preSharedKey } = await import('@libp2p/pnet');
  return preSharedKey({ psk: new TextEncoder().encode(text) });
}
