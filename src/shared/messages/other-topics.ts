/** Kafka topics that no announcement goes to: those that other services of the node fill, and that of our frames. */

import { hashFromBytes } from '../bitcoin/hash.js';
import {
  EarlyKafkaRejectedTx,
  KafkaInvalidBlockTopicMessage,
  KafkaInvalidSubtreeTopicMessage,
  KafkaRejectedTxTopicMessage,
} from '../generated/kafkamessage.js';
import type { KafkaTopic } from './kafka-topic.js';

const HASH_BYTES = 32;

/** What the node's validation rejected. */
export const rejectedTransactions: KafkaTopic<'kafka_rejectedTxConfig'> = {
  name: 'rejectedtx',
  setting: {
    key: 'kafka_rejectedTxConfig',
    default: 'memory://embedded/rejectedtx?partitions=1',
    doc: 'Rejected transactions, consumed.',
  },
  read(value, format) {
    switch (format) {
      case 'raw':
        return {
          hash: hashFromBytes(value.subarray(0, HASH_BYTES)),
          reason: Buffer.from(value.subarray(HASH_BYTES)).toString('utf8'),
        };
      case 'protobuf-bytes': {
        const { txHash, reason } = EarlyKafkaRejectedTx.decode(value);
        return { hash: hashFromBytes(txHash), reason };
      }
      case 'protobuf':
        return KafkaRejectedTxTopicMessage.decode(value);
    }
  },
};

/** Blocks that the node's validation found invalid; protobuf in both generations. */
export const invalidBlocks: KafkaTopic<'kafka_invalidBlocksConfig'> = {
  name: 'invalid-blocks',
  setting: {
    key: 'kafka_invalidBlocksConfig',
    default: '',
    doc: 'Invalid blocks, consumed; empty: not.',
    optional: true,
  },
  read: (value) => KafkaInvalidBlockTopicMessage.decode(value),
};

/** The same of subtrees. */
export const invalidSubtrees: KafkaTopic<'kafka_invalidSubtreesConfig'> = {
  name: 'invalid-subtrees',
  setting: {
    key: 'kafka_invalidSubtreesConfig',
    default: '',
    doc: 'Invalid subtrees, consumed; empty: not.',
    optional: true,
  },
  read: (value) => KafkaInvalidSubtreeTopicMessage.decode(value),
};

/** Frames, as clients of the feed get them. */
export const notifications: KafkaTopic<'kafka_notificationsConfig'> = {
  name: 'notifications',
  setting: {
    key: 'kafka_notificationsConfig',
    default: '',
    doc: 'Frames for gateways; empty: none (this server).',
    optional: true,
  },
  read: (value) => JSON.parse(Buffer.from(value).toString('utf8')) as unknown,
};
