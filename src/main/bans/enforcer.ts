/** Closes what a new ban forbids: connections that stood before it. */

import { lookup } from 'node:dns/promises';
import pTimeout from 'p-timeout';
import type { Logger } from '../../shared/logging/logger.js';
import type { P2PNode } from '../node/types.js';
import type { BanList } from './list.js';
import type { BanMetrics } from './metrics.js';
import { hostOfMultiaddr } from './subject.js';

/** Addresses of a host name. */
export type Resolve = (name: string) => Promise<readonly string[]>;

export interface BanEnforcerComponents {
  readonly list: BanList;
  readonly node: Pick<P2PNode, 'peers' | 'closeMatching'>;
  readonly logger: Logger;
  readonly metrics: BanMetrics;
  /**
   * @default the system's resolver
   */
  readonly resolve?: Resolve;
}

/** A name server that does not answer must not keep a banned peer connected by address. */
const RESOLVE_MS = 5_000;

/**
 * On every ban, and once at the start, closes the connections that the list now forbids. One sweep at a time: bans that
 * come meanwhile, such as a reload's thousands, share the next.
 */
export class BanEnforcer {
  readonly #list: BanList;
  readonly #node: Pick<P2PNode, 'peers' | 'closeMatching'>;
  readonly #logger: Logger;
  readonly #metrics: BanMetrics;
  readonly #resolve: Resolve;
  #unsubscribe: (() => void) | undefined;
  #sweeping: Promise<void> | undefined;
  #again = false;
  #stopped = false;

  constructor(components: BanEnforcerComponents) {
    this.#list = components.list;
    this.#node = components.node;
    this.#logger = components.logger;
    this.#metrics = components.metrics;
    this.#resolve =
      components.resolve ??
      (async (name) => (await lookup(name, { all: true })).map(({ address }) => address));
  }

  /** Resolves when whoever was connected and banned before is gone. */
  async start(): Promise<void> {
    this.#stopped = false;
    this.#unsubscribe = this.#list.on('added', () => this.#sweepSoon());
    await this.sweep();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#unsubscribe?.();
    await this.#sweeping;
  }

  /** Resolves when every connection that the list forbids is closed. Never rejects. */
  async sweep(): Promise<void> {
    this.#sweepSoon();
    while (this.#sweeping !== undefined) await this.#sweeping;
  }

  #sweepSoon(): void {
    this.#again = true;
    this.#sweeping ??= this.#run().finally(() => {
      this.#sweeping = undefined;
      // A ban may have come after the last look.
      if (this.#again && !this.#stopped) this.#sweepSoon();
    });
  }

  async #run(): Promise<void> {
    // After the turn in which bans come in bulk.
    await Promise.resolve();
    while (this.#again && !this.#stopped) {
      this.#again = false;
      try {
        // At once what is known by address or peer ID; names after they are resolved, which may take seconds.
        await this.#close(new Set());
        const names = await this.#bannedNames();
        if (names.size > 0) await this.#close(names);
      } catch (error) {
        this.#logger.error({ err: error }, 'closing banned connections failed');
      }
    }
  }

  async #close(names: ReadonlySet<string>): Promise<void> {
    const closed = await this.#node.closeMatching(
      ({ address, peerId }) =>
        this.#list.isPeerBanned(peerId) || this.#list.isAddressBanned(address) || names.has(peerId),
    );
    if (closed === 0) return;
    this.#metrics.closed.inc(closed);
    this.#logger.info({ connections: closed }, 'closed connections of banned peers');
  }

  /** Peers connected through a host name that leads to a banned address. */
  async #bannedNames(): Promise<Set<string>> {
    const peersOf = new Map<string, string[]>();
    for (const { id, address } of this.#node.peers()) {
      const host = hostOfMultiaddr(address);
      // Of a relayed peer the multiaddr's host is the relay.
      if (host === undefined || 'address' in host || address.includes('/p2p-circuit')) continue;
      peersOf.set(host.name, [...(peersOf.get(host.name) ?? []), id]);
    }
    const banned = new Set<string>();
    await Promise.all(
      [...peersOf].map(async ([name, peers]) => {
        const addresses = await this.#addressesOf(name);
        if (!addresses.some((address) => this.#list.isAddressBanned(address))) return;
        for (const peer of peers) banned.add(peer);
      }),
    );
    return banned;
  }

  async #addressesOf(name: string): Promise<readonly string[]> {
    try {
      return await pTimeout(this.#resolve(name), { milliseconds: RESOLVE_MS, fallback: () => [] });
    } catch (error) {
      this.#logger.debug({ err: error, name }, 'a peer’s host name does not resolve');
      return [];
    }
  }
}
