/** Topics whose records Kafka itself stamps with the time at which it took them, and those times. */

import type { KafkaCluster } from '../../test/support/kafka/index.js';
import { createTopics } from './cluster.js';

/** Kafka's `LogAppendTime`: the broker's clock when it appended the batch, unix ms. */
const TIMESTAMPS = { name: 'message.timestamp.type', value: 'LogAppendTime' };
const BATCH_BYTES = 8_388_608;

export async function createStampedTopics(cluster: KafkaCluster, topics: readonly string[]): Promise<void> {
  const stamped = { numPartitions: 1, replicationFactor: 1, configEntries: [TIMESTAMPS] };
  await createTopics(
    await cluster.admin(),
    topics.map((topic) => ({ topic, ...stamped })),
  );
}

/** A hash as records are keyed with it: 64 hex digits, or by a service of October 2025 its 32 bytes, the last first. */
function hashOf(key: Buffer | null): string {
  return key?.length === 32 ? Buffer.from(key).reverse().toString('hex') : String(key);
}

/** Unix ms by the hashes that the records' keys are, everything that `topic` has; the first where one is there twice. */
export async function arrivalsIn(cluster: KafkaCluster, topic: string): Promise<Map<string, number>> {
  const arrivals = new Map<string, number>();
  let left = await cluster.count(topic);
  if (left === 0) return arrivals;
  const consumer = cluster.client().consumer({
    groupId: `bench-${topic}`,
    maxBytesPerPartition: BATCH_BYTES,
    retry: { retries: 5 },
  });
  await consumer.connect();
  try {
    await consumer.subscribe({ topic, fromBeginning: true });
    await new Promise<void>((resolve, reject) => {
      // It starts again after what passes, as while the broker makes its topic of groups for the first of them.
      consumer.on('consumer.crash', ({ payload }) => {
        if (!payload.restart) reject(payload.error);
      });
      consumer
        .run({
          autoCommit: false,
          eachBatch: async ({ batch }) => {
            for (const { key, timestamp } of batch.messages) {
              const text = hashOf(key);
              if (!arrivals.has(text)) arrivals.set(text, Number(timestamp));
            }
            left -= batch.messages.length;
            if (left <= 0) resolve();
          },
        })
        .catch(reject);
    });
  } finally {
    await consumer.disconnect();
  }
  return arrivals;
}
