/**
 * The blockchain service's registry of peers, which all services of a node share since 2026. This server writes there what it learns of its
 * peers, gathered, one flush an interval a peer, and reads there how others fared with them. Nothing waits for it: while the service is away, slow or
 * has no registry, the one here is all there is, and it is offered to the service when that is back.
 */

import type { PeerIdText } from '../../../shared/net/peer-id.js';
import { setMaxListeners } from 'node:events';
import { inSlices } from '../../../shared/async/slices.js';
import { TokenBucket } from '../../../shared/async/token-bucket.js';
import { hashToBytes, parseHashHex } from '../../../shared/bitcoin/hash.js';
import { dateOf, monotonic, steadyTime } from '../../../shared/clock.js';
import { errorMessage } from '../../../shared/errors.js';
import { PeerRegistryInfo, TransportType } from '../../../shared/generated/peer_registry.js';
import type { DependencyHealth } from '../../../shared/health.js';
import type { Logger } from '../../../shared/logging/logger.js';
import { QUEUES } from '../../../shared/queues.js';
import type { BanList } from '../../bans/list.js';
import type {
  PeerRegistryCalls,
  RegistryMethod,
  RegistryRequest,
  RegistryResponse,
} from '../../chain/peer-registry-calls.js';
import type { ConnectedPeer } from '../../node/types.js';
import { NO_RECORD, type PeerRecord } from '../peer-record.js';
import type { PeerReport } from '../peer-report.js';
import type { PeerRegistry } from '../registry.js';
import { LOW_REPUTATION } from '../reputation.js';
import type { Level } from '../write-behind.js';
import { Asserted, type Told } from './asserted.js';
import { ServiceBans } from './bans.js';
import { callsOf, metricsCall, type RegistryCall } from './calls.js';
import type { RegistryClientMetrics } from './metrics.js';
import { outcomeOf } from './outcome.js';
import { PendingUpdates, type Update } from './pending.js';
import { isDealtWith, type ServiceRow, serviceRow } from './row.js';
import { MAX_ROWS, ServiceRows } from './rows.js';

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
  /** For a call; 5,000 ms unless told. */
  readonly callMs?: number;
  /** Between two questions to a service that has no registry; 5 minutes unless told. */
  readonly absentMs?: number;
  /** The longest pause before a service that is away is asked again; 30 s unless told. */
  readonly awayMs?: number;
  /** Peers about whom something may wait; 10,000 unless told. */
  readonly maxPending?: number;
  /** How long an answer about a peer, or the list of bans, is as good as new; 5 s unless told, as in Go. */
  readonly freshMs?: number;
}

/**
 * `unasked`: not answered yet. `serving`. `absent`: an older service, without a registry. `away`: it does not answer, or too late, or not well.
 * `refused`: it wants another key.
 */
export type RegistryState = 'unasked' | 'serving' | 'absent' | 'away' | 'refused';

const RESOURCE = 'PeerRegistryClient';
/** Of the loop of this part; a flush is due less often where the interval is longer. */
const TURN_MS = 1_000;
const FIRST_RETRY_MS = 1_000;
const REFUSED_RETRY_MS = 60_000;
/** A service that served for so long is asked again soon when it goes; and as long there is no second line about the same. */
const STEADY_MS = 60_000;
/** Calls under way together: what waits on the other side is not made more by us. */
const CONCURRENCY = QUEUES.registryUpdates.bounds.atOnce;
/** Each costs main some 0.16 ms: made-up identities must not have more than a tenth of it. Familiar peers go first, the rest waits. */
const CALLS_A_SECOND = QUEUES.registryUpdates.bounds.callsPerSecond;
const QUESTIONS_A_SECOND = 200;
/** Peers about whom is to be asked. */
const MAX_QUESTIONS = 10_000;
/** Go's P2P service has low peers reconsidered; nobody else does where it is replaced. */
const RECONSIDER_EVERY_MS = 60_000;
const RECONSIDER_SECONDS = 300n;
/** Who asks PeerService for the whole registry waits no longer for the service. */
const LIST_FOR_ANSWER_MS = 2_000;
/** Questions about one peer for such answers, at once and a second: who asks more has what is known. Anybody may, about made-up peers. */
const MAX_ANSWERING = 32;
const ANSWERING_A_SECOND = 50;
const FULL_SHOWN_MS = 60_000;
/** Between two lines of the log about it. */
const FULL_TOLD_MS = 600_000;
/** Whoever was heard of longer ago is not offered, unless it is recorded, connected or configured. */
const OFFERED_WITHIN_MS = 3_600_000;
/** What is left is told within this at the stop. */
const FAREWELL_MS = 1_000;

const EMPTY = {};

/** What is done now and then. */
type Due = 'flush' | 'bans' | 'bytes' | 'legacy' | 'reconsider';

/** A call of an update, and how to have it again. */
interface Step {
  readonly call: RegistryCall;
  /** Without it nothing that follows makes sense. */
  readonly first?: true;
  /** May be done twice: it says how things are, not what happened. */
  readonly repeatable?: true;
  readonly done?: (response: unknown) => void;
  /** Puts it back into what waits. */
  readonly again: (update: Update) => void;
}

export class RegistryClient {
  readonly #components: RegistryClientComponents;
  readonly #options: Required<RegistryClientOptions>;
  readonly #pending: PendingUpdates;
  readonly #rows: ServiceRows;
  readonly #asserted = new Asserted();
  readonly #bans: ServiceBans;
  readonly #stopping = new AbortController();
  /** Connected, and heard since. */
  readonly #spoken = new Set<PeerIdText>();
  /** Counted of connections so far, what the service knows of it included. */
  readonly #bytes = new Map<PeerIdText, { readonly sent: bigint; readonly received: bigint }>();
  readonly #questions = new Set<PeerIdText>();
  readonly #mayCall = new TokenBucket({ perSecond: CALLS_A_SECOND });
  readonly #mayAsk = new TokenBucket({ perSecond: QUESTIONS_A_SECOND });
  readonly #mayAnswer = new TokenBucket({ perSecond: ANSWERING_A_SECOND });
  /** The legacy service's rows: never touched. */
  #foreign: ReadonlySet<string> = new Set();
  #legacyConnected: number | undefined;
  /** Methods that the service does not have, though it has a registry. */
  readonly #missing = new Set<RegistryMethod>();
  #state: RegistryState = 'unasked';
  #reason = '';
  /** When the service refused something for want of room, and when that was logged. */
  #fullAt = Number.NEGATIVE_INFINITY;
  #fullToldAt = Number.NEGATIVE_INFINITY;
  /** Once for each time that the service came to serve. */
  #verified = false;
  #retryMs = FIRST_RETRY_MS;
  /** Monotonic. */
  #servingSince = 0;
  /** When a line was logged, monotonic. */
  readonly #toldAt = { away: Number.NEGATIVE_INFINITY, serving: Number.NEGATIVE_INFINITY };
  /** Monotonic. */
  #askAt = 0;
  readonly #dueAt: Record<Due, number> = { flush: 0, bans: 0, bytes: 0, legacy: 0, reconsider: 0 };
  #listedAt = Number.NEGATIVE_INFINITY;
  #listing: Promise<void> | undefined;
  #answering = 0;
  #turn: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #running = false;

  constructor(components: RegistryClientComponents, options: RegistryClientOptions) {
    this.#components = components;
    this.#options = {
      callMs: QUEUES.registryUpdates.bounds.callMs,
      absentMs: 300_000,
      awayMs: 30_000,
      maxPending: 10_000,
      freshMs: 5_000,
      ...options,
    };
    // One a call that is under way.
    setMaxListeners(0, this.#stopping.signal);
    this.#rows = new ServiceRows({ freshMs: this.#options.freshMs });
    const { list, logger, metrics, level, ownPeer, isConfigured, isProtected, registry } = components;
    this.#pending = new PendingUpdates(
      {
        isFamiliar: (peer) =>
          registry.known.isConnected(peer) || registry.records.has(peer) || isConfigured(peer),
        onDropped: () => metrics.dropped.inc(),
      },
      { maxPeers: this.#options.maxPending },
    );
    this.#bans = new ServiceBans(
      { list, logger, metrics, level, isSpared: (peer) => peer === ownPeer() || isProtected(peer) },
      { durationMs: options.banDurationMs },
    );
    list.on('cleared', () => this.#bans.pardonAll());
  }

  /** Begins to ask and to write; waits for nobody. Rejects when the embedded store cannot be read. */
  async start(): Promise<void> {
    await this.#bans.open();
    this.#running = true;
    this.#later(0);
  }

  /** Tells the service, if it is there, what waits and that nobody is connected any more; within a second, and by `deadline` (monotonic). */
  async stop(deadline = Number.POSITIVE_INFINITY): Promise<void> {
    if (!this.#running) return;
    this.#running = false;
    clearTimeout(this.#timer);
    const left = Math.max(0, Math.min(FAREWELL_MS, deadline - monotonic()));
    const ms = this.#state === 'serving' ? left : 0;
    const cut = setTimeout(() => this.#stopping.abort(), ms);
    await this.#turn;
    this.#spoken.clear();
    if (this.#state === 'serving') {
      for (const peer of this.#asserted.connected()) this.#mark(peer, { connection: true });
      await this.#flush(() => true);
    }
    clearTimeout(cut);
    this.#stopping.abort();
  }

  get state(): RegistryState {
    return this.#state;
  }

  /** Never 503: this server does its work without the service's registry. */
  health(): DependencyHealth {
    const messages: Record<RegistryState, string> = {
      unasked: 'the blockchain service has not answered yet whether it has a peer registry',
      serving:
        monotonic() - this.#fullAt < FULL_SHOWN_MS
          ? 'in use, and full: further peers are known here alone'
          : 'in use',
      absent: 'the blockchain service has no peer registry: the one here is in use',
      away: `the one here is in use: ${this.#reason}`,
      refused: `the one here is in use: ${this.#reason}`,
    };
    return { resource: RESOURCE, status: 200, message: messages[this.#state] };
  }

  // What is learned here. Cheap: some of it is called for every message.

  /** A message of this author was accepted. */
  received(author: PeerIdText): void {
    if (!this.#collects) return;
    const update = this.#pending.of(author);
    if (update === undefined) return;
    update.messageReceived = true;
    if (this.#spoken.has(author) || !this.#components.registry.known.isConnected(author)) return;
    this.#spoken.add(author);
    update.connection = true;
  }

  /** A peer told something of itself, which is known here by now. */
  told(peer: PeerIdText): void {
    this.#mark(peer, { told: true });
  }

  /** A peer's last connection has closed, after `bytesReceived` over all of them. */
  disconnected(peer: PeerIdText, bytesReceived: bigint): void {
    const counted = this.#bytes.get(peer);
    this.#bytes.delete(peer);
    // Where it has spoken, the service may be told just now that it is connected.
    if (!this.#spoken.delete(peer) && !this.#asserted.isConnected(peer)) return;
    const left = bytesReceived - (counted?.received ?? 0n);
    this.#mark(peer, { connection: true, received: left > 0n ? left : 0n });
  }

  /** Something was reported of a peer, and recorded here. */
  reported(report: PeerReport): void {
    if (!this.#collects) return;
    const { registry } = this.#components;
    const { peer } = report;
    // What was answered before it no longer holds.
    if (report.type === 'reset') this.#rows.forget(peer);
    if (report.type === 'downloaded') this.#mark(peer, { received: report.bytes });
    else {
      const claimsFull = registry.known.get(peer)?.storage === 'full';
      const doubtedUntil = registry.records.get(peer).storageDoubtedUntil;
      this.#pending.call(peer, ...callsOf(report, { claimsFull, doubtedUntil }));
    }
  }

  /** A peer was scored here. */
  offended(peer: PeerIdText, reason: string, points: number): void {
    if (!this.#collects) return;
    this.#pending.call(peer, { method: 'addBanScore', request: { peer_id: peer, reason, points } });
  }

  /** We try to catch up from a peer. */
  syncAttempt(peer: PeerIdText): void {
    if (this.#collects) this.#pending.call(peer, { method: 'recordSyncAttempt', request: { peer_id: peer } });
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
    if (this.#state === 'serving' && this.#questions.size < MAX_QUESTIONS && this.#rows.isDue(peer)) {
      // Of authors only of whom something was accepted: before its signature anybody may be named.
      if (this.#components.registry.known.get(peer) !== undefined) this.#questions.add(peer);
    }
    const row = this.#rows.get(peer);
    return row === undefined || !isDealtWith(row) ? undefined : row.reputation < LOW_REPUTATION;
  }

  /** What the service answered of a peer within the last minute. */
  row(peer: PeerIdText): ServiceRow | undefined {
    return this.#rows.get(peer);
  }

  /** All that it answered within the last minute. */
  rows(): Iterable<ServiceRow> {
    return this.#rows.all();
  }

  /** Peers of the legacy service that are connected; undefined where the service has not said. */
  get legacyConnected(): number | undefined {
    return this.#state === 'serving' ? this.#legacyConnected : undefined;
  }

  /** Has all rows new, or as new as can be had within 2 s. Never rejects. */
  async refresh(): Promise<void> {
    if (this.#state !== 'serving' || monotonic() - this.#listedAt < this.#options.freshMs) return;
    this.#listing ??= this.#list(LIST_FOR_ANSWER_MS)
      .catch((error: unknown) => this.#noteFailure('listPeers', error))
      .finally(() => {
        this.#listing = undefined;
      });
    await this.#listing;
  }

  /** Has what is known of one peer new, or as new as can be had within 2 s. Never rejects. */
  async refreshPeer(peer: PeerIdText): Promise<void> {
    if (this.#state !== 'serving' || !this.#rows.isDue(peer)) return;
    if (this.#answering >= MAX_ANSWERING || !this.#mayAnswer.take()) return;
    this.#answering++;
    await this.#ask(peer, LIST_FOR_ANSWER_MS);
    this.#answering--;
  }

  get #collects(): boolean {
    return (
      this.#running && (this.#state === 'serving' || this.#state === 'away' || this.#state === 'unasked')
    );
  }

  #mark(peer: PeerIdText, { told, connection, seed, received = 0n, sent = 0n }: Partial<Update>): void {
    if (!this.#collects && !(connection && this.#state === 'serving')) return;
    const update = this.#pending.of(peer);
    if (update === undefined) return;
    update.told ||= told === true;
    update.seed ||= seed === true;
    update.connection ||= connection === true;
    update.received += received;
    update.sent += sent;
  }

  #later(ms: number): void {
    this.#timer = setTimeout(() => {
      this.#turn = this.#takeTurn()
        .catch((error: unknown) => {
          this.#components.logger.error({ err: error }, 'the peer registry of the blockchain service');
        })
        .finally(() => {
          this.#turn = undefined;
          this.#components.metrics.pending.set(this.#pending.size);
          if (this.#running) this.#later(Math.min(TURN_MS, this.#intervalMs));
        });
    }, ms).unref();
  }

  get #intervalMs(): number {
    return this.#options.intervalMs > 0 ? this.#options.intervalMs : TURN_MS;
  }

  async #takeTurn(): Promise<void> {
    if (this.#state !== 'serving') {
      if (monotonic() >= this.#askAt) await this.#resume();
      return;
    }
    const { freshMs } = this.#options;
    if (this.#isDue('bytes', 2 * freshMs)) this.#countBytes();
    await Promise.all([
      this.#isDue('flush', this.#intervalMs) ? this.#flush(() => this.#mayCall.take()) : undefined,
      this.#askQuestions(),
      this.#isDue('bans', freshMs) ? this.#readBans() : undefined,
      this.#isDue('legacy', 2 * freshMs) ? this.#readLegacy() : undefined,
      this.#isDue('reconsider', RECONSIDER_EVERY_MS)
        ? this.#try('reconsiderBadPeers', { cooldown_seconds: RECONSIDER_SECONDS })
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

  // Asking.

  async #call<M extends RegistryMethod>(
    method: M,
    request: RegistryRequest<M>,
    deadlineMs = this.#options.callMs,
  ): Promise<RegistryResponse<M>> {
    const { calls, metrics } = this.#components;
    try {
      const response = await calls.call(method, request, { deadlineMs, signal: this.#stopping.signal });
      metrics.calls.inc({ outcome: 'ok' });
      return response;
    } catch (error) {
      metrics.calls.inc({ outcome: outcomeOf(error) });
      throw error;
    }
  }

  /** Undefined where the service did not do it. */
  async #try<M extends RegistryMethod>(
    method: M,
    request: RegistryRequest<M>,
  ): Promise<RegistryResponse<M> | undefined> {
    if (this.#missing.has(method)) return undefined;
    try {
      return await this.#call(method, request);
    } catch (error) {
      this.#noteFailure(method, error);
      return undefined;
    }
  }

  /** What a failed call says of the service. */
  #noteFailure(method: RegistryMethod, error: unknown): void {
    if (this.#stopping.signal.aborted) return;
    const outcome = outcomeOf(error);
    const reason = errorMessage(error);
    // Calls that were under way together fail together.
    if (this.#state !== 'serving') return;
    if (outcome === 'away' || outcome === 'late') this.#leave('away', reason);
    else if (outcome === 'refused') this.#leave('refused', reason);
    else if (outcome === 'absent') {
      // Without these there is no registry to speak of.
      if (method === 'listPeers' || method === 'registerPeer' || method === 'listBannedPeers') {
        this.#leave('absent', reason);
      } else this.#missing.add(method);
    } else this.#components.logger.debug({ method, reason }, 'a call to the peer registry failed');
  }

  /** The service's registry is in use no longer, or still not. One line a change. */
  #leave(state: 'away' | 'absent' | 'refused', reason: string): void {
    const { logger, metrics } = this.#components;
    const { absentMs, awayMs } = this.#options;
    const before = this.#state;
    if (before === 'serving' && monotonic() - this.#servingSince > STEADY_MS) this.#retryMs = FIRST_RETRY_MS;
    const waits = { absent: absentMs, refused: REFUSED_RETRY_MS, away: Math.min(awayMs, this.#retryMs) };
    this.#askAt = monotonic() + waits[state];
    if (state === 'away') this.#retryMs = Math.min(awayMs, 2 * this.#retryMs);
    this.#reason = reason;
    this.#state = state;
    metrics.up.set(0);
    if (state !== 'away') this.#pending.clear();
    if (before === state) return;
    // A refused key is told by the neighbour itself.
    if (state === 'away') {
      const level = this.#mayTell('away') ? 'warn' : 'debug';
      logger[level](
        { reason },
        'the peer registry of the blockchain service does not answer: the one here is in use',
      );
    } else if (state === 'absent') {
      // Nothing is wrong with a service of before 2026. What a newer one banned before it is nobody's word now.
      logger.info('the blockchain service has no peer registry: the one here is in use');
      this.#bans.withdraw();
    }
  }

  /** Whether a line about a state is not the same as one of the last minute: a service may come and go. */
  #mayTell(state: 'away' | 'serving'): boolean {
    const now = monotonic();
    const may = now - this.#toldAt[state] >= STEADY_MS;
    if (may) this.#toldAt[state] = now;
    return may;
  }

  /** Asks a service that was away for its rows, and offers it ours. */
  async #resume(): Promise<void> {
    const { logger, metrics } = this.#components;
    try {
      await this.#list(this.#options.callMs);
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      const outcome = outcomeOf(error);
      this.#leave(outcome === 'absent' || outcome === 'refused' ? outcome : 'away', errorMessage(error));
      return;
    }
    this.#missing.clear();
    this.#asserted.clear();
    this.#legacyConnected = undefined;
    this.#state = 'serving';
    this.#reason = '';
    this.#fullAt = Number.NEGATIVE_INFINITY;
    this.#verified = false;
    this.#servingSince = monotonic();
    metrics.up.set(1);
    // At once: what is reported from now on is told, and not offered.
    const offered = await this.#reconcile();
    await Promise.all([this.#readBans(), this.#readLegacy()]);
    if (this.#state !== 'serving') return;
    const level = this.#mayTell('serving') ? 'info' : 'debug';
    logger[level]({ ...offered }, 'the peer registry of the blockchain service is in use');
  }

  /** Asks for all rows of our transport. Rejects as the call does. */
  async #list(deadlineMs: number): Promise<void> {
    const { metrics, registry } = this.#components;
    const filter = { transport_filter: TransportType.TRANSPORT_HTTP, filter_transport: true };
    const all = { min_reputation: 0, min_height: 0, exclude_banned: false, sort_by_storage: false };
    const { peers } = await this.#call('listPeers', { ...filter, ...all }, deadlineMs);
    const isKnown = (text: string) =>
      this.#rows.has(text as PeerIdText) || registry.known.get(text as PeerIdText) !== undefined;
    const read = function* () {
      for (const info of peers.slice(0, MAX_ROWS)) yield serviceRow(info, isKnown);
    };
    const rows = await inSlices(read());
    const own = this.#components.ownPeer();
    this.#rows.clear();
    for (const row of rows) {
      if (row === undefined) metrics.refusedRows.inc();
      else if (row.id !== own) this.#rows.set(row.id, row);
    }
    this.#listedAt = monotonic();
  }

  async #readBans(): Promise<void> {
    const askedAt = monotonic();
    const answer = await this.#try('listBannedPeers', EMPTY);
    // Another call may have found meanwhile that it has no registry any more.
    if (answer !== undefined && this.#state === 'serving')
      await this.#bans.takeOver(answer.peer_ids, askedAt);
  }

  async #readLegacy(): Promise<void> {
    const filter = { transport_filter: TransportType.TRANSPORT_WIRE_PROTOCOL, filter_transport: true };
    const all = { min_reputation: 0, min_height: 0, exclude_banned: false, sort_by_storage: false };
    const answer = await this.#try('listPeers', { ...filter, ...all });
    // What it said before is the best that there is.
    if (answer === undefined) return;
    const peers = answer.peers
      .filter(({ transport_type }) => transport_type === TransportType.TRANSPORT_WIRE_PROTOCOL)
      .slice(0, MAX_ROWS);
    this.#foreign = new Set(peers.map(({ peer_id }) => peer_id));
    this.#legacyConnected = peers.filter(({ is_connected }) => is_connected).length;
  }

  async #askQuestions(): Promise<void> {
    const asked: PeerIdText[] = [];
    for (const peer of this.#questions) {
      if (!this.#mayAsk.take()) break;
      this.#questions.delete(peer);
      asked.push(peer);
    }
    await this.#together(asked, (peer) => this.#ask(peer, this.#options.callMs));
  }

  async #ask(peer: PeerIdText, deadlineMs: number): Promise<void> {
    if (this.#missing.has('getPeer')) return;
    try {
      const { peer: info, not_found } = await this.#call('getPeer', { peer_id: peer }, deadlineMs);
      const row = info === undefined || not_found ? undefined : serviceRow(info, (id) => id === peer);
      const answered = row?.id === peer ? row : undefined;
      if (info !== undefined && answered === undefined) this.#components.metrics.refusedRows.inc();
      // Whoever asks PeerService about peers that nobody knows takes no room here.
      const { known, records } = this.#components.registry;
      if (answered !== undefined || known.get(peer) !== undefined || records.has(peer))
        this.#rows.set(peer, answered);
    } catch (error) {
      this.#noteFailure('getPeer', error);
    }
  }

  /** Each of `items`, some at once, as long as the service serves. */
  async #together<T>(items: Iterable<T>, work: (item: T) => Promise<void>): Promise<void> {
    const iterator = items[Symbol.iterator]();
    const worker = async (): Promise<void> => {
      while (this.#state === 'serving' && !this.#stopping.signal.aborted) {
        const { done, value } = iterator.next();
        if (done) return;
        await work(value);
      }
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  }

  // Writing.

  /** Compares what the service has with what is known here, and marks what is to be told. */
  async #reconcile(): Promise<{ offered: number; disconnected: number }> {
    let disconnected = 0;
    for (const row of this.#rows.all()) {
      this.#asserted.found(row);
      if (!row.connected || this.#isConnected(row.id)) continue;
      disconnected++;
      this.#mark(row.id, { connection: true });
    }
    let offered = 0;
    for (const peer of await inSlices(this.#offers())) {
      const row = this.#rows.get(peer);
      if (row === undefined) {
        this.#mark(peer, { told: true, seed: true });
      } else if (this.#asserted.differs(peer, this.#toldOf(peer))) this.#mark(peer, { told: true });
      else continue;
      offered++;
    }
    for (const peer of this.#spoken) this.#mark(peer, { connection: true });
    return { offered, disconnected };
  }

  /** Peers of whom the service should know. */
  *#offers(): Generator<PeerIdText> {
    const { registry, isConfigured, ownPeer } = this.#components;
    const { known, records } = registry;
    const own = ownPeer();
    const since = steadyTime() - OFFERED_WITHIN_MS;
    const seen = new Set<PeerIdText>([own]);
    for (const { id, lastReceived: lastHeard } of known.list()) {
      if (lastHeard < since && !known.isConnected(id) && !records.has(id) && !isConfigured(id)) continue;
      if (lastHeard === 0 || seen.has(id)) continue;
      seen.add(id);
      yield id;
    }
    for (const id of records.peers()) {
      if (seen.has(id)) continue;
      seen.add(id);
      yield id;
    }
  }

  #isConnected(peer: PeerIdText): boolean {
    return this.#running && this.#spoken.has(peer);
  }

  #toldOf(peer: PeerIdText): Told {
    const { known, records } = this.#components.registry;
    const of = known.get(peer);
    const doubted = records.has(peer) && records.get(peer).storageDoubtedUntil > steadyTime();
    return {
      name: of?.name ?? '',
      height: of?.height ?? 0,
      blockHash: of?.bestBlock ?? '',
      dataHubUrl: of?.dataHubUrl ?? '',
      storage: doubted ? '' : (of?.storage ?? ''),
    };
  }

  #countBytes(): void {
    for (const { id, bytesSent, bytesReceived } of this.#components.connections()) {
      const { sent, received } = this.#bytes.get(id) ?? { sent: 0n, received: 0n };
      if (!this.#asserted.isConnected(id)) continue;
      this.#bytes.set(id, { sent: bytesSent, received: bytesReceived });
      const delta = (now: bigint, before: bigint): bigint => (now > before ? now - before : 0n);
      const deltas = { sent: delta(bytesSent, sent), received: delta(bytesReceived, received) };
      if (deltas.sent + deltas.received > 0n) this.#mark(id, deltas);
    }
  }

  /** Tells what waits, each peer's whole, as long as one more call is allowed. */
  async #flush(mayCall: () => boolean): Promise<void> {
    const pending = this.#pending;
    const some = function* () {
      const updates = pending.take();
      while (mayCall()) {
        const { done, value } = updates.next();
        if (done) return;
        yield value;
      }
    };
    await this.#together(some(), async ([peer, update]) => {
      // The first one is accounted for.
      for (let calls = await this.#tell(peer, update); calls > 1; calls--) mayCall();
    });
    if (!this.#verified && this.#running) await this.#verify();
  }

  /**
   * Whether the service has understood what it was told: of another version, its fields may have moved. It may keep less of a peer than that
   * told, such as no data hub that it would not call: only where nothing at all comes back was it not understood.
   */
  async #verify(): Promise<void> {
    const any = this.#asserted.any;
    if (any === undefined || this.#state !== 'serving') return;
    const { peer, told } = any;
    const answer = await this.#try('getPeer', { peer_id: peer });
    if (answer?.peer === undefined) return;
    this.#verified = true;
    const { peer_id, transport_type, client_name, height, data_hub_url } = answer.peer;
    const isOurs = peer_id === peer && transport_type === TransportType.TRANSPORT_HTTP;
    const isKept =
      (client_name !== '' && client_name === told.name) ||
      (height > 0 && height === told.height) ||
      data_hub_url !== '';
    if (isOurs && isKept) return;
    this.#leave('away', 'it does not answer what it was told: of a version that this server does not know?');
    this.#askAt = monotonic() + this.#options.absentMs;
  }

  /** Tells what waits about one peer. Gives the number of calls. */
  async #tell(peer: PeerIdText, update: Update): Promise<number> {
    if (peer === this.#components.ownPeer() || this.#foreign.has(peer)) return 0;
    if (this.#asserted.isRefused(peer)) {
      this.#components.metrics.dropped.inc();
      return 0;
    }
    const steps = this.#stepsOf(peer, update);
    for (const [index, step] of steps.entries()) {
      const { method, request } = step.call;
      if (this.#missing.has(method)) continue;
      try {
        const response = await this.#call(method, request as never);
        step.done?.(response);
      } catch (error) {
        this.#noteFailure(method, error);
        const outcome = outcomeOf(error);
        if (outcome === 'away' || outcome === 'late' || outcome === 'refused') {
          // What may have been done after all is not done twice.
          const lost = outcome === 'late' && step.repeatable !== true;
          if (lost) this.#components.metrics.dropped.inc();
          this.#putBack(peer, steps.slice(lost ? index + 1 : index));
          return index + 1;
        }
        if (outcome === 'full') {
          this.#noteFull();
          if (this.#asserted.isTold(peer)) {
            // It has a place there: how it stands is told again anyway.
            this.#putBack(
              peer,
              steps.slice(index).filter(({ repeatable }) => repeatable !== true),
            );
            return index + 1;
          }
        }
        this.#components.metrics.dropped.inc();
        if (step.first) {
          this.#asserted.refused(peer);
          return index + 1;
        }
      }
    }
    return steps.length;
  }

  #putBack(peer: PeerIdText, steps: readonly Step[]): void {
    if (!this.#collects) return;
    const update = this.#pending.of(peer);
    if (update === undefined) return;
    const since = update.calls.splice(0);
    for (const step of steps) step.again(update);
    this.#pending.call(peer, ...since);
  }

  #noteFull(): void {
    const now = monotonic();
    this.#fullAt = now;
    if (now - this.#fullToldAt < FULL_TOLD_MS) return;
    this.#fullToldAt = now;
    this.#components.logger.warn(
      'the peer registry of the blockchain service is full: further peers are known here alone',
    );
  }

  #stepsOf(peer: PeerIdText, { seed, messageReceived: heard, sent, received, calls }: Update): Step[] {
    const of = { peer_id: peer };
    const told = this.#toldOf(peer);
    const asserted = this.#asserted;
    const steps: Step[] = [];
    const offences = calls.filter(({ method }) => method === 'addBanScore');
    // What else was reported and not told is part of what is offered.
    const offered = seed ? calls.filter(({ method }) => method !== 'addBanScore') : undefined;
    // First: the service knows nothing to do about a peer that it does not know.
    if (seed || asserted.differs(peer, told)) {
      steps.push({
        call: { method: 'registerPeer', request: { peer: this.#infoOf(peer, told, offered) } },
        first: true,
        repeatable: true,
        done: () => asserted.told(peer, told),
        again: (update) => {
          update.told = true;
          update.seed ||= seed;
          update.calls.push(...(offered ?? []));
        },
      });
    }
    const connected = this.#isConnected(peer);
    if (asserted.saysOtherwise(peer, connected)) {
      steps.push({
        call: { method: 'updateConnectionState', request: { ...of, connected } },
        repeatable: true,
        done: () => asserted.connection(peer, connected),
        again: (update) => {
          update.connection = true;
        },
      });
    }
    if (heard) {
      steps.push({
        call: { method: 'updateLastMessageTime', request: of },
        repeatable: true,
        again: (update) => {
          update.messageReceived = true;
        },
      });
    }
    if (sent + received > 0n) {
      steps.push({
        call: metricsCall(peer, { bytes_sent_delta: sent, bytes_received_delta: received }),
        again: (update) => {
          update.sent += sent;
          update.received += received;
        },
      });
    }
    if (told.storage === '' && asserted.storageOf(peer) !== '') {
      steps.push({
        call: { method: 'updateStorage', request: { ...of, storage: '' } },
        repeatable: true,
        done: () => asserted.told(peer, told),
        again: (update) => {
          update.told = true;
        },
      });
    }
    // Protected peers are spared here: the service would ban them for all others.
    const spared = offences.length > 0 && this.#components.isProtected(peer);
    for (const call of seed ? offences : calls) {
      if (spared && call.method === 'addBanScore') continue;
      steps.push({
        call,
        done: (response) => this.#noteAnswer(peer, call, response),
        again: (update) => {
          update.calls.push(call);
        },
      });
    }
    return steps;
  }

  #noteAnswer(peer: PeerIdText, { method, request }: RegistryCall, response: unknown): void {
    if (this.#state !== 'serving') return;
    if (method === 'addBanScore' && (response as RegistryResponse<'addBanScore'>).banned) {
      this.#bans.banned(
        peer,
        `by the peer registry of the blockchain service, the last for ${request.reason}`,
      );
    }
  }

  /** A row of ours; with `offered`, reports not told yet, also what was recorded, which counts where the service has no row. */
  #infoOf(
    peer: PeerIdText,
    { name, height, blockHash, dataHubUrl, storage }: Told,
    offered: readonly RegistryCall[] | undefined,
  ): PeerRegistryInfo {
    const { records } = this.#components.registry;
    const hash = parseHashHex(blockHash);
    return PeerRegistryInfo.fromPartial({
      peer_id: peer,
      transport_type: TransportType.TRANSPORT_HTTP,
      client_name: name,
      height,
      data_hub_url: dataHubUrl,
      storage,
      ...(hash === undefined ? {} : { block_hash: Buffer.from(hashToBytes(hash)) }),
      ...(offered === undefined
        ? {}
        : recordedInfo(records.has(peer) ? records.get(peer) : NO_RECORD, offered)),
    });
  }
}

/**
 * How dealing with a peer went, in the service's fields. What is counted there and not here is counted in `reports`, which were not told yet; bytes go as what
 * was added.
 */
function recordedInfo(record: PeerRecord, reports: readonly RegistryCall[]): Partial<PeerRegistryInfo> {
  const count = (...methods: readonly RegistryMethod[]): number =>
    reports.filter(({ method }) => methods.includes(method)).length;
  const contradictions = reports.map((call) =>
    call.method === 'registerPeer' ? (call.request.peer?.full_storage_contradictions ?? 0n) : 0n,
  );
  const time = (at: number): Date | undefined => (at === 0 ? undefined : new Date(dateOf(at)));
  const validated = parseHashHex(record.validatedHash);
  const work = record.validatedWork;
  return {
    interaction_attempts: BigInt(record.attempts),
    interaction_successes: BigInt(record.successes),
    interaction_failures: BigInt(record.failures),
    malicious_count: BigInt(record.malicious),
    avg_response_time_ms: record.averageMs,
    last_interaction_attempt: time(record.lastAttempt),
    last_interaction_success: time(record.lastSuccess),
    last_interaction_failure: time(record.lastFailure),
    last_block_time: time(record.lastValidBlock),
    last_catchup_error: record.catchupError,
    last_catchup_error_time: time(record.catchupErrorAt),
    // Go takes the time of a block for a delivery only where one was counted.
    blocks_received: BigInt(Math.max(count('recordBlockReceived'), Number(record.lastValidBlock > 0))),
    subtrees_received: BigInt(count('recordSubtreeReceived')),
    sync_attempt_count: count('recordSyncAttempt', 'recordCatchupAttempt'),
    full_storage_contradictions: contradictions.reduce((sum, one) => sum + one, 0n),
    catchup_attempts: BigInt(record.catchupAttempts),
    catchup_successes: BigInt(record.catchupSuccesses),
    catchup_failures: BigInt(record.catchupFailures),
    full_storage_penalty_until: time(record.storageDoubtedUntil),
    ...(validated === undefined
      ? {}
      : {
          validated_height: record.validatedHeight,
          validated_block_hash: Buffer.from(hashToBytes(validated)),
          validated_chain_work: Buffer.from(work.length % 2 === 0 ? work : `0${work}`, 'hex'),
        }),
  };
}
