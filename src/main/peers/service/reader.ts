/** What the blockchain service's registry has of peers: all rows now and then, single ones as they are asked for, its bans and the legacy service's peers. */

import { inSlices } from '../../../shared/async/slices.js';
import { TokenBucket } from '../../../shared/async/token-bucket.js';
import { monotonic } from '../../../shared/clock.js';
import { TransportType } from '../../../shared/generated/peer_registry.js';
import type { PeerIdText } from '../../../shared/net/peer-id.js';
import type { PeerRegistry } from '../registry.js';
import { LOW_REPUTATION } from '../reputation.js';
import { isDealtWith, type ServiceRow, serviceRow } from '../service-row.js';
import type { ServiceBans } from './bans.js';
import type { RegistryLink } from './link.js';
import type { RegistryClientMetrics } from './metrics.js';
import { MAX_ROWS, ServiceRows } from './rows.js';
import { together } from './together.js';

export interface RegistryReaderComponents {
  readonly link: RegistryLink;
  readonly metrics: Pick<RegistryClientMetrics, 'refusedRows'>;
  readonly registry: Pick<PeerRegistry, 'known' | 'records'>;
  readonly bans: Pick<ServiceBans, 'takeOver'>;
  /** Base58 ID of this node. */
  readonly ownPeer: () => PeerIdText;
}

export interface RegistryReaderOptions {
  /** How long an answer about a peer, or the list of all, is as good as new, ms. */
  readonly freshMs: number;
}

const QUESTIONS_A_SECOND = 200;
/** Peers about whom is to be asked. */
const MAX_QUESTIONS = 10_000;
/** Who asks PeerService for the whole registry waits no longer for the service. */
const LIST_FOR_ANSWER_MS = 2_000;
/** Questions about one peer for such answers, at once and a second: who asks more has what is known. Anybody may, about made-up peers. */
const MAX_ANSWERING = 32;
const ANSWERING_A_SECOND = 50;
const EVERYBODY = { min_reputation: 0, min_height: 0, exclude_banned: false, sort_by_storage: false };
const ofTransport = (transport: TransportType) => ({
  ...EVERYBODY,
  transport_filter: transport,
  filter_transport: true,
});

export class RegistryReader {
  readonly #components: RegistryReaderComponents;
  readonly #freshMs: number;
  readonly #rows: ServiceRows;
  readonly #questions = new Set<PeerIdText>();
  readonly #mayAsk = new TokenBucket({ perSecond: QUESTIONS_A_SECOND });
  readonly #mayAnswer = new TokenBucket({ perSecond: ANSWERING_A_SECOND });
  #answering = 0;
  #listedAt = Number.NEGATIVE_INFINITY;
  #listing: Promise<void> | undefined;
  /** The legacy service's rows: never touched. */
  #foreign: ReadonlySet<string> = new Set();
  #legacyConnected: number | undefined;

  constructor(components: RegistryReaderComponents, { freshMs }: RegistryReaderOptions) {
    this.#components = components;
    this.#freshMs = freshMs;
    this.#rows = new ServiceRows({ freshMs });
  }

  /**
   * Whether the service says that a peer's reputation is too low to hear all that it says; undefined where it has not said anything of late. Constant time:
   * what is older than 5 s is asked for in the background.
   */
  isLow(peer: PeerIdText): boolean | undefined {
    const { link, registry } = this.#components;
    if (link.serves && this.#questions.size < MAX_QUESTIONS && this.#rows.isDue(peer)) {
      // Of authors only of whom something was accepted: before its signature anybody may be named.
      if (registry.known.get(peer) !== undefined) this.#questions.add(peer);
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

  /** What was answered of a peer holds no longer. */
  forget(peer: PeerIdText): void {
    this.#rows.forget(peer);
  }

  /** Whether it is one of the legacy service's. */
  isForeign(peer: PeerIdText): boolean {
    return this.#foreign.has(peer);
  }

  /** Peers of the legacy service that are connected; undefined where the service has not said. */
  get legacyConnected(): number | undefined {
    return this.#components.link.serves ? this.#legacyConnected : undefined;
  }

  /** What a service that was away had said of the legacy service's peers is old. */
  forgetLegacy(): void {
    this.#legacyConnected = undefined;
  }

  /** Has all rows new, or as new as can be had within 2 s. Never rejects. */
  async refresh(): Promise<void> {
    const { link } = this.#components;
    if (!link.serves || monotonic() - this.#listedAt < this.#freshMs) return;
    this.#listing ??= this.list(LIST_FOR_ANSWER_MS)
      .catch((error: unknown) => link.failed('listPeers', error))
      .finally(() => {
        this.#listing = undefined;
      });
    await this.#listing;
  }

  /** Has what is known of one peer new, or as new as can be had within 2 s. Never rejects. */
  async refreshPeer(peer: PeerIdText): Promise<void> {
    if (!this.#components.link.serves || !this.#rows.isDue(peer)) return;
    if (this.#answering >= MAX_ANSWERING || !this.#mayAnswer.take()) return;
    this.#answering++;
    await this.#ask(peer, LIST_FOR_ANSWER_MS);
    this.#answering--;
  }

  /** Asks for all rows of our transport, as long as any call unless told. Rejects as the call does. */
  async list(deadlineMs?: number): Promise<void> {
    const { link, metrics, registry, ownPeer } = this.#components;
    const { peers } = await link.call('listPeers', ofTransport(TransportType.TRANSPORT_HTTP), deadlineMs);
    const isKnown = (text: string) =>
      this.#rows.has(text as PeerIdText) || registry.known.get(text as PeerIdText) !== undefined;
    const read = function* () {
      for (const info of peers.slice(0, MAX_ROWS)) yield serviceRow(info, isKnown);
    };
    const rows = await inSlices(read());
    const own = ownPeer();
    this.#rows.clear();
    for (const row of rows) {
      if (row === undefined) metrics.refusedRows.inc();
      else if (row.id !== own) this.#rows.set(row.id, row);
    }
    this.#listedAt = monotonic();
  }

  async readBans(): Promise<void> {
    const { link, bans } = this.#components;
    const askedAt = monotonic();
    const answer = await link.try('listBannedPeers', {});
    // Another call may have found meanwhile that it has no registry any more.
    if (answer !== undefined && link.serves) await bans.takeOver(answer.peer_ids, askedAt);
  }

  async readLegacy(): Promise<void> {
    const { link } = this.#components;
    const answer = await link.try('listPeers', ofTransport(TransportType.TRANSPORT_WIRE_PROTOCOL));
    // What it said before is the best that there is.
    if (answer === undefined) return;
    const peers = answer.peers
      .filter(({ transport_type }) => transport_type === TransportType.TRANSPORT_WIRE_PROTOCOL)
      .slice(0, MAX_ROWS);
    this.#foreign = new Set(peers.map(({ peer_id }) => peer_id));
    this.#legacyConnected = peers.filter(({ is_connected }) => is_connected).length;
  }

  /** Asks about the peers that messages asked about, as many as are allowed by now. */
  async askQuestions(): Promise<void> {
    const asked: PeerIdText[] = [];
    for (const peer of this.#questions) {
      if (!this.#mayAsk.take()) break;
      this.#questions.delete(peer);
      asked.push(peer);
    }
    await together(this.#components.link, asked, (peer) => this.#ask(peer));
  }

  async #ask(peer: PeerIdText, deadlineMs?: number): Promise<void> {
    const { link, metrics, registry } = this.#components;
    if (link.lacks('getPeer')) return;
    try {
      const { peer: info, not_found } = await link.call('getPeer', { peer_id: peer }, deadlineMs);
      const row = info === undefined || not_found ? undefined : serviceRow(info, (id) => id === peer);
      const answered = row?.id === peer ? row : undefined;
      if (info !== undefined && answered === undefined) metrics.refusedRows.inc();
      // Whoever asks PeerService about peers that nobody knows fills no memory here.
      const { known, records } = registry;
      if (answered !== undefined || known.get(peer) !== undefined || records.has(peer))
        this.#rows.set(peer, answered);
    } catch (error) {
      link.failed('getPeer', error);
    }
  }
}
