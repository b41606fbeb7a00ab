/** Rejected transactions from Kafka to the network, within limits: an attacker makes them for nothing. */

import { LRUCache } from 'lru-cache';
import { TokenBucket } from '../../shared/async/token-bucket.js';
import { type HashHex, hashFromBytes, parseHashHex } from '../../shared/bitcoin/hash.js';
import { EarlyKafkaRejectedTx, KafkaRejectedTxTopicMessage } from '../../shared/generated/kafkamessage.js';
import { rejectedTx } from '../../shared/messages/index.js';
import { displayText, REASON_MAX } from '../../shared/messages/text.js';
import type { Settings } from '../../shared/settings/table.js';
import type { ConsumedRecord } from '../../shared/sinks/kafka/types.js';
import type { AnnouncementPublisher } from './announcement-publisher.js';
import type { AnnounceMetrics, RejectedTxLimit } from './metrics.js';
import { rejectionCodes } from './rejection-codes.js';

const REPEAT_MS = 10 * 60_000;
/** Transactions remembered: more than the shipped rate lets through in ten minutes, by far. */
const MAX_REMEMBERED = 100_000;

export interface RejectedTransactionsComponents {
  readonly settings: Pick<
    Settings,
    | 'kafka_record_format'
    | 'p2p_rejected_tx_publish_rate'
    | 'p2p_rejected_tx_publish_burst'
    | 'p2p_generation'
    | 'p2p_rejected_tx_reason'
  >;
  readonly metrics: AnnounceMetrics;
  readonly publisher: AnnouncementPublisher;
  /** Base58 ID of this node. */
  readonly peerId: string;
  /** Ms, never going back. */
  readonly now: () => number;
}

export class RejectedTransactions {
  readonly #components: RejectedTransactionsComponents;
  readonly #bucket: TokenBucket;
  readonly #said: LRUCache<HashHex, true>;

  constructor(components: RejectedTransactionsComponents) {
    const { settings, now } = components;
    this.#components = components;
    this.#bucket = new TokenBucket({
      perSecond: settings.p2p_rejected_tx_publish_rate,
      burst: settings.p2p_rejected_tx_publish_burst,
      now,
    });
    // lru-cache takes 0 for "no time": the clock begins at 1.
    this.#said = new LRUCache({
      max: MAX_REMEMBERED,
      ttl: REPEAT_MS,
      ttlResolution: 0,
      perf: { now: () => now() + 1 },
    });
  }

  /** Announces what may be; never rejects, so that no record is read twice. */
  async handle(records: readonly ConsumedRecord[]): Promise<void> {
    for (const record of records) await this.#announce(record.value);
  }

  async #announce(value: Uint8Array): Promise<void> {
    const { settings, metrics, publisher, peerId } = this.#components;
    const rejection = decodeRejection(value, settings.kafka_record_format);
    const limited = (reason: RejectedTxLimit): void => metrics.rejectedTxLimited.inc({ reason });
    if (rejection === undefined) return limited('malformed');
    if (rejection.peerId !== '') return limited('known');
    if (!publisher.canPublish(rejectedTx.name)) return publisher.dropped(rejectedTx.name);
    if (this.#said.has(rejection.txId)) return limited('repeat');
    if (!this.#bucket.take()) return limited('rate');
    this.#said.set(rejection.txId, true);
    await publisher.publish(rejectedTx, {
      txId: rejection.txId,
      reason: displayText(
        settings.p2p_rejected_tx_reason === 'code' ? rejectionCodes(rejection.reason) : rejection.reason,
        REASON_MAX,
      ),
      peerId,
      clientName: '',
    });
  }
}

interface Rejection {
  readonly txId: HashHex;
  readonly reason: string;
  /** Whom the network knows it from; empty when it is our own finding. */
  readonly peerId: string;
}

/** Reads a rejectedtx record of `format`; undefined for one that is of another. */
export function decodeRejection(
  value: Uint8Array,
  format: Settings['kafka_record_format'],
): Rejection | undefined {
  if (format === 'raw') {
    if (value.length < 32) return undefined;
    return {
      txId: hashFromBytes(value.subarray(0, 32)),
      reason: Buffer.from(value.subarray(32)).toString('utf8'),
      peerId: '',
    };
  }
  try {
    if (format === 'protobuf-bytes') {
      const { txHash, reason } = EarlyKafkaRejectedTx.decode(value);
      return txHash.length === 32 ? { txId: hashFromBytes(txHash), reason, peerId: '' } : undefined;
    }
    const message = KafkaRejectedTxTopicMessage.decode(value);
    const txId = parseHashHex(message.txHash);
    return txId === undefined ? undefined : { txId, reason: message.reason, peerId: message.peer_id };
  } catch {
    return undefined;
  }
}
