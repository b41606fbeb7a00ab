/** Calls of the blockchain service's registry that follow from what is reported of a peer, as Go's P2P service makes them. */

import { type HashHex, hashToBytes } from '../../../shared/bitcoin/hash.js';
import { dateOf, steadyTime } from '../../../shared/clock.js';
import { PeerRegistryInfo, UpdatePeerMetricsRequest } from '../../../shared/generated/peer_registry.js';
import type { PeerIdText } from '../../../shared/net/peer-id.js';
import type { RegistryMethod, RegistryRequest } from '../../chain/peer-registry-calls.js';
import type { PeerReport } from '../peer-report.js';

/** One call, its request of its method's type. */
export type RegistryCall = {
  [M in RegistryMethod]: { readonly method: M; readonly request: RegistryRequest<M> };
}[RegistryMethod];

/** `deltas` of a peer's figures; none of them is a time of day. */
export function metricsCall(peer: PeerIdText, deltas: Partial<UpdatePeerMetricsRequest>): RegistryCall {
  return {
    method: 'updatePeerMetrics',
    request: UpdatePeerMetricsRequest.fromPartial({ peer_id: peer, ...deltas }),
  };
}

export interface ReportContext {
  /** Whether the peer says that it stores everything. */
  readonly claimsFull: boolean;
  /** Steady unix ms until which that is not believed. */
  readonly doubtedUntil: number;
}

/** What there is to call for a report; nothing for bytes, which are gathered. */
export function callsOf(
  report: PeerReport,
  { claimsFull, doubtedUntil }: ReportContext,
): readonly RegistryCall[] {
  const { peer } = report;
  const of = { peer_id: peer };
  switch (report.type) {
    case 'catchup_attempt':
      return [{ method: 'recordCatchupAttempt', request: of }];
    case 'catchup_success':
      return [{ method: 'recordCatchupSuccess', request: { ...of, response_time_ms: report.ms } }];
    case 'catchup_failure':
      return [{ method: 'recordCatchupFailure', request: of }];
    case 'catchup_error':
      return [{ method: 'recordCatchupError', request: { ...of, error_message: report.text } }];
    case 'malicious':
      return [metricsCall(peer, { record_malicious: true })];
    case 'failure':
      return [metricsCall(peer, { record_failure: true })];
    case 'valid_headers':
      return [metricsCall(peer, { record_success: true, response_time_ms: report.ms })];
    case 'valid_block':
      return [{ method: 'recordBlockReceived', request: { ...of, response_time_ms: 0n } }];
    case 'valid_subtree':
      return [{ method: 'recordSubtreeReceived', request: { ...of, response_time_ms: 0n } }];
    case 'reset':
      return [{ method: 'resetReputation', request: of }];
    case 'validated': {
      const { height, hash, work } = report;
      const block_hash = Buffer.from(hashToBytes(hash as HashHex));
      return [
        {
          method: 'recordValidatedPeerProgress',
          request: { ...of, height, block_hash, chain_work: Buffer.from(work) },
        },
      ];
    }
    case 'storage_doubted': {
      const info = PeerRegistryInfo.fromPartial({
        ...of,
        full_storage_penalty_until: new Date(dateOf(doubtedUntil, steadyTime())),
        full_storage_contradictions: claimsFull ? 1n : 0n,
      });
      const penalty: RegistryCall = { method: 'registerPeer', request: { peer: info } };
      return claimsFull ? [penalty, { method: 'updateStorage', request: { ...of, storage: '' } }] : [penalty];
    }
    case 'downloaded':
      return [];
  }
}
