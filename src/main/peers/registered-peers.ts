/**
 * The peer registry as the outside sees it: known and recorded, connected and banned, joined at the moment of asking, also with what the blockchain service's
 * registry has. What a peer tells is heard here, and how dealing with it went is told there by all services of the node.
 */

import { inSlices } from '../../shared/async/slices.js';
import { steadyTime } from '../../shared/clock.js';
import { plainHost } from '../../shared/messages/data-hub-url.js';
import type { BanList } from '../bans/list.js';
import type { BanScores } from '../bans/scores.js';
import type { ConnectedPeer, P2PNode } from '../node/types.js';
import type { KnownPeer } from './known-peers.js';
import { NO_RECORD, type PeerRecord } from './peer-record.js';
import type { PeerRegistry } from './registry.js';
import { isDealtWith, type ServiceRow } from './service/row.js';

const MAX_UINT64 = 2n ** 64n - 1n;

export interface RegisteredPeer {
  /** Base58. */
  readonly id: string;
  readonly known: KnownPeer | undefined;
  readonly record: PeerRecord;
  readonly connection: ConnectedPeer | undefined;
  readonly banScore: number;
  readonly banned: boolean;
  /** As told, or as validated from it where that is more. */
  readonly height: number;
  /** Display order, of that height; or empty. */
  readonly blockHash: string;
  /** `full` or `pruned`; empty where unknown or doubted. */
  readonly storage: string;
  /** Over all connections, and downloaded from its data hub. */
  readonly bytesReceived: bigint;
}

export interface RegisteredPeersComponents {
  readonly registry: PeerRegistry;
  readonly node: Pick<P2PNode, 'peers' | 'peerId'>;
  readonly list: Pick<BanList, 'isPeerBanned'>;
  readonly scores: Pick<BanScores, 'score'>;
  /** What the blockchain service has of peers, where it has a registry. */
  readonly service?: {
    row(peer: string): ServiceRow | undefined;
    /** Those that may be known there alone are shown too. */
    rows(): Iterable<ServiceRow>;
    /** Has it forget how dealing with a peer went. */
    reset?(peer: string): void;
  };
  /** Unix ms; steadyTime unless told. */
  readonly clock?: () => number;
}

export interface RegisteredPeersOptions {
  /** Lower-case hosts whose data hubs are not used. */
  readonly blacklistedHosts: readonly string[];
}

const STORAGE_ORDER: Readonly<Record<string, number>> = { full: 2, pruned: 1 };

function bestFirst(one: RegisteredPeer, other: RegisteredPeer): number {
  return (
    (STORAGE_ORDER[other.storage] ?? 0) - (STORAGE_ORDER[one.storage] ?? 0) ||
    other.record.reputation - one.record.reputation ||
    other.record.lastSuccess - one.record.lastSuccess
  );
}

export class RegisteredPeers {
  readonly #components: RegisteredPeersComponents;
  readonly #blacklistedHosts: ReadonlySet<string>;
  readonly #now: () => number;

  constructor(components: RegisteredPeersComponents, { blacklistedHosts }: RegisteredPeersOptions) {
    this.#components = components;
    this.#blacklistedHosts = new Set(blacklistedHosts);
    this.#now = components.clock ?? steadyTime;
  }

  /** Everybody known, recorded or connected, without this node; the best reputation first, then the last heard. */
  async allInSlices(): Promise<RegisteredPeer[]> {
    return (await inSlices(this.#each())).sort(
      (one, other) =>
        other.record.reputation - one.record.reputation ||
        (other.known?.lastReceived ?? 0) - (one.known?.lastReceived ?? 0),
    );
  }

  /** One peer by its base58 ID; undefined for a stranger. */
  get(id: string): RegisteredPeer | undefined {
    const { registry, node } = this.#components;
    const connection = node.peers().find((peer) => peer.id === id);
    if (
      connection === undefined &&
      registry.known.get(id) === undefined &&
      !registry.records.has(id) &&
      (id === node.peerId || this.#components.service?.row(id) === undefined)
    ) {
      return undefined;
    }
    return this.#joined(id, connection);
  }

  /** Whether a base58 peer ID is banned now. */
  isBanned(id: string): boolean {
    return this.#components.list.isPeerBanned(id);
  }

  /**
   * Those from whose data hub one may catch up: not banned, with a data hub that is not blacklisted. Full storage before
   * pruned before unknown, then by reputation, then by the last success.
   */
  forCatchup(): RegisteredPeer[] {
    return [...this.#usable()].sort(bestFirst);
  }

  /** The same, with turns of the event loop between slices. */
  async forCatchupInSlices(): Promise<RegisteredPeer[]> {
    return (await inSlices(this.#usable())).sort(bestFirst);
  }

  /** Resets the reputation of one peer, or of all. Gives how many peers that were. */
  reset(id?: string): number {
    const { registry, service } = this.#components;
    const ids =
      id === undefined ? [...this.#each()].map((peer) => peer.id) : this.get(id) === undefined ? [] : [id];
    for (const each of ids) {
      const row = service?.row(each);
      // Of a record here the service is told with every other report.
      if (registry.records.has(each)) registry.records.reset(each);
      else if (row !== undefined && isDealtWith(row)) service?.reset?.(each);
    }
    return ids.length;
  }

  *#each(): Generator<RegisteredPeer> {
    const { registry, node, service } = this.#components;
    const connections = new Map(node.peers().map((connection) => [connection.id, connection]));
    const ids = new Set([...connections.keys(), ...registry.peers()]);
    for (const { id } of service?.rows() ?? []) ids.add(id);
    ids.delete(node.peerId);
    for (const id of ids) yield this.#joined(id, connections.get(id));
  }

  *#usable(): Generator<RegisteredPeer> {
    for (const peer of this.#each()) {
      if (!peer.banned && this.#isUsable(peer.known?.url ?? '')) yield peer;
    }
  }

  #isUsable(url: string): boolean {
    if (url === '' || !URL.canParse(url)) return false;
    return !this.#blacklistedHosts.has(plainHost(new URL(url).hostname));
  }

  #joined(id: string, connection: ConnectedPeer | undefined): RegisteredPeer {
    const { registry, list, scores, service } = this.#components;
    const row = service?.row(id);
    const known = registry.known.get(id) ?? (row && knownFrom(row));
    const own = registry.records.has(id) ? registry.records.get(id) : NO_RECORD;
    const record = row === undefined ? own : joinedRecord(own, row);
    const told = known?.height ?? 0;
    const validated = record.validatedHeight > told;
    const bytes = (known?.bytesReceived ?? 0n) + (connection?.bytesReceived ?? 0n) + record.bytesDownloaded;
    return {
      id,
      known,
      record,
      connection,
      banScore: Math.max(scores.score(id), row?.banScore ?? 0),
      banned: list.isPeerBanned(id),
      height: validated ? record.validatedHeight : told,
      blockHash: validated ? record.validatedHash : (known?.bestBlock ?? ''),
      storage: record.storageDoubtedUntil > this.#now() ? '' : (known?.storage ?? ''),
      bytesReceived: bytes > MAX_UINT64 ? MAX_UINT64 : bytes,
    };
  }
}

/** Of a peer that this node has never heard. */
function knownFrom({ id, name, height, blockHash, url, storage, ...row }: ServiceRow): KnownPeer {
  return {
    id,
    height,
    startingHeight: height,
    bestBlock: blockHash,
    url,
    name,
    storage,
    chainWork: '',
    lastReceived: row.lastMessage,
    lastBlock: row.lastBlock,
    connectedAt: row.connectedAt,
    bytesReceived: row.bytesReceived,
  };
}

/**
 * What is recorded here is told there too, once, and other services tell what is not heard here: so each figure is the larger of the two, and the
 * reputation is the service's where it has recorded anything.
 */
function joinedRecord(own: PeerRecord, row: ServiceRow): PeerRecord {
  const figures = {
    ...own,
    attempts: Math.max(own.attempts, row.attempts),
    successes: Math.max(own.successes, row.successes),
    failures: Math.max(own.failures, row.failures),
    lastAttempt: Math.max(own.lastAttempt, row.lastAttempt),
    lastSuccess: Math.max(own.lastSuccess, row.lastSuccess),
    lastFailure: Math.max(own.lastFailure, row.lastFailure),
    catchupAttempts: Math.max(own.catchupAttempts, row.catchupAttempts),
    catchupSuccesses: Math.max(own.catchupSuccesses, row.catchupSuccesses),
    catchupFailures: Math.max(own.catchupFailures, row.catchupFailures),
    // As Go's selector reads a row: the time alone proves no delivery.
    lastValidBlock: Math.max(own.lastValidBlock, row.blocksReceived > 0 ? row.lastBlock : 0),
    ...(row.catchupErrorAt > own.catchupErrorAt
      ? { catchupError: row.catchupError, catchupErrorAt: row.catchupErrorAt }
      : {}),
  };
  if (!isDealtWith(row)) return figures;
  return {
    ...figures,
    malicious: row.malicious,
    reputation: row.reputation,
    averageMs: row.averageMs > 0n ? row.averageMs : own.averageMs,
  };
}
