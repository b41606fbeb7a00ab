/** Brokers that end a connection which does not authenticate again in time (`connections.max.reauth.ms`), on a real broker. */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Registry } from 'prom-client';
import type { Settings } from '../../src/shared/settings/table.js';
import { createConsumerMetrics } from '../../src/shared/sinks/kafka/consumer-metrics.js';
import { createConsumer, createProducer } from '../../src/shared/sinks/kafka/index.js';
import { type KafkaCluster, startKafka } from '../support/kafka/index.js';
import { keptLog } from '../support/logger.js';
import { settingsOf } from '../support/settings.js';
import { SharedByTests } from '../support/temporary.js';
import { waitFor } from '../support/wait.js';

/** A listener each, and how long its sessions are. */
const SESSIONS_MS = { ten: 10_000, two: 2_000, shortest: 1_500, half: 500 } as const;
type Listener = keyof typeof SESSIONS_MS;

const USER = 'alice';
const PASSWORD = 'open sesame 4711';
const MECHANISMS = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const;

describe('sessions that end', { concurrency: 1 }, () => {
  const context = new SharedByTests();
  after(() => context.clean());
  let cluster: KafkaCluster;

  before(async () => {
    const listeners = Object.keys(SESSIONS_MS) as Listener[];
    cluster = await startKafka(context, {
      security: {
        users: { [USER]: PASSWORD },
        listeners: Object.fromEntries(listeners.map((name) => [name, { sasl: true }])),
      },
      config: Object.fromEntries(
        listeners.flatMap((name) =>
          MECHANISMS.map((mechanism) => [
            `listener.name.${name}.${mechanism.toLowerCase()}.connections.max.reauth.ms`,
            String(SESSIONS_MS[name]),
          ]),
        ),
      ),
    });
  });

  function partsOn(listener: Listener, mechanism: (typeof MECHANISMS)[number]) {
    const settings: Settings = settingsOf({
      KAFKA_SASL_MECHANISM: mechanism,
      KAFKA_SASL_USERNAME: USER,
      KAFKA_SASL_PASSWORD: PASSWORD,
      kafka_rejectedTxConfig: cluster.url(cluster.topic(), {}, cluster.listener(listener)),
    });
    const { logger, lines } = keptLog();
    const registry = new Registry();
    const components = { logger, brokerSocketPath: undefined };
    const producer = createProducer(settings, 'kafka_rejectedTxConfig', components);
    const consumer = createConsumer(settings, 'kafka_rejectedTxConfig', {
      ...components,
      metrics: createConsumerMetrics(registry),
      group: randomUUID(),
    });
    return { producer, consumer, registry, lines };
  }

  /**
   * Sends on and on, then nothing for longer than a session, then on, and reads it all; over a few sessions. `unbroken`: no connection ends meanwhile. Kafka's
   * clients authenticate anew in the last fifth of a session: of a short one a busy machine may let that pass.
   */
  async function throughSessions(
    testing: TestContext,
    listener: Listener,
    mechanism: (typeof MECHANISMS)[number],
    { unbroken = false } = {},
  ) {
    const sessionMs = SESSIONS_MS[listener];
    const { producer, consumer, registry, lines } = partsOn(listener, mechanism);
    testing.after(() => producer.disconnect());
    await producer.connect();
    const read: string[] = [];
    await consumer.start(async (records) => {
      read.push(...records.map(({ value }) => Buffer.from(value).toString()));
    });
    testing.after(() => consumer.stop());
    const sent: string[] = [];
    const send = async (): Promise<void> => {
      const value = `record ${sent.length}`;
      sent.push(value);
      const sending = () => producer.send([{ value: Buffer.from(value) }]);
      const done = () =>
        sending().then(
          () => true,
          () => false,
        );
      await (unbroken ? sending() : waitFor(done, { what: value, everyMs: 100 }));
    };
    const endsSoFar = async (): Promise<number> => {
      const ends = await registry.getSingleMetric('teranode_p2p_kafka_consumer_ends_total')?.get();
      return ends?.values.reduce((sum, { value }) => sum + value, 0) ?? 0;
    };
    // A broker that has just started may still load the groups, and refuse the first attempt.
    await send();
    await waitFor(() => read.length > 0, { what: 'the first record', timeoutMs: 60_000 });
    const [endsAtFirst, linesAtFirst] = [await endsSoFar(), lines.length];
    const began = performance.now();
    while (performance.now() - began < 2.2 * sessionMs) {
      await send();
      await delay(sessionMs / 50);
    }
    await delay(1.2 * sessionMs);
    await send();
    await waitFor(() => new Set(read).size >= sent.length, { what: 'every record', timeoutMs: 60_000 });
    assert.deepEqual([...new Set(read)], sent);
    for (const part of [producer, consumer]) {
      await waitFor(async () => (await part.health(AbortSignal.timeout(10_000))).status === 200, {
        what: 'health',
        everyMs: 100,
      });
    }
    if (!unbroken) return;
    assert.deepEqual(read, sent, 'each once');
    assert.equal(await endsSoFar(), endsAtFirst, 'the consumer never ended');
    assert.deepEqual(
      lines.slice(linesAtFirst).filter(({ level }) => Number(level) > 30),
      [],
    );
    const closed = lines.filter(({ msg }) => msg === 'Kafka server has closed connection');
    assert.deepEqual(closed, [], 'no broker ended a connection');
  }

  test('of 10 s: records are sent and read through several', (testing) =>
    throughSessions(testing, 'ten', 'SCRAM-SHA-512', { unbroken: true }));
  test('of 2 s: records are sent and read through several', (testing) =>
    throughSessions(testing, 'two', 'PLAIN'));
  test('of 1.5 s: records are sent and read through several', (testing) =>
    throughSessions(testing, 'shortest', 'SCRAM-SHA-256'));

  test('of half a second, which no client can keep: one error names the broker and its setting', async (testing) => {
    const { producer, lines } = partsOn('half', 'PLAIN');
    testing.after(() => producer.disconnect());
    const named = new RegExp(
      `${cluster.listener('half')} ends sessions after 500 ms \\(its connections\\.max\\.reauth\\.ms\\)`,
    );
    await assert.rejects(producer.connect(), named);
    assert.match((await producer.health(AbortSignal.timeout(10_000))).error ?? '', named);
    assert.deepEqual(
      lines.filter(({ level }) => Number(level) > 30),
      [],
    );
  });
});
