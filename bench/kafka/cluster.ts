/** A real Kafka for a benchmark, or what it would take to have one. */

import type { Admin, ITopicConfig } from 'kafkajs';
import { errorMessage } from '../../src/shared/errors.js';
import { type KafkaCluster, startKafka } from '../../test/support/kafka/index.js';
import { classpathOf } from '../../test/support/kafka/jars.js';
import { findJava } from '../../test/support/kafka/java.js';
import { waitFor } from '../../test/support/wait.js';

export interface BenchKafka {
  readonly cluster: KafkaCluster;
  /** Of the broker, where this run started it. */
  readonly pid: number | undefined;
  stop(): Promise<void>;
}

/** One broker, or the reason why there is none: no Java, or no jars. Throws when a broker that could run does not. */
export async function startBenchKafka(): Promise<BenchKafka | { readonly missing: string }> {
  try {
    findJava();
    // Kafka's own tools are the reference, whoever's the broker is.
    await classpathOf('tools-4.3.1');
  } catch (error) {
    return { missing: errorMessage(error) };
  }
  const cleanUp: (() => unknown)[] = [];
  const stop = async () => {
    for (const clean of cleanUp.splice(0).reverse()) await clean();
  };
  try {
    const cluster = await startKafka({ after: (fn: () => unknown) => cleanUp.push(fn) } as never);
    const existing = (process.env.KAFKA_BROKERS ?? '') !== '';
    return { cluster, pid: existing ? undefined : cluster.broker(1).pid, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Resolves when each has its leaders. A broker that is busy does not know for a while what it has just made, and kafkajs gives up then. */
export async function createTopics(admin: Admin, topics: ITopicConfig[]): Promise<void> {
  await admin.createTopics({ topics, waitForLeaders: false });
  const names = topics.map(({ topic }) => topic);
  await waitFor(
    async () => {
      const known = await admin.fetchTopicMetadata({ topics: names }).catch(() => undefined);
      return known?.topics.every(({ partitions }) =>
        partitions.every(({ partitionErrorCode, leader }) => partitionErrorCode === 0 && leader >= 0),
      );
    },
    { what: `leaders of ${names.join(', ')}`, timeoutMs: 60_000, everyMs: 100 },
  );
}
