/** The private network's pre-shared key (WIRE §1). */

import type { ConnectionProtector } from '@libp2p/interface';
import { preSharedKey } from '@libp2p/pnet';
import { ConfigurationError } from '../../shared/errors.js';
import { isPrivateNetwork } from '../../shared/settings/generations.js';
import type { Settings } from '../../shared/settings/table.js';

/** The text of a swarm key file. Throws RangeError unless `hex` is 64 hex digits. */
export function preSharedKeyText(hex: string): string {
  if (!/^[0-9a-fA-F]{64}$/.test(hex)) {
    throw new RangeError(`a pre-shared key is 64 hex digits, not ${hex.length} characters`);
  }
  return `/key/swarm/psk/1.0.0/\n/base16/\n${hex.toLowerCase()}\n`;
}

/**
 * What libp2p takes as `connectionProtector`: set on a private network, undefined on a public one. Throws
 * ConfigurationError when the key is missing or malformed.
 */
export function connectionProtector(
  settings: Pick<
    Settings,
    'p2p_generation' | 'p2p_private_network' | 'p2p_dht_use_private' | 'p2p_shared_key'
  >,
): (() => ConnectionProtector) | undefined {
  if (!isPrivateNetwork(settings)) return undefined;
  const hex = settings.p2p_shared_key.trim();
  if (hex === '') {
    throw new ConfigurationError(['p2p_shared_key: a private network needs it']);
  }
  let text: string;
  try {
    text = preSharedKeyText(hex);
  } catch {
    throw new ConfigurationError([`p2p_shared_key: must be 64 hex digits, has ${hex.length} characters`]);
  }
  return preSharedKey({ psk: new TextEncoder().encode(text) });
}
