/**
 * Meeting strangers through the DHT (WIRE §1): every node provides a record for each topic name and looks for the others that do.
 */

import type { Libp2p, PeerId, Provider } from '@libp2p/interface';
import type { Multiaddr } from '@multiformats/multiaddr';
import { LRUCache } from 'lru-cache';
import { CID } from 'multiformats/cid';
import * as raw from 'multiformats/codecs/raw';
import { sha256 } from 'multiformats/hashes/sha2';
import { deadlineSignal } from '../../../shared/async/deadline.js';
import { Repeating } from '../../../shared/async/repeat.js';
import { errorMessage } from '../../../shared/errors.js';
import type { Logger } from '../../../shared/logging/logger.js';
import type { PeripheryMetrics } from '../metrics/periphery-metrics.js';

/** Providers looked at in one search of one topic. */
const MAX_PROVIDERS = 50;
const DIALS_AT_ONCE = 5;
const MAX_REMEMBERED = 1_000;
/** A peer that could not be reached is left alone this long. */
const FAILED_PAUSE_MS = 60_000;
/** Between two attempts at a peer that failed, where failures are not remembered for long. */
const SHORT_PAUSE_MS = 5_000;

/** Under which a topic's providers are found: version 1, raw, SHA-256 of the name, as Go's routing discovery makes it. */
export async function topicCid(topic: string): Promise<CID> {
  return CID.createV1(raw.code, await sha256.digest(new TextEncoder().encode(topic)));
}

export interface DiscoveryComponents {
  readonly libp2p: Pick<Libp2p, 'peerId' | 'dial' | 'getConnections' | 'contentRouting' | 'peerStore'>;
  readonly logger: Logger;
  readonly metrics: Pick<PeripheryMetrics, 'discoveryRounds' | 'discoveredPeers'>;
}

export interface DiscoveryOptions {
  /** Full topic names. */
  readonly topics: readonly string[];
  /** Milliseconds between rounds: 5,000 in the first generation, 30,000 in the current. */
  readonly intervalMs: number;
  /**
   * False: search alone.
   * @default true
   */
  readonly advertise?: boolean;
  /**
   * False while there are connections enough: what is found is then not dialled.
   * @default true
   */
  readonly wantsPeers?: () => boolean;
  /**
   * `p2p_optimise_retries`: a peer that could not be reached is left alone for a minute, not 5 s.
   * @default false
   */
  readonly optimiseRetries?: boolean;
  /**
   * One provide or search, ms.
   * @default 10,000
   */
  readonly timeoutMs?: number;
}

export class Discovery {
  readonly #components: DiscoveryComponents;
  readonly #options: DiscoveryOptions;
  readonly #failed: LRUCache<string, true>;
  #stopping = new AbortController();
  readonly #rounds: Repeating;

  constructor(components: DiscoveryComponents, options: DiscoveryOptions) {
    this.#components = components;
    this.#options = options;
    this.#failed = new LRUCache({
      max: MAX_REMEMBERED,
      ttl: options.optimiseRetries ? FAILED_PAUSE_MS : SHORT_PAUSE_MS,
    });
    this.#rounds = new Repeating(() => this.#runRound(), {
      everyMs: options.intervalMs,
      onError: (error) => components.logger.warn({ error: errorMessage(error) }, 'discovery failed'),
    });
  }

  /** Begins at once, in the background. */
  start(): void {
    this.#stopping = new AbortController();
    this.#rounds.start(0);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#rounds.stop();
  }

  async #runRound(): Promise<void> {
    const found = new Map<string, Provider>();
    await Promise.all(
      this.#options.topics.map(async (topic) => {
        const cid = await topicCid(topic);
        if (this.#options.advertise !== false) {
          await this.#attempt('advertise', topic, (signal) =>
            this.#components.libp2p.contentRouting.provide(cid, { signal }),
          );
        }
        await this.#attempt('search', topic, (signal) => this.#search(cid, found, signal));
      }),
    );
    await this.#dialAll([...found.values()]);
  }

  async #attempt(
    action: 'advertise' | 'search',
    topic: string,
    run: (signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    const { logger, metrics } = this.#components;
    if (this.#stopping.signal.aborted) return;
    try {
      await run(this.#limit());
      metrics.discoveryRounds.inc({ action, outcome: 'ok' });
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      metrics.discoveryRounds.inc({ action, outcome: 'failed' });
      logger.debug({ action, topic, error: errorMessage(error) }, 'discovery of a topic failed');
    }
  }

  async #search(cid: CID, found: Map<string, Provider>, signal: AbortSignal): Promise<void> {
    let seen = 0;
    for await (const provider of this.#components.libp2p.contentRouting.findProviders(cid, { signal })) {
      if (this.#isWorthDialling(provider.id)) found.set(provider.id.toString(), provider);
      seen += 1;
      if (seen >= MAX_PROVIDERS) return;
    }
  }

  #isWorthDialling(id: PeerId): boolean {
    const { libp2p } = this.#components;
    return (
      !id.equals(libp2p.peerId) && !this.#failed.has(id.toString()) && libp2p.getConnections(id).length === 0
    );
  }

  async #dialAll(providers: Provider[]): Promise<void> {
    const dialNext = async (): Promise<void> => {
      for (let provider = providers.shift(); provider !== undefined; provider = providers.shift()) {
        if (this.#stopping.signal.aborted || this.#options.wantsPeers?.() === false) return;
        if (this.#isWorthDialling(provider.id)) await this.#dial(provider.id, provider.multiaddrs);
      }
    };
    await Promise.all(Array.from({ length: DIALS_AT_ONCE }, dialNext));
  }

  async #dial(id: PeerId, addresses: Multiaddr[]): Promise<void> {
    const { libp2p, logger, metrics } = this.#components;
    try {
      if (addresses.length > 0) await libp2p.peerStore.merge(id, { multiaddrs: addresses });
      await libp2p.dial(id, { signal: this.#limit() });
      metrics.discoveredPeers.inc({ outcome: 'connected' });
      logger.info({ peer: id.toString() }, 'connected to a peer found in the DHT');
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      this.#failed.set(id.toString(), true);
      metrics.discoveredPeers.inc({ outcome: 'failed' });
      logger.debug({ peer: id.toString(), error: errorMessage(error) }, 'discovered peer cannot be reached');
    }
  }

  #limit(): AbortSignal {
    return deadlineSignal(this.#options.timeoutMs ?? 10_000, this.#stopping.signal);
  }
}
