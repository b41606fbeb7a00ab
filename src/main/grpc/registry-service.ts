/** PeerService's calls about the peer registry (WIRE §5's second table). */

import { parseHashHex } from '../../shared/bitcoin/hash.js';
import { dateOf, libraryTime } from '../../shared/clock.js';
import type { Empty } from '../../shared/generated/google/protobuf/empty.js';
import {
  GetPeerRegistryResponse,
  type GetPeersForCatchupRequest,
  GetPeersForCatchupResponse,
  type PeerInfoForCatchup,
  type PeerRegistryInfo,
  type PeerServiceServer,
} from '../../shared/generated/p2p_api.js';
import { displayText } from '../../shared/messages/text.js';
import { type PeerIdText, parsePeerId } from '../../shared/net/peer-id.js';
import { InvalidBanSubjectError } from '../bans/subject.js';
import { CATCHUP_ERROR_MAX } from '../peers/peer-record.js';
import type { PeerRecords } from '../peers/peer-records.js';
import type { PeerSnapshot } from '../peers/peer-snapshot.js';
import type { PeerView } from '../peers/peer-view.js';
import { HEALTHY_REPUTATION } from '../peers/reputation.js';
import { resetReputation } from '../peers/reset-reputation.js';
import type { RegistryClient } from '../peers/service/client.js';
import { encodeInSlices, SharedAnswer } from './shared-answer.js';
import { type CallContext, unary } from './unary.js';

export interface RegistryServiceComponents extends CallContext {
  readonly records: PeerRecords;
  readonly peers: PeerView;
  /** The blockchain service's registry of peers, where there is one. */
  readonly service?: Pick<RegistryClient, 'row' | 'reset' | 'refresh' | 'refreshPeer'>;
}

export type RegistryService = Pick<
  PeerServiceServer,
  | 'recordCatchupAttempt'
  | 'recordCatchupSuccess'
  | 'recordCatchupFailure'
  | 'recordCatchupMalicious'
  | 'updateCatchupError'
  | 'resetReputation'
  | 'reportValidSubtree'
  | 'reportValidBlock'
  | 'reportValidBlockHeaders'
  | 'reportValidatedChainProgress'
  | 'recordBytesDownloaded'
  | 'getPeersForCatchup'
  | 'isPeerMalicious'
  | 'isPeerUnhealthy'
  | 'getPeerRegistry'
  | 'getPeer'
>;

const FAILURE_KIND_MAX = 256;
/** Bytes of a 256-bit number. */
const CHAIN_WORK_MAX = 32;
/** Outcomes from which on the rate of success counts by itself. */
const JUDGED_OUTCOMES = 10;

function peerOf(text: string): PeerIdText {
  if (text === '') throw new RangeError('peer_id: is empty');
  const peer = parsePeerId(text);
  if (peer === undefined) throw new InvalidBanSubjectError('peer_id: not a peer ID');
  return peer;
}

function hashOf(text: string, field: string): string {
  if (text === '') throw new RangeError(`${field}: is empty`);
  const hash = parseHashHex(text);
  if (hash === undefined) throw new RangeError(`${field}: is not 64 hex digits`);
  return hash;
}

function durationOf(ms: bigint): bigint {
  if (ms < 0n) throw new RangeError('duration_ms: is negative');
  return ms;
}

/** The handlers, to go with the other calls of PeerService. */
export function createRegistryService(components: RegistryServiceComponents): RegistryService {
  const { metrics, records, peers, service } = components;
  const ok = { ok: true } as const;
  const forCatchup = new SharedAnswer(async () => {
    await service?.refresh();
    return encodeInSlices(await peers.forCatchupInSlices(), (slice) =>
      GetPeersForCatchupResponse.encode({ peers: slice.map(toCatchupInfo) }).finish(),
    );
  });
  const all = new SharedAnswer(async () => {
    await service?.refresh();
    return encodeInSlices(await peers.all(), (slice) =>
      GetPeerRegistryResponse.encode({ peers: slice.map(toRegistryInfo) }).finish(),
    );
  });

  return {
    recordCatchupAttempt: unary(components, 'RecordCatchupAttempt', {
      admin: true,
      answer({ peer_id }) {
        records.catchupAttempt(peerOf(peer_id));
        metrics.catchupAttempts.inc();
        return ok;
      },
    }),
    recordCatchupSuccess: unary(components, 'RecordCatchupSuccess', {
      admin: true,
      answer({ peer_id, duration_ms }) {
        records.catchupSuccess(peerOf(peer_id), durationOf(duration_ms));
        metrics.catchupSuccesses.inc();
        return ok;
      },
    }),
    recordCatchupFailure: unary(components, 'RecordCatchupFailure', {
      admin: true,
      answer({ peer_id, failure_kind, block_hash }) {
        const peer = peerOf(peer_id);
        if (failure_kind.length > FAILURE_KIND_MAX) throw new RangeError('failure_kind: is too long');
        const hash = block_hash === '' ? '' : hashOf(block_hash, 'block_hash');
        records.catchupFailure(peer, 'call');
        // Of the kinds that there may be, this one says something about the peer.
        const incomplete = failure_kind === 'block_incomplete';
        metrics.catchupFailures.inc({ kind: incomplete ? 'block_incomplete' : 'generic' });
        if (incomplete) {
          records.catchupError(peer, `block incomplete during catchup${hash === '' ? '' : `: ${hash}`}`);
          records.doubtStorage(peer);
        }
        return ok;
      },
    }),
    recordCatchupMalicious: unary(components, 'RecordCatchupMalicious', {
      admin: true,
      answer({ peer_id }) {
        records.malicious(peerOf(peer_id));
        return ok;
      },
    }),
    updateCatchupError: unary(components, 'UpdateCatchupError', {
      admin: true,
      answer({ peer_id, error_msg }) {
        records.catchupError(peerOf(peer_id), displayText(error_msg, CATCHUP_ERROR_MAX));
        return ok;
      },
    }),
    resetReputation: unary(components, 'ResetReputation', {
      admin: true,
      async answer({ peer_id }) {
        const peer = peer_id === '' ? undefined : peerOf(peer_id);
        await (peer === undefined ? service?.refresh() : service?.refreshPeer(peer));
        return { ok: true, peers_reset: resetReputation(components, peer) };
      },
    }),
    reportValidSubtree: unary(components, 'ReportValidSubtree', {
      admin: true,
      answer({ peer_id, subtree_hash }) {
        const peer = peerOf(peer_id);
        hashOf(subtree_hash, 'subtree_hash');
        records.validSubtree(peer);
        return { success: true, message: 'subtree validation recorded' };
      },
    }),
    reportValidBlock: unary(components, 'ReportValidBlock', {
      admin: true,
      answer({ peer_id, block_hash }) {
        const peer = peerOf(peer_id);
        hashOf(block_hash, 'block_hash');
        records.validBlock(peer);
        return { success: true, message: 'block validation recorded' };
      },
    }),
    reportValidBlockHeaders: unary(components, 'ReportValidBlockHeaders', {
      admin: true,
      answer({ peer_id, duration_ms }) {
        records.validHeaders(peerOf(peer_id), durationOf(duration_ms));
        return { success: true, message: 'headers success recorded' };
      },
    }),
    reportValidatedChainProgress: unary(components, 'ReportValidatedChainProgress', {
      admin: true,
      answer({ peer_id, height, block_hash, chain_work }) {
        const peer = peerOf(peer_id);
        if (height === 0) throw new RangeError('height: is 0');
        const hash = hashOf(block_hash, 'block_hash');
        if (chain_work.length === 0) throw new RangeError('chain_work: is empty');
        if (chain_work.length > CHAIN_WORK_MAX) throw new RangeError('chain_work: is longer than 32 bytes');
        const taken = records.validatedProgress(peer, height, hash, chain_work);
        const message = taken ? 'recorded' : 'known: its chain with the most work stays';
        return { success: true, message: `validated chain progress ${message}` };
      },
    }),
    recordBytesDownloaded: unary(components, 'RecordBytesDownloaded', {
      admin: true,
      answer({ peer_id, bytes_downloaded }) {
        records.bytesDownloaded(peerOf(peer_id), bytes_downloaded);
        return ok;
      },
    }),
    getPeersForCatchup: unary<GetPeersForCatchupRequest, GetPeersForCatchupResponse>(
      components,
      'GetPeersForCatchup',
      {
        admin: false,
        answer: () => forCatchup.get(),
      },
    ),
    isPeerMalicious: unary(components, 'IsPeerMalicious', {
      admin: false,
      async answer({ peer_id }) {
        const id = parsePeerId(peer_id);
        if (id !== undefined) await service?.refreshPeer(id);
        const reason = peer_id === '' ? 'empty peer ID' : id === undefined ? 'invalid peer ID' : '';
        const peer = id === undefined ? undefined : peers.get(id);
        if (id !== undefined && peers.isBanned(id)) return { is_malicious: true, reason: 'peer is banned' };
        if (peer !== undefined && peer.record.malicious > 0) {
          return { is_malicious: true, reason: 'malicious behaviour is recorded' };
        }
        return { is_malicious: false, reason };
      },
    }),
    isPeerUnhealthy: unary(components, 'IsPeerUnhealthy', {
      admin: false,
      async answer({ peer_id }) {
        const unhealthy = (reason: string, reputation_score = 0) => ({
          is_unhealthy: true,
          reason,
          reputation_score,
        });
        if (peer_id === '') return unhealthy('empty peer ID');
        const id = parsePeerId(peer_id);
        if (id === undefined) return unhealthy('invalid peer ID');
        await service?.refreshPeer(id);
        const peer = peers.get(id);
        if (peer === undefined) return unhealthy('unknown peer');
        const { reputation, successes, failures } = peer.record;
        if (reputation < HEALTHY_REPUTATION) {
          return unhealthy(`low reputation score: ${reputation.toFixed(2)}`, reputation);
        }
        const outcomes = successes + failures;
        if (outcomes > JUDGED_OUTCOMES && successes < Math.floor(outcomes / 2)) {
          return unhealthy(`low success rate: ${((successes / outcomes) * 100).toFixed(2)}%`, reputation);
        }
        return { is_unhealthy: false, reason: '', reputation_score: reputation };
      },
    }),
    getPeerRegistry: unary<Empty, GetPeerRegistryResponse>(components, 'GetPeerRegistry', {
      admin: false,
      answer: (_: Empty) => all.get(),
    }),
    getPeer: unary(components, 'GetPeer', {
      admin: false,
      async answer({ peer_id }) {
        const id = peerOf(peer_id);
        await service?.refreshPeer(id);
        const peer = peers.get(id);
        return peer === undefined
          ? { peer: undefined, found: false }
          : { peer: toRegistryInfo(peer), found: true };
      },
    }),
  };
}

/** Unix seconds of what was at `at`, as {@link dateOf} has it. */
const seconds = (at: number, now?: number): bigint => BigInt(Math.floor(dateOf(at, now) / 1000));

function toCatchupInfo({ id, dataHubUrl, record, height, blockHash }: PeerSnapshot): PeerInfoForCatchup {
  return {
    id,
    height,
    block_hash: blockHash,
    data_hub_url: dataHubUrl,
    catchup_reputation_score: record.reputation,
    catchup_attempts: BigInt(record.catchupAttempts),
    catchup_successes: BigInt(record.catchupSuccesses),
    catchup_failures: BigInt(record.catchupFailures),
  };
}

function toRegistryInfo(peer: PeerSnapshot): PeerRegistryInfo {
  const { id, known, record, connection } = peer;
  return {
    id,
    height: peer.height,
    block_hash: peer.blockHash,
    data_hub_url: peer.dataHubUrl,
    ban_score: peer.banScore,
    is_banned: peer.banned,
    is_connected: connection !== undefined,
    connected_at:
      connection === undefined
        ? seconds(known?.connectedAt ?? 0)
        : seconds(connection.connectedAt, libraryTime()),
    bytes_received: peer.bytesReceived,
    last_block_time: seconds(Math.max(known?.lastBlock ?? 0, record.lastValidBlock)),
    last_message_time: seconds(known?.lastReceived ?? 0),
    interaction_attempts: BigInt(record.attempts),
    interaction_successes: BigInt(record.successes),
    interaction_failures: BigInt(record.failures),
    last_interaction_attempt: seconds(record.lastAttempt),
    last_interaction_success: seconds(record.lastSuccess),
    last_interaction_failure: seconds(record.lastFailure),
    reputation_score: record.reputation,
    malicious_count: BigInt(record.malicious),
    avg_response_time_ms: record.averageMs,
    storage: peer.storage,
    client_name: peer.name,
    last_catchup_error: record.catchupError,
    last_catchup_error_time: seconds(record.catchupErrorAt),
    catchup_attempts: BigInt(record.catchupAttempts),
    catchup_successes: BigInt(record.catchupSuccesses),
    catchup_failures: BigInt(record.catchupFailures),
  };
}
