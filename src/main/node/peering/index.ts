/** How the node comes by its peers and keeps them: everything that dials, remembers, asks and lets go. */

import type { Libp2p } from '@libp2p/interface';
import { CODE_P2P, type Multiaddr } from '@multiformats/multiaddr';
import { LRUCache } from 'lru-cache';
import { Repeating } from '../../../shared/async/repeat.js';
import { errorMessage } from '../../../shared/errors.js';
import type { Logger } from '../../../shared/logging/logger.js';
import type { Settings } from '../../../shared/settings/table.js';
import type { ConfiguredPeers } from '../addresses/configured-peers.js';
import type { ResolveTxt } from '../addresses/dnsaddr.js';
import { ConnectionTrimmer, connectionMarks } from '../connections/connection-limits.js';
import type { OwnKey } from '../identity/own-key.js';
import type { PeripheryMetrics } from '../metrics/periphery-metrics.js';
import { internalsOf } from '../patches/host-internals.js';
import { RelayReservations } from '../patches/relay-reservations.js';
import { peerCacheDirectory } from '../peer-store/cache-file.js';
import { PeerCache } from '../peer-store/peer-cache.js';
import { StoredPeers } from '../peer-store/stored-peers.js';
import { AddressLookup } from '../protocols/address-lookup.js';
import { Discovery } from './discovery.js';
import { Relays } from './relays.js';
import { StaticPeers } from './static-peers.js';

/** Between rounds of discovery, as the Go nodes of each generation. */
const DISCOVERY_MS = { first: 5_000, current: 30_000 } as const;
/** Addresses of one answer about ourselves that are looked at. */
const TOLD_OWN = 2;
/** Between two questions to others where we ourselves are. */
const OWN_LOOKUP_MS = 5 * 60_000;
/** Authors known only through others, whose addresses may be asked for. */
const STRANGERS = { max: 256, ttl: 600_000 };

/** A libp2p host with the services that are asked here. */
type PeeringHost = Libp2p & {
  readonly services: { readonly pubsub: { getScore(peerId: string): number }; readonly dht?: object };
};

export interface PeeringComponents {
  readonly host: PeeringHost;
  readonly settings: Settings;
  readonly logger: Logger;
  readonly metrics: PeripheryMetrics;
  readonly ownKey: OwnKey;
}

export interface PeeringOptions {
  /**
   * Milliseconds between two questions to others where we ourselves are.
   * @default 300,000
   */
  readonly ownLookupMs?: number;
  readonly configured: ConfiguredPeers;
  readonly topics: readonly string[];
  /** The system's resolver unless given. */
  readonly resolveTxt?: ResolveTxt;
}

export class Peering {
  readonly #configured: ConfiguredPeers;
  readonly #static: StaticPeers;
  readonly #bootstrap: StaticPeers;
  readonly #cache: PeerCache;
  readonly #lookup: AddressLookup;
  readonly #discovery: Discovery | undefined;
  readonly #trimmer: ConnectionTrimmer;
  readonly #relays: Relays;
  readonly #stored: StoredPeers;
  readonly #components: PeeringComponents;
  readonly #ownLookup: Repeating;
  readonly #stopping = new AbortController();
  readonly #strangers = new LRUCache<string, true>(STRANGERS);

  constructor(components: PeeringComponents, options: PeeringOptions) {
    const { host, settings, logger, metrics } = components;
    const { configured, topics, resolveTxt, ownLookupMs = OWN_LOOKUP_MS } = options;
    this.#components = components;
    this.#configured = configured;
    this.#ownLookup = new Repeating(() => this.#lookForOwn(), { everyMs: ownLookupMs });
    const onOwnId = (addresses: readonly Multiaddr[]) => void this.#lookAt(addresses);
    const resolving = { unresolved: new Set<string>(), ...(resolveTxt === undefined ? {} : { resolveTxt }) };
    const addTo =
      (...known: Set<string>[]) =>
      (ids: Iterable<string>): void => {
        for (const id of ids) for (const set of known) set.add(id);
      };
    const bootstrapsRelay = configured.relayAddresses.length > 0 && settings.p2p_relay_peers.length === 0;
    const marks = connectionMarks(settings, configured.count);
    const parts = { libp2p: host, logger, metrics };
    const silent = settings.listen_mode === 'silent';
    const hasRoom = () => host.getPeers().length < marks.high;
    this.#static = new StaticPeers(parts, {
      kind: 'static',
      addresses: configured.staticAddresses,
      onResolved: addTo(configured.staticIds),
      onOwnId,
      ...resolving,
    });
    this.#bootstrap = new StaticPeers(parts, {
      kind: 'bootstrap',
      addresses: configured.bootstrapAddresses,
      persistent: settings.p2p_bootstrap_persistent,
      onResolved: addTo(configured.bootstrapIds, ...(bootstrapsRelay ? [configured.relayIds] : [])),
      onOwnId,
      ...resolving,
    });
    this.#cache = new PeerCache(parts, { directory: peerCacheDirectory(settings) });
    this.#lookup = new AddressLookup(parts, {
      answers: !silent,
      sharePrivate: settings.p2p_share_private_addresses,
      wanted: () => {
        if (host.getPeers().length >= marks.low) return [];
        const connected = new Set(host.getPeers().map(String));
        return [...this.#strangers.keys()].filter((id) => !connected.has(id));
      },
    });
    this.#discovery =
      host.services.dht === undefined
        ? undefined
        : new Discovery(parts, {
            topics,
            intervalMs: DISCOVERY_MS[settings.p2p_generation],
            wantsPeers: hasRoom,
            optimiseRetries: settings.p2p_optimise_retries,
          });
    this.#trimmer = new ConnectionTrimmer(parts, {
      marks,
      isProtected: (peerId) => configured.isConfigured(peerId),
      allowedAddresses: settings.p2p_allowed_addresses,
      worthOf: (peerId) => host.services.pubsub.getScore(peerId),
    });
    this.#stored = new StoredPeers(parts, { isConfigured: (peerId) => configured.isConfigured(peerId) });
    this.#relays = new Relays(
      { libp2p: host, reservations: RelayReservations.of(internalsOf(host).transportManager), logger },
      { addresses: configured.relayAddresses, onResolved: addTo(configured.relayIds), ...resolving },
    );
  }

  /** After the host has started. Waits for no connection. */
  async start(): Promise<void> {
    this.#warnWithoutPeers();
    await this.#lookup.start();
    await this.#cache.start();
    this.#static.start();
    this.#bootstrap.start();
    this.#discovery?.start();
    this.#trimmer.start();
    this.#relays.start();
    this.#stored.start();
    this.#ownLookup.start();
  }

  /** On a network of one's own, peers may all be those that call. */
  #warnWithoutPeers(): void {
    const { settings, logger } = this.#components;
    if (this.#configured.count > 0) return;
    if (settings.network === 'regtest' || settings.p2p_enable_mdns) return;
    const bootstrap = settings.p2p_generation === 'first' ? 'p2p_bootstrapAddresses' : 'p2p_bootstrap_peers';
    logger.warn(
      { settings: [bootstrap, 'p2p_static_peers'] },
      'no peer to call is named: only peers known from before and those that call are met',
    );
  }

  /** Before the host stops. */
  async stop(): Promise<void> {
    void this.#ownLookup.stop();
    this.#stopping.abort();
    this.#relays.stop();
    this.#trimmer.stop();
    await Promise.all([
      this.#discovery?.stop(),
      this.#bootstrap.stop(),
      this.#static.stop(),
      this.#cache.stop(),
      this.#lookup.stop(),
      this.#stored.stop(),
    ]);
  }

  /** Addresses that others have of us and we do not know: a router's, or another node's with our key. */
  async #lookForOwn(): Promise<void> {
    const { host, logger } = this.#components;
    try {
      const ours = new Set(
        internalsOf(host)
          .transportManager.getAddrs()
          .concat(host.getMultiaddrs())
          .map((address) => address.decapsulateCode(CODE_P2P).toString()),
      );
      const isNews = (address: Multiaddr) => !ours.has(address.decapsulateCode(CODE_P2P).toString());
      // Of each a few, so that one that makes addresses up does not hide what others know.
      for (const told of await this.#lookup.lookupOwn(this.#stopping.signal)) {
        await this.#lookAt(told.filter(isNews).slice(0, TOLD_OWN));
      }
    } catch (error) {
      logger.debug({ error: errorMessage(error) }, 'could not ask others where this node is');
    }
  }

  #lookAt(addresses: readonly Multiaddr[]): Promise<void> {
    const { host, ownKey } = this.#components;
    return ownKey.look(host, addresses, this.#stopping.signal);
  }

  /** Somebody was heard through somebody else. */
  receivedFrom(author: string): void {
    this.#strangers.set(author, true);
  }

  setName(peerId: string, name: string): void {
    this.#cache.setName(peerId, name);
  }
}
