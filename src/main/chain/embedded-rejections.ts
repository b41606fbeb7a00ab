/** Now and then a rejected transaction, as a validator would put it into Kafka: for the development network. */

import { randomBytes } from 'node:crypto';
import { Repeating } from '../../shared/async/repeat.js';
import { hashFromBytes } from '../../shared/bitcoin/hash.js';
import { errorMessage } from '../../shared/errors.js';
import { EarlyKafkaRejectedTx, KafkaRejectedTxTopicMessage } from '../../shared/generated/kafkamessage.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { Settings } from '../../shared/settings/table.js';
import type { KafkaProducer } from '../../shared/sinks/kafka/types.js';

const REASONS = [
  'TX_INVALID (31): fee too low',
  'TX_MISSING_PARENT (34): parent not found',
  'TX_LOCK_TIME (35): not final',
];

export interface EmbeddedRejectionsComponents {
  readonly settings: Pick<Settings, 'p2p_embedded_rejected_tx_interval' | 'kafka_record_format'>;
  readonly logger: Logger;
  /** Of the rejectedtx topic. */
  readonly producer: Pick<KafkaProducer, 'connect' | 'send' | 'disconnect'>;
}

export class EmbeddedRejections {
  readonly #components: EmbeddedRejectionsComponents;
  readonly #rejecting: Repeating;
  #running = false;

  constructor(components: EmbeddedRejectionsComponents) {
    this.#components = components;
    const interval = components.settings.p2p_embedded_rejected_tx_interval;
    this.#rejecting = new Repeating(() => this.#reject(), {
      everyMs: () => interval * (0.5 + Math.random()),
      ref: true,
    });
  }

  /** Begins, where the settings say so. Rejects when the broker cannot be reached. */
  async start(): Promise<void> {
    if (this.#components.settings.p2p_embedded_rejected_tx_interval <= 0) return;
    await this.#components.producer.connect();
    this.#running = true;
    this.#rejecting.start();
  }

  async stop(): Promise<void> {
    const wasRunning = this.#running;
    this.#running = false;
    await this.#rejecting.stop();
    if (wasRunning) await this.#components.producer.disconnect();
  }

  async #reject(): Promise<void> {
    const { producer, logger, settings } = this.#components;
    const txId = randomBytes(32);
    const reason = REASONS[(txId[0] ?? 0) % REASONS.length] ?? '';
    const value = rejectionRecord(txId, reason, settings.kafka_record_format);
    try {
      await producer.send([{ value }]);
    } catch (error) {
      logger.warn({ reason: errorMessage(error) }, 'could not record a made-up rejected transaction');
    }
  }
}

function rejectionRecord(
  txHash: Buffer,
  reason: string,
  format: Settings['kafka_record_format'],
): Uint8Array {
  switch (format) {
    case 'raw':
      return Buffer.concat([txHash, Buffer.from(reason)]);
    case 'protobuf-bytes':
      return EarlyKafkaRejectedTx.encode({ txHash, reason }).finish();
    case 'protobuf':
      return KafkaRejectedTxTopicMessage.encode({
        txHash: hashFromBytes(txHash),
        reason,
        peer_id: '',
      }).finish();
  }
}
