/**
 * How many peers libp2p's store keeps. It keeps everybody that was ever met or heard of, on disk, for a month, and has no
 * bound: an identity costs nothing, so who connects with a new one again and again would fill the disk that the outbox
 * needs. Past the bound the least recently seen goes, unless it is connected or configured.
 */

import type { Libp2p, PeerId, PeerUpdate } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import { LRUCache } from 'lru-cache';
import { Serial } from '../../../shared/async/serial.js';
import { errorMessage } from '../../../shared/errors.js';
import type { Logger } from '../../../shared/logging/logger.js';

/** Ten times what the peer cache keeps; some 10 MB on disk. */
const MAX_STORED = 10_000;

export interface StoredPeersComponents {
  readonly libp2p: Pick<
    Libp2p,
    'peerId' | 'peerStore' | 'getConnections' | 'addEventListener' | 'removeEventListener'
  >;
  readonly logger: Logger;
}

export interface StoredPeersOptions {
  /** Static and bootstrap peers: kept. */
  readonly isConfigured: (peerId: string) => boolean;
  /**
   * @default 10_000
   */
  readonly max?: number;
}

export class StoredPeers {
  readonly #components: StoredPeersComponents;
  readonly #options: StoredPeersOptions;
  readonly #known: LRUCache<string, true>;
  #stopped = false;
  /** Deletions and the first look, one after the other. */
  readonly #turns = new Serial();

  constructor(components: StoredPeersComponents, options: StoredPeersOptions) {
    this.#components = components;
    this.#options = options;
    this.#known = new LRUCache({
      max: options.max ?? MAX_STORED,
      disposeAfter: (_value, peer, reason) => {
        if (reason === 'evict') this.#forget(peer);
      },
    });
  }

  /** Looks at who is stored in the background. */
  start(): void {
    const { libp2p } = this.#components;
    libp2p.addEventListener('peer:update', this.#onUpdate);
    libp2p.addEventListener('peer:disconnect', this.#onDisconnect);
    this.#inTurn(async () => {
      for (const { id } of await libp2p.peerStore.all()) this.#saw(id);
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#components.libp2p.removeEventListener('peer:update', this.#onUpdate);
    this.#components.libp2p.removeEventListener('peer:disconnect', this.#onDisconnect);
    await this.#turns.idle();
  }

  readonly #onUpdate = ({ detail }: CustomEvent<PeerUpdate>): void => this.#saw(detail.peer.id);
  // Whoever is connected is spared, and has its turn when it leaves.
  readonly #onDisconnect = ({ detail }: CustomEvent<PeerId>): void => this.#saw(detail);

  #saw(peer: PeerId): void {
    if (!peer.equals(this.#components.libp2p.peerId)) this.#known.set(peer.toString(), true);
  }

  #forget(peer: string): void {
    this.#inTurn(async () => {
      const { libp2p } = this.#components;
      const id = peerIdFromString(peer);
      if (this.#options.isConfigured(peer) || libp2p.getConnections(id).length > 0) return;
      await libp2p.peerStore.delete(id);
    });
  }

  #inTurn(work: () => Promise<void>): void {
    this.#turns
      .run(() => (this.#stopped ? undefined : work()))
      .catch((error: unknown) => {
        this.#components.logger.debug({ error: errorMessage(error) }, 'the peer store could not be pruned');
      });
  }
}
