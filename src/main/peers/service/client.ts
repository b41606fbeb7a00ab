/**
 * The blockchain service's registry of peers, which all services of a node share since 2026. This server writes there what it learns of its
 * peers, gathered, one flush an interval a peer, and reads there how others fared with them. Nothing waits for it: while the service is away, slow or
 * has no registry, the one here is all there is, and it is offered to the service when that is back.
 */

import { Repeating } from '../../../shared/async/repeat.js';
import { TokenBucket } from '../../../shared/async/token-bucket.js';
import { monotonic } from '../../../shared/clock.js';
import type { DependencyHealth } from '../../../shared/health.js';
import type { Logger } from '../../../shared/logging/logger.js';
import type { PeerIdText } from '../../../shared/net/peer-id.js';
import { QUEUES } from '../../../shared/queues.js';
import type { BanList } from '../../bans/list.js';
import type { PeerRegistryCalls } from '../../chain/peer-registry-calls.js';
import type { ConnectedPeer } from '../../node/types.js';
import type { PeerReport } from '../peer-report.js';
import type { PeerRegistry } from '../registry.js';
import type { ServiceRow } from '../service-row.js';
import type { Level } from '../write-behind.js';
import { ServiceBans } from './bans.js';
import { callsOf } from './calls.js';
import { RegistryLink, type RegistryState } from './link.js';
import type { RegistryClientMetrics } from './metrics.js';
import { RegistryReader } from './reader.js';
import { RegistryWriter } from './writer.js';

export interface RegistryClientComponents {
  readonly calls: PeerRegistryCalls;
  readonly logger: Logger;
  readonly metrics: RegistryClientMetrics;
  /** What is known here: what is told is read from it when it is told. */
  readonly registry: Pick<PeerRegistry, 'known' | 'records'>;
  readonly list: BanList;
  readonly level: Level;
  /** Base58 ID of this node. */
  readonly ownPeer: () => PeerIdText;
  readonly connections: () => readonly Pick<ConnectedPeer, 'id' | 'bytesSent' | 'bytesReceived'>[];
  /** Whether the settings name a base58 peer ID. */
  readonly isConfigured: (peer: PeerIdText) => boolean;
  /** Static, loopback and allow-listed peers: not banned for what the service says, and not scored there either. */
  readonly isProtected: (peer: PeerIdText) => boolean;
}

export interface RegistryClientOptions {
  /** p2p_peer_registry_batch_interval, ms; 0: a second. */
  readonly intervalMs: number;
  /** p2p_ban_duration, ms. */
  readonly banDurationMs: number;
  /**
   * Milliseconds for a call.
   * @default 5_000
   */
  readonly callMs?: number;
  /**
   * Milliseconds between two questions to a service that has no registry.
   * @default 300_000
   */
  readonly absentMs?: number;
  /**
   * Milliseconds of the longest pause before a service that is away is asked again.
   * @default 30_000
   */
  readonly awayMs?: number;
  /**
   * Peers about whom something may wait.
   * @default 10_000
   */
  readonly maxPending?: number;
  /**
   * Milliseconds that an answer about a peer, or the list of bans, is as good as new.
   * @default 5_000, as in Go
   */
  readonly freshMs?: number;
}

/** Of the loop of this part; a flush is due less often where the interval is longer. */
const TURN_MS = 1_000;
/** Each costs main some 0.16 ms: made-up identities must not have more than a tenth of it. Familiar peers go first, the rest waits. */
const CALLS_A_SECOND = QUEUES.registryUpdates.bounds.callsPerSecond;
/** Go's P2P service has low peers reconsidered; nobody else does where it is replaced. */
const RECONSIDER_EVERY_MS = 60_000;
const RECONSIDER_SECONDS = 300n;
/** What is left is told within this at the stop: long enough for a busy service, and what one that hangs takes of Kafka's part of `shutdown_timeout`. */
const FAREWELL_MS = 3_000;

/** What is done now and then. */
type Due = 'flush' | 'bans' | 'bytes' | 'legacy' | 'reconsider';

export class RegistryClient {
  readonly #components: RegistryClientComponents;
  readonly #freshMs: number;
  readonly #intervalMs: number;
  readonly #link: RegistryLink;
  readonly #reader: RegistryReader;
  readonly #writer: RegistryWriter;
  readonly #bans: ServiceBans;
  readonly #mayCall = new TokenBucket({ perSecond: CALLS_A_SECOND });
  /** Monotonic. */
  readonly #dueAt: Record<Due, number> = { flush: 0, bans: 0, bytes: 0, legacy: 0, reconsider: 0 };
  readonly #turns: Repeating;
  #running = false;

  constructor(components: RegistryClientComponents, options: RegistryClientOptions) {
    const {
      callMs = QUEUES.registryUpdates.bounds.callMs,
      absentMs = 300_000,
      awayMs = 30_000,
      maxPending = 10_000,
    } = options;
    const { freshMs = 5_000, intervalMs, banDurationMs } = options;
    const { list, ownPeer, isProtected } = components;
    this.#components = components;
    this.#freshMs = freshMs;
    this.#intervalMs = intervalMs > 0 ? intervalMs : TURN_MS;
    this.#bans = new ServiceBans(
      { ...components, isSpared: (peer) => peer === ownPeer() || isProtected(peer) },
      { durationMs: banDurationMs },
    );
    this.#link = new RegistryLink(
      { ...components, onLeft: (state, changed) => this.#left(state, changed) },
      { callMs, absentMs, awayMs },
    );
    const parts = { ...components, link: this.#link, bans: this.#bans };
    this.#reader = new RegistryReader(parts, { freshMs });
    this.#writer = new RegistryWriter(
      { ...parts, reader: this.#reader },
      { maxPending, notUnderstoodMs: absentMs },
    );
    this.#turns = new Repeating(() => this.#turn(), {
      everyMs: Math.min(TURN_MS, this.#intervalMs),
      onError: (error) =>
        components.logger.error({ err: error }, 'the peer registry of the blockchain service'),
    });
    list.on('cleared', () => this.#bans.pardonAll());
  }

  /** Begins to ask and to write; waits for nobody. Rejects when the embedded store cannot be read. */
  async start(): Promise<void> {
    await this.#bans.open();
    this.#running = true;
    this.#writer.start();
    this.#turns.start(0);
  }

  /** Tells the service, if it is there, what waits and that nobody is connected any more; within three seconds, and by `deadline` (monotonic). */
  async stop(deadline = Number.POSITIVE_INFINITY): Promise<void> {
    if (!this.#running) return;
    this.#running = false;
    this.#writer.end();
    const turned = this.#turns.stop();
    const left = Math.max(0, Math.min(FAREWELL_MS, deadline - monotonic()));
    const cut = setTimeout(() => this.#link.end(), this.#link.serves ? left : 0);
    await turned;
    await this.#writer.farewell();
    clearTimeout(cut);
    this.#link.end();
  }

  get state(): RegistryState {
    return this.#link.state;
  }

  /** Never 503: this server does its work without the service's registry. */
  health(): DependencyHealth {
    return this.#link.health();
  }

  // What is learned here. Cheap: some of it is called for every message.

  /** A message of this author was accepted. */
  received(author: PeerIdText): void {
    this.#writer.received(author);
  }

  /** A peer told something of itself, which is known here by now. */
  told(peer: PeerIdText): void {
    this.#writer.mark(peer, { told: true });
  }

  /** A peer's last connection has closed, after `bytesReceived` over all of them. */
  disconnected(peer: PeerIdText, bytesReceived: bigint): void {
    this.#writer.disconnected(peer, bytesReceived);
  }

  /** Something was reported of a peer, and recorded here. */
  reported(report: PeerReport): void {
    if (!this.#writer.collects) return;
    const { known, records } = this.#components.registry;
    const { peer } = report;
    // What was answered before it no longer holds.
    if (report.type === 'reset') this.#reader.forget(peer);
    if (report.type === 'downloaded') this.#writer.mark(peer, { received: report.bytes });
    else {
      const claimsFull = known.get(peer)?.storage === 'full';
      const doubtedUntil = records.get(peer).storageDoubtedUntil;
      this.#writer.call(peer, ...callsOf(report, { claimsFull, doubtedUntil }));
    }
  }

  /** A peer was scored here. */
  offended(peer: PeerIdText, reason: string, points: number): void {
    this.#writer.call(peer, { method: 'addBanScore', request: { peer_id: peer, reason, points } });
  }

  /** We try to catch up from a peer. */
  syncAttempt(peer: PeerIdText): void {
    this.#writer.call(peer, { method: 'recordSyncAttempt', request: { peer_id: peer } });
  }

  /** How dealing with a peer went is to be forgotten there: here there is no record of it. */
  reset(peer: PeerIdText): void {
    this.reported({ type: 'reset', peer });
  }

  /** An operator has let a peer in. Whether the service still bans it. */
  pardon(peer: PeerIdText): boolean {
    this.#bans.pardon(peer);
    return this.#bans.has(peer);
  }

  // What is read.

  /**
   * Whether the service says that a peer's reputation is too low to hear all that it says; undefined where it has not said anything of late. Constant time:
   * what is older than 5 s is asked for in the background.
   */
  isLow(peer: PeerIdText): boolean | undefined {
    return this.#reader.isLow(peer);
  }

  /** What the service answered of a peer within the last minute. */
  row(peer: PeerIdText): ServiceRow | undefined {
    return this.#reader.row(peer);
  }

  /** All that it answered within the last minute. */
  rows(): Iterable<ServiceRow> {
    return this.#reader.rows();
  }

  /** Peers of the legacy service that are connected; undefined where the service has not said. */
  get legacyConnected(): number | undefined {
    return this.#reader.legacyConnected;
  }

  /** Has all rows new, or as new as can be had within 2 s. Never rejects. */
  refresh(): Promise<void> {
    return this.#reader.refresh();
  }

  /** Has what is known of one peer new, or as new as can be had within 2 s. Never rejects. */
  refreshPeer(peer: PeerIdText): Promise<void> {
    return this.#reader.refreshPeer(peer);
  }

  async #turn(): Promise<void> {
    try {
      await this.#takeTurn();
    } finally {
      this.#components.metrics.pending.set(this.#writer.size);
    }
  }

  async #takeTurn(): Promise<void> {
    if (!this.#link.serves) {
      if (this.#link.isDue) await this.#resume();
      return;
    }
    if (this.#isDue('bytes', 2 * this.#freshMs)) this.#writer.countBytes();
    await Promise.all([
      this.#isDue('flush', this.#intervalMs) ? this.#writer.flush(() => this.#mayCall.take()) : undefined,
      this.#reader.askQuestions(),
      this.#isDue('bans', this.#freshMs) ? this.#reader.readBans() : undefined,
      this.#isDue('legacy', 2 * this.#freshMs) ? this.#reader.readLegacy() : undefined,
      this.#isDue('reconsider', RECONSIDER_EVERY_MS)
        ? this.#link.try('reconsiderBadPeers', { cooldown_seconds: RECONSIDER_SECONDS })
        : undefined,
    ]);
  }

  #isDue(what: Due, everyMs: number): boolean {
    const now = monotonic();
    // A turn that comes a little early is the turn meant.
    if (now < this.#dueAt[what] - 50) return false;
    this.#dueAt[what] = now + everyMs;
    return true;
  }

  /** Asks a service that was away for its rows, and offers it ours. */
  async #resume(): Promise<void> {
    try {
      await this.#reader.list();
    } catch (error) {
      this.#link.notResumed(error);
      return;
    }
    this.#reader.forgetLegacy();
    this.#link.resumed();
    // At once: what is reported from now on is told, and not offered.
    const offered = await this.#writer.reconcile();
    await Promise.all([this.#reader.readBans(), this.#reader.readLegacy()]);
    if (this.#link.serves) this.#link.tellResumed(offered);
  }

  #left(state: 'away' | 'absent' | 'refused', changed: boolean): void {
    if (state !== 'away') this.#writer.clear();
    // What a newer service banned before it is nobody's word now.
    if (state === 'absent' && changed) this.#bans.withdraw();
  }
}
