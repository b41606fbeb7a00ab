/**
 * Places at circuit relays, through which peers behind a router are reached. Asked for in the background: a relay that is
 * away, or a bootstrap peer that is none, must not hold up the start.
 */

import type { Multiaddr } from '@multiformats/multiaddr';
import { multiaddr } from '@multiformats/multiaddr';
import { errorMessage } from '../../shared/errors.js';
import type { Logger } from '../../shared/logging.js';
import type { Settings } from '../../shared/settings/table.js';
import { multiaddrPeerId } from './addresses.js';
import { relayPeerAddresses } from './bootstrap.js';

const RETRY_MS = 60_000;

/** Multiaddrs of relays: those named; in the current generation else the bootstrap peers; none for a silent node. */
export function relayAddresses(settings: Settings): readonly string[] {
  if (settings.listen_mode === 'silent') return [];
  if (settings.p2p_generation === 'first' && settings.p2p_relay_peers.length === 0) return [];
  return relayPeerAddresses(settings).filter((address) => multiaddrPeerId(multiaddr(address)) !== undefined);
}

export interface RelaysComponents {
  /** libp2p's transport manager. */
  readonly transports: { listen(addresses: Multiaddr[]): Promise<void> };
  readonly logger: Logger;
}

export class Relays {
  readonly #components: RelaysComponents;
  readonly #wanted: Map<string, Multiaddr>;
  #retry: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(components: RelaysComponents, options: { readonly addresses: readonly string[] }) {
    this.#components = components;
    this.#wanted = new Map(
      options.addresses.map((address) => [address, multiaddr(`${address}/p2p-circuit`)]),
    );
  }

  start(): void {
    void this.#reserve();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#retry);
  }

  async #reserve(): Promise<void> {
    await Promise.all(
      [...this.#wanted].map(async ([relay, address]) => {
        try {
          await this.#components.transports.listen([address]);
          this.#wanted.delete(relay);
          this.#components.logger.info({ relay }, 'reserved a place at a relay');
        } catch (error) {
          this.#components.logger.debug({ relay, error: errorMessage(error) }, 'no place at a relay');
        }
      }),
    );
    if (this.#stopped || this.#wanted.size === 0) return;
    this.#retry = setTimeout(() => void this.#reserve(), RETRY_MS).unref();
  }
}
