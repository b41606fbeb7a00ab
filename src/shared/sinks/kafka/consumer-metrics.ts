/** What consuming shows of itself, by topic. */

import { Counter, Gauge, type Registry } from 'prom-client';
import { startAtZero } from '../../metrics/zeroed-counter.js';

export type ConsumerMetrics = ReturnType<typeof createConsumerMetrics>;

/**
 * Why a consumer ended and is made anew: `crash` the driver gave up, `stalled` it fell silent, `unreadable` a codec that nobody here
 * knows, `unread` partitions without a reader.
 */
export const CONSUMER_ENDS = ['crash', 'stalled', 'unreadable', 'unread'] as const;
export type ConsumerEnd = (typeof CONSUMER_ENDS)[number];

const BATCH_OUTCOMES = ['committed', 'failed', 'given_up', 'uncommitted', 'passed'];

/** Has the counters of a topic that will be consumed start at 0. */
export function startConsumerMetrics(
  { records, batches, ends, joins }: ConsumerMetrics,
  topic: string,
): void {
  startAtZero(records, { topic: [topic], outcome: ['handled', 'tombstone'] });
  startAtZero(batches, { topic: [topic], outcome: BATCH_OUTCOMES });
  startAtZero(ends, { topic: [topic], reason: CONSUMER_ENDS });
  startAtZero(joins, { topic: [topic] });
}

/** Made once for all consumers of a process. */
export function createConsumerMetrics(registry: Registry) {
  const registers = [registry];
  return {
    records: new Counter({
      name: 'teranode_p2p_kafka_consumed_records_total',
      help: 'Records read: handled, tombstone (without a value, passed)',
      labelNames: ['topic', 'outcome'] as const,
      registers,
    }),
    batches: new Counter({
      name: 'teranode_p2p_kafka_consumed_batches_total',
      help: 'Batches read: committed, failed (tried again), given_up (stopped or the partition was taken: read again), uncommitted (handled, the commit refused: may be read again), passed (unpacked too large for this server: skipped for good)',
      labelNames: ['topic', 'outcome'] as const,
      registers,
    }),
    ends: new Counter({
      name: 'teranode_p2p_kafka_consumer_ends_total',
      help: 'Consumers that ended and were made anew: crash, stalled, unreadable (a compression codec that is not known), unread (partitions had no reader)',
      labelNames: ['topic', 'reason'] as const,
      registers,
    }),
    joins: new Counter({
      name: 'teranode_p2p_kafka_consumer_joins_total',
      help: 'Times the group dealt out its partitions with this consumer in it',
      labelNames: ['topic'] as const,
      registers,
    }),
    lag: new Gauge({
      name: 'teranode_p2p_kafka_consumer_lag_records',
      help: 'Records of a partition behind the last batch handled',
      labelNames: ['topic', 'partition'] as const,
      registers,
    }),
  };
}
