/** Random deaths with the topics in a real Kafka, whose broker stands still now and then. */

import type { TestContext } from 'node:test';
import { announcementsIn, PRINTED } from '../announced-records.js';
import { type KafkaCluster, startKafka } from '../kafka/index.js';
import { TOPICS } from './oracle.js';
import type { RandomDeaths } from './run.js';

/** Starts it, with one broker. */
export async function deathsWithKafka(
  context: Pick<TestContext, 'after'>,
): Promise<Omit<RandomDeaths, 'lives'>> {
  const kafka = await startKafka(context, { own: true });
  const broker = kafka.broker(1);
  context.after(() => broker.resume());
  return { ...topicsIn(kafka), looksOften: false, broker };
}

/** New topics of it, and what is in them. */
export function topicsIn(kafka: KafkaCluster): Pick<RandomDeaths, 'settings' | 'records'> {
  const topics = { blocks: kafka.topic('blocks'), subtrees: kafka.topic('subtrees') };
  const params = { partitions: 1, retention: 86_400_000 };
  return {
    settings: {
      kafka_blocksConfig: kafka.url(topics.blocks, params),
      kafka_subtreesConfig: kafka.url(topics.subtrees, params),
      kafka_rejectedTxConfig: kafka.url(kafka.topic('rejectedTx')),
    },
    records: async (kind) => {
      const printed = await kafka.consoleConsumer({ topic: topics[TOPICS[kind]], args: PRINTED });
      const records = announcementsIn(printed.join('\n'));
      const count = await kafka.count(topics[TOPICS[kind]]);
      if (records.length !== count)
        throw new Error(`${records.length} of ${count} records are announcements`);
      return records;
    },
  };
}
