/** What the blockchain service's registry says of a peer, as much of it as can be right. */

import { hashFromBytes } from '../../shared/bitcoin/hash.js';
import { steadyOf } from '../../shared/clock.js';
import { type PeerRegistryInfo, TransportType } from '../../shared/generated/peer_registry.js';
import { type DataHubUrl, parseDataHubUrl } from '../../shared/messages/data-hub-url.js';
import { displayText } from '../../shared/messages/text.js';
import { type PeerIdText, parsePeerId } from '../../shared/net/peer-id.js';

/** Times are steady unix ms, 0 for never. */
export interface ServiceRow {
  /** Base58. */
  readonly id: PeerIdText;
  readonly name: string;
  readonly height: number;
  /** 64 hex digits in display order, or empty. */
  readonly blockHash: string;
  /** Empty where it is none. */
  readonly dataHubUrl: DataHubUrl | '';
  /** `full`, `pruned` or empty. */
  readonly storage: string;
  readonly banned: boolean;
  readonly banScore: number;
  readonly bytesReceived: bigint;
  readonly attempts: number;
  readonly successes: number;
  readonly failures: number;
  readonly malicious: number;
  /** 0 to 100. */
  readonly reputation: number;
  readonly averageMs: bigint;
  readonly connected: boolean;
  readonly connectedAt: number;
  readonly lastMessage: number;
  readonly lastAttempt: number;
  readonly lastSuccess: number;
  readonly lastFailure: number;
  /** As the service has it, from whomever: it is of a valid block that was delivered only where such were counted. */
  readonly lastBlock: number;
  /** Valid blocks that it delivered. */
  readonly blocksReceived: number;
  readonly catchupAttempts: number;
  readonly catchupSuccesses: number;
  readonly catchupFailures: number;
  readonly catchupError: string;
  readonly catchupErrorAt: number;
}

const ERROR_MAX = 1024;
const MAX_INT64 = 2n ** 63n - 1n;

const whole = (value: bigint): number =>
  value < 0n ? 0 : Number(value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : value);

/** Go's zero time is in the year 1. */
function time(date: Date | undefined): number {
  const at = date?.getTime() ?? 0;
  return at > 0 && Number.isFinite(at) ? steadyOf(at) : 0;
}

/**
 * A row as the service gave it: of one of the P2P service's peers, with a peer ID and a reputation that is a number; else undefined. What
 * else makes no sense in it counts as not told. `isKnown` saves reading a peer ID that is known to be one.
 */
export function serviceRow(
  info: PeerRegistryInfo,
  isKnown: (peerId: string) => boolean,
): ServiceRow | undefined {
  if (info.transport_type !== TransportType.TRANSPORT_HTTP || !Number.isFinite(info.reputation_score))
    return undefined;
  const id = isKnown(info.peer_id) ? (info.peer_id as PeerIdText) : parsePeerId(info.peer_id);
  if (id === undefined) return undefined;
  return {
    id,
    name: displayText(info.client_name),
    height: info.height,
    blockHash: info.block_hash.length === 32 ? hashFromBytes(info.block_hash) : '',
    dataHubUrl: parseDataHubUrl(info.data_hub_url) ?? '',
    storage: info.storage === 'full' || info.storage === 'pruned' ? info.storage : '',
    banned: info.is_banned,
    banScore: Math.max(0, info.ban_score),
    bytesReceived: info.bytes_received,
    attempts: whole(info.interaction_attempts),
    successes: whole(info.interaction_successes),
    failures: whole(info.interaction_failures),
    malicious: whole(info.malicious_count),
    reputation: Math.min(100, Math.max(0, info.reputation_score)),
    averageMs:
      info.avg_response_time_ms < 0n
        ? 0n
        : info.avg_response_time_ms > MAX_INT64
          ? MAX_INT64
          : info.avg_response_time_ms,
    connected: info.is_connected,
    connectedAt: time(info.connected_at),
    lastMessage: time(info.last_message_time),
    lastAttempt: time(info.last_interaction_attempt),
    lastSuccess: time(info.last_interaction_success),
    lastFailure: time(info.last_interaction_failure),
    lastBlock: time(info.last_block_time),
    blocksReceived: whole(info.blocks_received),
    catchupAttempts: whole(info.catchup_attempts),
    catchupSuccesses: whole(info.catchup_successes),
    catchupFailures: whole(info.catchup_failures),
    catchupError: displayText(info.last_catchup_error, ERROR_MAX),
    catchupErrorAt: time(info.last_catchup_error_time),
  };
}

/** Whether anything is recorded there of how dealing with the peer went. */
export function isDealtWith({ attempts, successes, failures, malicious }: ServiceRow): boolean {
  return attempts + successes + failures + malicious > 0;
}
