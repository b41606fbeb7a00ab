/**
 * The peer registry: what peers told, how dealing with them went, and, joined at the moment of asking, their connections
 * and bans. It follows into the embedded store every {@link STORE_EVERY_MS}: that much is lost with a process that is
 * killed, and of the bytes of open connections {@link COUNT_EVERY_MS}.
 */

import { Repeating } from '../../shared/async/repeat.js';
import { SingleFlight } from '../../shared/async/single-flight.js';
import { errorMessage } from '../../shared/errors.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { PeerIdText } from '../../shared/net/peer-id.js';
import type { AuthorStanding } from '../../shared/pipeline/standing.js';
import { QUEUES } from '../../shared/queues.js';
import { KnownPeers } from './known-peers.js';
import type { PeerMetrics } from './metrics.js';
import { PeerRecords } from './peer-records.js';
import { type Level, WriteBehind } from './write-behind.js';

const MAX_UNSTORED = QUEUES.registryChanges.bounds.entries;
/** Between two writes. */
const STORE_EVERY_MS = 5_000;
/** Between two looks at the bytes of open connections: as often as peers tell their status, which is stored anyway. */
const COUNT_EVERY_MS = 10_000;

export interface PeerRegistryComponents {
  /** The embedded store. */
  readonly level: Level;
  readonly logger: Logger;
  readonly metrics: PeerMetrics;
  /** Our own best height now; undefined while the chain has not said it. */
  readonly ownHeight: () => number | undefined;
  /**
   * Who is connected, and what came from them.
   * @default nobody
   */
  readonly connections?: () => Iterable<{ readonly id: PeerIdText; readonly bytesReceived: bigint }>;
  /**
   * Unix ms.
   * @default steadyTime
   */
  readonly clock?: () => number;
}

export interface PeerRegistryOptions {
  /** p2p_max_unvalidated_advertised_height_lead. */
  readonly maxHeightLead: number;
  /**
   * Whether the settings name a base58 peer ID, which is then not forgotten.
   * @default none
   */
  readonly isConfigured?: (peerId: PeerIdText) => boolean;
  /**
   * Peers known, and as many more of which there is a record.
   * @default 10_000
   */
  readonly maxPeers?: number;
  /**
   * p2p_full_storage_penalty_duration.
   * @default 3_600_000
   */
  readonly storageDoubtMs?: number;
  readonly storeEveryMs?: number;
  readonly countEveryMs?: number;
}

export class PeerRegistry {
  readonly known: KnownPeers;
  readonly records: PeerRecords;
  readonly #isConfigured: (peerId: PeerIdText) => boolean;
  readonly #logger: Logger;
  readonly #metrics: PeerMetrics;
  readonly #toStore: readonly [known: WriteBehind<PeerIdText>, records: WriteBehind<PeerIdText>];
  readonly #connections: NonNullable<PeerRegistryComponents['connections']>;
  readonly #countEveryMs: number;
  /** By performance.now(). */
  #countedAt = Number.NEGATIVE_INFINITY;
  readonly #rounds: Repeating;
  readonly #writing = new SingleFlight<void>();
  #failing = false;
  #opened = false;

  constructor(components: PeerRegistryComponents, options: PeerRegistryOptions) {
    const { level, logger, metrics, ownHeight, clock } = components;
    const { maxHeightLead, maxPeers, isConfigured = () => false } = options;
    this.#isConfigured = isConfigured;
    this.#logger = logger;
    this.#metrics = metrics;
    this.#connections = components.connections ?? (() => []);
    this.#rounds = new Repeating(() => this.flush(), { everyMs: options.storeEveryMs ?? STORE_EVERY_MS });
    this.#countEveryMs = options.countEveryMs ?? COUNT_EVERY_MS;
    const time = clock === undefined ? {} : { clock };
    const bound = maxPeers === undefined ? {} : { maxPeers };
    this.known = new KnownPeers(
      {
        metrics,
        ownHeight,
        isRecorded: (peer) => this.records.has(peer),
        onChange: (peer) => this.#changed(0, peer),
        ...time,
      },
      { maxHeightLead, ...bound, isConfigured },
    );
    this.records = new PeerRecords(
      {
        metrics,
        onChange: (peer) => this.#recorded(peer),
        ...time,
      },
      {
        ...bound,
        ...(options.storageDoubtMs === undefined ? {} : { storageDoubtMs: options.storageDoubtMs }),
      },
    );
    const { known, records } = this;
    this.#toStore = [
      new WriteBehind(
        {
          level,
          logger,
          valueOf: (peer) => known.encoded(peer),
          keys: () => known.list().map(({ id }) => id),
        },
        { name: 'peers-known', maxWaiting: maxPeers === undefined ? MAX_UNSTORED : 2 * maxPeers },
      ),
      new WriteBehind(
        { level, logger, valueOf: (peer) => records.encoded(peer), keys: () => records.peers() },
        { name: 'peers-recorded', maxWaiting: maxPeers === undefined ? MAX_UNSTORED : 2 * maxPeers },
      ),
    ];
  }

  /** Takes up what an earlier run stored, and stores what changes from now on. Rejects when the store cannot be read. */
  async open(): Promise<void> {
    const [known, records] = this.#toStore;
    // First who is recorded: what such peers told is not forgotten for what others told.
    await records.load((peer, json) => this.records.restore(peer, json));
    await known.load((peer, json) => this.known.restore(peer, json));
    this.known.restored();
    this.#opened = true;
    this.#rounds.start();
  }

  /** Stores what has changed and ends. Never rejects: what cannot be stored is logged. */
  async stop(): Promise<void> {
    if (!this.#opened) return;
    this.#opened = false;
    await this.#rounds.stop();
    await this.#writing.underWay;
    await this.flush();
  }

  /** Stores what has changed. Never rejects: it is tried again. */
  flush(): Promise<void> {
    return this.#writing.run(() => this.#write());
  }

  /** Base58 IDs of everybody that is known or recorded. */
  peers(): Set<PeerIdText> {
    return new Set([...this.known.list().map(({ id }) => id), ...this.records.peers()]);
  }

  /** The best that holds of a base58 peer ID now. Constant time. */
  standingOf(peer: PeerIdText): AuthorStanding {
    if (this.#isConfigured(peer)) return 'configured';
    if (this.records.isReputed(peer)) return 'reputed';
    return this.known.isConnected(peer) ? 'connected' : 'stranger';
  }

  #changed(which: 0 | 1, peer: PeerIdText): void {
    this.#toStore[which].changed(peer);
    this.#observe();
  }

  #recorded(peer: PeerIdText): void {
    this.known.reconsider(peer);
    this.#changed(1, peer);
  }

  #count(): void {
    const now = performance.now();
    if (now - this.#countedAt < this.#countEveryMs) return;
    this.#countedAt = now;
    this.known.counted(this.#connections());
  }

  async #write(): Promise<void> {
    this.#count();
    try {
      for (const part of this.#toStore) await part.write();
      if (this.#failing) this.#logger.info('the peer registry is stored again');
      this.#failing = false;
    } catch (error) {
      this.#metrics.storeFailures.inc();
      if (!this.#failing)
        this.#logger.warn({ reason: errorMessage(error) }, 'the peer registry is not stored; tried again');
      this.#failing = true;
    }
    this.#observe();
  }

  #observe(): void {
    this.#metrics.unstored.set(this.#toStore[0].size + this.#toStore[1].size);
  }
}
