/** Topics that tests make beforehand. */

import { randomUUID } from 'node:crypto';
import type { Admin, ITopicConfig, PartitionMetadata } from 'kafkajs';
import { waitFor } from '../wait.js';

/**
 * Resolves with true when the topic is there and led, with false where there was one before. The library's own wait for that fails where the broker that it asks has not heard of
 * the topic yet.
 */
export async function makeTopic(admin: Admin, config: ITopicConfig): Promise<boolean> {
  if (!(await admin.createTopics({ waitForLeaders: false, topics: [config] }))) return false;
  await partitionsOf(admin, config.topic, (partitions) => partitions.every(({ leader }) => leader >= 0));
  return true;
}

/**
 * The partitions of a topic, once the broker that is asked has heard of it and `wanted` takes them. Each look may ask another
 * broker, and some hear later than others.
 */
export function partitionsOf(
  admin: Admin,
  topic: string,
  wanted: (partitions: PartitionMetadata[]) => boolean,
): Promise<PartitionMetadata[]> {
  const look = async () => {
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
    const partitions = topics[0]?.partitions;
    return partitions !== undefined && wanted(partitions) ? partitions : undefined;
  };
  return waitFor(() => look().catch(() => undefined), { what: `topic ${topic} and its partitions` });
}

/**
 * Resolves when configurations and rights given before are in effect, with one broker: it acknowledges a change first and
 * applies it afterwards, perhaps together with the first topic that is made later, but before the second.
 */
export async function changesApplied(admin: Admin): Promise<void> {
  for (const place of ['with', 'behind']) {
    await makeTopic(admin, { topic: `${place}-${randomUUID()}`, numPartitions: 1 });
  }
}

/** Resolves when every partition's leader has its log: leaders are named before they have made them. */
export async function logsMade(admin: Admin, topic: string): Promise<void> {
  const offsets = () =>
    admin.fetchTopicOffsets(topic).then(
      () => true,
      () => false,
    );
  await waitFor(offsets, { what: `the logs of ${topic}` });
}
