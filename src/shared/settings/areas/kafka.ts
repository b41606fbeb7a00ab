/** Kafka. */

import { RECORD_FORMATS } from '../../messages/kafka-topic.js';
import { KAFKA_TOPICS } from '../../messages/topics.js';
import type { Setting } from '../setting.js';
import { choice, flag, text } from '../values/basic.js';
import { kafkaTopics } from '../values/kafka-topic.js';

export const KAFKA = {
  ...kafkaTopics(KAFKA_TOPICS.map(({ setting }) => setting)),
  kafka_record_format: choice(
    RECORD_FORMATS,
    { first: 'raw', current: 'protobuf' },
    'Record format: protobuf; protobuf-bytes as nodes had it from 21 February to 24 April 2025, raw as before.',
  ),
  p2p_kafka_compression: choice(
    ['none', 'gzip', 'snappy', 'lz4', 'zstd'],
    'none',
    'Compression of produced batches; zstd needs Node 22.15 or 23.8 (this server).',
  ),
  KAFKA_ENABLE_TLS: flag(false, 'TLS to the brokers.'),
  KAFKA_TLS_SKIP_VERIFY: flag(false, 'Do not verify broker certificates.'),
  KAFKA_TLS_CA_FILE: text('', 'CA file.'),
  KAFKA_TLS_CERT_FILE: text('', 'Client certificate; with the key or not at all.'),
  KAFKA_TLS_KEY_FILE: text('', 'Client key; with the certificate or not at all.'),
  KAFKA_SASL_MECHANISM: choice(
    ['', 'PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'],
    '',
    'How the brokers are told who this is; empty: not at all (this server).',
  ),
  KAFKA_SASL_USERNAME: text('', 'User name for SASL (this server).'),
  KAFKA_SASL_PASSWORD: text('', 'Password for SASL; it or the file (this server).', { secret: true }),
  KAFKA_SASL_PASSWORD_FILE: text(
    '',
    'File whose one line is the password, read again when it changes (this server).',
  ),
} as const satisfies Record<string, Setting>;
