/** The private network's pre-shared key (WIRE §1). */

import type { ConnectionProtector } from '@libp2p/interface';
import { isPrivateNetwork } from '../../../shared/settings/generations.js';
import type { Settings } from '../../../shared/settings/table.js';

type KeySettings = Pick<
  Settings,
  'p2p_generation' | 'p2p_private_network' | 'p2p_dht_use_private' | 'p2p_shared_key'
>;

/** The text of the swarm key file of a private network, undefined on a public one. */
export function swarmKey(settings: KeySettings): string | undefined {
  if (!isPrivateNetwork(settings)) return undefined;
  return `/key/swarm/psk/1.0.0/\n/base16/\n${settings.p2p_shared_key.toLowerCase()}\n`;
}

/** What libp2p takes as `connectionProtector`, on a private network. */
export async function connectionProtector(
  settings: KeySettings,
): Promise<(() => ConnectionProtector) | undefined> {
  const text = swarmKey(settings);
  if (text === undefined) return undefined;
  // Loaded where it is used.
  const { preSharedKey } = await import('@libp2p/pnet');
  return preSharedKey({ psk: new TextEncoder().encode(text) });
}
