/** Where a member begins in partitions of which its group has no offset written down. */

import type { Kafka } from 'kafkajs';

export interface StartOffset {
  readonly topic: string;
  readonly partition: number;
  /** Of the record to be read next. */
  readonly offset: string;
}

export interface StartOffsetsOptions {
  readonly group: string;
  readonly topic: string;
  /** The member's own. */
  readonly partitions: readonly number[];
  readonly from: 'oldest' | 'newest';
}

/** None for the partitions in which the group has an offset. Rejects when no broker answers, or does not know a partition yet. */
export async function startOffsets(
  kafka: Kafka,
  { group, topic, partitions, from }: StartOffsetsOptions,
): Promise<readonly StartOffset[]> {
  // A client of its own: one that is kept does not know of partitions that were added since.
  const admin = kafka.admin();
  try {
    await admin.connect();
    const [committed] = await admin.fetchOffsets({ groupId: group, topics: [topic] });
    const offsets = new Map(
      committed?.partitions.map(({ partition, offset }) => [partition, BigInt(offset)]),
    );
    const without = partitions.filter((partition) => (offsets.get(partition) ?? -1n) < 0n);
    if (without.length === 0) return [];
    const ends = new Map((await admin.fetchTopicOffsets(topic)).map((end) => [end.partition, end]));
    return without.map((partition) => {
      const end = ends.get(partition);
      if (end === undefined) throw new Error(`partition ${partition} of ${topic} is not known yet`);
      return { topic, partition, offset: from === 'oldest' ? end.low : end.high };
    });
  } finally {
    await admin.disconnect().catch(() => {});
  }
}
