/** Everything that is known of one peer, joined at the moment of asking. */

import type { DataHubUrl } from '../../shared/messages/data-hub-url.js';
import type { PeerIdText } from '../../shared/net/peer-id.js';
import type { ConnectedPeer } from '../node/types.js';
import type { KnownPeer } from './known-peer.js';
import { cappedBytes, type PeerRecord } from './peer-record.js';
import { isDealtWith, type ServiceRow } from './service-row.js';

export interface PeerSnapshot {
  /** Base58. */
  readonly id: PeerIdText;
  /** What it told of itself, to this node or else to other services of the node; undefined where it has told nothing. */
  readonly known: KnownPeer | undefined;
  /** How dealing with it went, for all services of the node. */
  readonly record: PeerRecord;
  /** Undefined while it is not connected. */
  readonly connection: ConnectedPeer | undefined;
  /** Points now, the more of here and in the blockchain service's registry. */
  readonly banScore: number;
  readonly banned: boolean;
  /** What it calls itself, or empty. */
  readonly name: string;
  /** Its data hub, or empty. */
  readonly dataHubUrl: DataHubUrl | '';
  /** As told, or as validated from it where that is more. */
  readonly height: number;
  /** Display order, of that height; or empty. */
  readonly blockHash: string;
  /** `full` or `pruned`; empty where unknown or doubted. */
  readonly storage: string;
  /** Over all connections, and downloaded from its data hub. At most what a uint64 holds. */
  readonly bytesReceived: bigint;
}

/** Of a peer that is connected. */
export type ConnectedSnapshot = PeerSnapshot & { readonly connection: ConnectedPeer };

/** What each store has of a peer. */
export interface PeerSources {
  readonly known: KnownPeer | undefined;
  readonly record: PeerRecord;
  readonly connection: ConnectedPeer | undefined;
  /** Of the blockchain service's registry. */
  readonly row: ServiceRow | undefined;
  readonly banScore: number;
  readonly banned: boolean;
}

/** Joins what there is of a peer at `now` (unix ms). */
export function peerSnapshot(id: PeerIdText, sources: PeerSources, now: number): PeerSnapshot {
  const { row, record: own, connection, banScore, banned } = sources;
  const known = sources.known ?? (row && knownFrom(row));
  const record = row === undefined ? own : joinedRecord(own, row);
  const told = known?.height ?? 0;
  const isValidated = record.validatedHeight > told;
  const bytes = (known?.bytesReceived ?? 0n) + (connection?.bytesReceived ?? 0n) + record.bytesDownloaded;
  return {
    id,
    known,
    record,
    connection,
    banScore: Math.max(banScore, row?.banScore ?? 0),
    banned,
    name: known?.name ?? '',
    dataHubUrl: known?.dataHubUrl ?? '',
    height: isValidated ? record.validatedHeight : told,
    blockHash: isValidated ? record.validatedHash : (known?.bestBlock ?? ''),
    storage: believedStorage(known, record, now),
    bytesReceived: cappedBytes(bytes),
  };
}

/** What a peer says that it stores, unless that is doubted at `now` (unix ms). */
export function believedStorage(
  known: Pick<KnownPeer, 'storage'> | undefined,
  { storageDoubtedUntil }: Pick<PeerRecord, 'storageDoubtedUntil'>,
  now: number,
): string {
  return storageDoubtedUntil > now ? '' : (known?.storage ?? '');
}

/** Of a peer of which this node has never received anything. */
function knownFrom({ id, name, height, blockHash, dataHubUrl, storage, ...row }: ServiceRow): KnownPeer {
  return {
    id,
    height,
    startingHeight: height,
    bestBlock: blockHash,
    dataHubUrl,
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
 * What is recorded here is told there too, once, and other services tell what is not received here: so each figure is the larger of the two, and the
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
