/** What this node has to say of a peer to the blockchain service's registry: what the peer told, and where the service lacks a row, how dealing with it went. */

import { hashToBytes, parseHashHex } from '../../../shared/bitcoin/hash.js';
import { dateOf, steadyTime } from '../../../shared/clock.js';
import { type PeerRegistryInfo, TransportType } from '../../../shared/generated/peer_registry.js';
import type { PeerIdText } from '../../../shared/net/peer-id.js';
import type { RegistryMethod } from '../../chain/peer-registry-calls.js';
import type { PeerRecord } from '../peer-record.js';
import { believedStorage } from '../peer-snapshot.js';
import type { PeerRegistry } from '../registry.js';
import type { Told } from './asserted.js';
import type { RegistryCall } from './calls.js';

/** A peer whose last message is older is not offered, unless it is recorded, connected or configured. */
const OFFERED_WITHIN_MS = 3_600_000;

/** What a peer told of itself, as it is known here now. */
export function toldOf({ known, records }: Pick<PeerRegistry, 'known' | 'records'>, peer: PeerIdText): Told {
  const of = known.get(peer);
  return {
    name: of?.name ?? '',
    height: of?.height ?? 0,
    blockHash: of?.bestBlock ?? '',
    dataHubUrl: of?.dataHubUrl ?? '',
    storage: believedStorage(of, records.get(peer), steadyTime()),
  };
}

/** Peers but `own` of whom the service should know. */
export function* peersToOffer(
  { known, records }: Pick<PeerRegistry, 'known' | 'records'>,
  own: PeerIdText,
  isConfigured: (peer: PeerIdText) => boolean,
): Generator<PeerIdText> {
  const since = steadyTime() - OFFERED_WITHIN_MS;
  const seen = new Set<PeerIdText>([own]);
  for (const { id, lastReceived } of known.list()) {
    if (lastReceived < since && !known.isConnected(id) && !records.has(id) && !isConfigured(id)) continue;
    if (lastReceived === 0 || seen.has(id)) continue;
    seen.add(id);
    yield id;
  }
  for (const id of records.peers()) {
    if (seen.has(id)) continue;
    seen.add(id);
    yield id;
  }
}

/** A row of ours of what a peer told. */
export function toldInfo(
  peer: PeerIdText,
  { name, height, blockHash, dataHubUrl, storage }: Told,
): Partial<PeerRegistryInfo> {
  const hash = parseHashHex(blockHash);
  return {
    peer_id: peer,
    transport_type: TransportType.TRANSPORT_HTTP,
    client_name: name,
    height,
    data_hub_url: dataHubUrl,
    storage,
    ...(hash === undefined ? {} : { block_hash: Buffer.from(hashToBytes(hash)) }),
  };
}

/**
 * How dealing with a peer went, in the service's fields. What is counted there and not here is counted in `reports`, which were not told yet; bytes go as what
 * was added.
 */
export function recordedInfo(
  record: PeerRecord,
  reports: readonly RegistryCall[],
): Partial<PeerRegistryInfo> {
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
