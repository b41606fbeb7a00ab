/**
 * Connections to the peers that the operator wrote down (WIRE §1): looked at every 5 s while any is missing, every 30 s once
 * all are there, and soon after one is lost. Bootstrap peers go the same way; unless they are persistent, one of them, once, is
 * enough, until the node is alone.
 */

import type { Libp2p, PeerId } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import type { Multiaddr } from '@multiformats/multiaddr';
import { deadlineSignal } from '../../../shared/async/deadline.js';
import { Repeating } from '../../../shared/async/repeat.js';
import { errorMessage } from '../../../shared/errors.js';
import type { Logger } from '../../../shared/logging/logger.js';
import { namedPeerIds } from '../addresses/configured-peers.js';
import { type ResolveOptions, resolvePeers } from '../addresses/dnsaddr.js';
import type { PeripheryMetrics } from '../metrics/periphery-metrics.js';

/** Tags of this prefix make libp2p reconnect by itself, and weigh when connections are closed for being too many. */
const KEEP_ALIVE_TAG = 'keep-alive-teranode';
const TAG_VALUE = 100;

export interface StaticPeersComponents {
  readonly libp2p: Pick<
    Libp2p,
    'peerId' | 'dial' | 'getConnections' | 'peerStore' | 'addEventListener' | 'removeEventListener'
  >;
  readonly logger: Logger;
  readonly metrics: Pick<PeripheryMetrics, 'configuredPeers'>;
}

export interface StaticPeersOptions extends ResolveOptions {
  readonly kind: 'static' | 'bootstrap';
  /** Multiaddrs ending in /p2p/<id>, or /dnsaddr. */
  readonly addresses: readonly string[];
  /**
   * False: connecting to one is enough (bootstrap without p2p_bootstrap_persistent).
   * @default true
   */
  readonly persistent?: boolean;
  /**
   * Milliseconds between looks while any is missing.
   * @default 5,000
   */
  readonly missingIntervalMs?: number;
  /**
   * Milliseconds between looks once all are there.
   * @default 30,000
   */
  readonly settledIntervalMs?: number;
  /**
   * One dial, ms.
   * @default 10,000
   */
  readonly dialTimeoutMs?: number;
  /** Told the addresses at which our own ID is said to be, or has answered: none of them is kept connected. */
  readonly onOwnId?: (addresses: readonly Multiaddr[]) => void;
  /** Told the base58 IDs of the peers before one is dialled. */
  readonly onResolved?: (peerIds: Iterable<string>) => void;
}

export class StaticPeers {
  readonly #components: StaticPeersComponents;
  readonly #options: StaticPeersOptions;
  readonly #ids: Set<string>;
  readonly #failing = new Set<string>();
  #stopping = new AbortController();
  readonly #looks: Repeating;
  #reached = false;

  constructor(components: StaticPeersComponents, options: StaticPeersOptions) {
    this.#components = components;
    this.#options = options;
    this.#ids = new Set(namedPeerIds(options.addresses));
    const look = async (): Promise<number> =>
      (await this.#look()) ? (options.settledIntervalMs ?? 30_000) : this.#missingInterval;
    this.#looks = new Repeating(look, {
      everyMs: this.#missingInterval,
      onError: (error) =>
        components.logger.warn({ error: errorMessage(error) }, 'looking after configured peers failed'),
    });
  }

  /** Base58 IDs, those behind /dnsaddr once resolved. */
  get peerIds(): ReadonlySet<string> {
    return this.#ids;
  }

  /** Begins at once; does not wait for a connection. */
  start(): void {
    if (this.#options.addresses.length === 0) return;
    this.#stopping = new AbortController();
    this.#components.libp2p.addEventListener('peer:disconnect', this.#onDisconnect);
    this.#looks.start(0);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#components.libp2p.removeEventListener('peer:disconnect', this.#onDisconnect);
    await this.#looks.stop();
  }

  readonly #onDisconnect = ({ detail }: CustomEvent<PeerId>): void => {
    // One that is under way decides itself when the next is due.
    if (!this.#looks.underWay && this.#ids.has(detail.toString())) this.#looks.again(this.#missingInterval);
  };

  get #missingInterval(): number {
    return this.#options.missingIntervalMs ?? 5_000;
  }

  /** One round; true when nothing is missing. */
  async #look(): Promise<boolean> {
    const { libp2p, logger, metrics } = this.#components;
    const { kind, addresses, persistent = true, onResolved } = this.#options;
    const { signal } = this.#stopping;
    if (!persistent && this.#reached && libp2p.getConnections().length > 0) return true;
    const peers = await resolvePeers(addresses, { ...this.#options, logger, signal });
    const own = peers.get(libp2p.peerId.toString());
    if (own !== undefined) this.#options.onOwnId?.(own);
    peers.delete(libp2p.peerId.toString());
    for (const id of peers.keys()) this.#ids.add(id);
    onResolved?.(peers.keys());
    await Promise.all([...peers].map(([id, known]) => this.#connect(id, known)));
    const connected = [...peers.keys()].filter((id) => this.#isConnected(id)).length;
    metrics.configuredPeers.set({ kind, state: 'connected' }, connected);
    metrics.configuredPeers.set({ kind, state: 'missing' }, peers.size - connected);
    if (connected > 0) this.#reached = true;
    if (!persistent) return connected > 0;
    return peers.size > 0 && connected === peers.size;
  }

  #isConnected(id: string): boolean {
    return this.#components.libp2p
      .getConnections(peerIdFromString(id))
      .some(({ status }) => status === 'open');
  }

  async #connect(id: string, addresses: Multiaddr[]): Promise<void> {
    if (this.#isConnected(id) || this.#stopping.signal.aborted) return;
    const { libp2p, logger } = this.#components;
    const { kind, persistent = true, dialTimeoutMs = 10_000 } = this.#options;
    try {
      await libp2p.peerStore.merge(peerIdFromString(id), {
        multiaddrs: addresses,
        ...(persistent ? { tags: { [KEEP_ALIVE_TAG]: { value: TAG_VALUE } } } : {}),
      });
      const signal = deadlineSignal(dialTimeoutMs, this.#stopping.signal);
      await libp2p.dial(addresses, { signal }).catch((error: unknown) => {
        // It has dialled us at the same time, and its connection is the one that both keep.
        if (!this.#isConnected(id)) throw error;
      });
      this.#failing.delete(id);
      logger.info({ peer: id, kind }, 'connected to configured peer');
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      if (answersAs(error, libp2p.peerId)) this.#options.onOwnId?.(addresses);
      // Once a peer and outage loudly, then quietly.
      const level = this.#failing.has(id) ? 'debug' : 'warn';
      this.#failing.add(id);
      logger[level]({ peer: id, kind, error: errorMessage(error) }, 'configured peer cannot be reached');
    }
  }
}

/** Whether a dial failed because another ID than expected answered, this one: noise says so in its message alone, before it is proven. */
function answersAs(error: unknown, id: PeerId): boolean {
  const errors: unknown[] = error instanceof AggregateError ? error.errors : [error];
  return errors.some((each) => errorMessage(each).includes(`identity key ${id} `));
}
