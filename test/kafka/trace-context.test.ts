/** The context of a trace as whoever reads the topic has it: Kafka's own consumer. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startCollector } from '../support/collector.js';
import { createStranger, subtreeData } from '../support/gossip.js';
import { startKafka } from '../support/kafka/index.js';
import { createPeer } from '../support/peer.js';
import { launchServer } from '../support/server-process.js';
import { waitFor, within } from '../support/wait.js';

const TOPIC = 'teranode/bitcoin/1.0.0/regtest-subtree';
const COUNT = 40;
const PRINTED = ['print.headers=true', 'print.value=false', 'print.key=true'].flatMap((property) => [
  '--formatter-property',
  property,
]);

for (const compression of ['none', 'gzip']) {
  test(`records of traced messages have the context of their spans where it is asked for, with ${compression} compression`, {
    timeout: 240_000,
  }, async (context) => {
    const kafka = await startKafka(context);
    const collector = await startCollector(context);
    const topics = { subtrees: kafka.topic('subtrees'), plain: kafka.topic('plain') };
    const read: Record<string, string[]> = {};
    for (const [asked, topic] of [
      ['true', topics.subtrees],
      ['false', topics.plain],
    ] as const) {
      const run = launchServer(context, {
        env: { ...collector.env, OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.5' },
        set: {
          kafka_blocksConfig: kafka.url(kafka.topic('blocks')),
          kafka_subtreesConfig: kafka.url(topic),
          p2p_kafka_trace_context: asked,
          p2p_kafka_compression: compression,
        },
      });
      const { ports, peerId } = await run.ready();
      const peer = await createPeer({ context, topics: [TOPIC] });
      await peer.dial(`/ip4/127.0.0.1/tcp/${ports.p2p}/p2p/${peerId}`);
      await peer.sees(peerId, TOPIC);
      const author = await createStranger();
      for (let n = 0; n < COUNT; n++)
        peer.send(peerId, [await author.sign(TOPIC, subtreeData(author.id, n))]);
      // The topic comes with its first record.
      await waitFor(async () => (await kafka.count(topic).catch(() => 0)) === COUNT, {
        timeoutMs: 60_000,
        everyMs: 100,
        what: 'the records',
      });
      run.child.kill('SIGTERM');
      assert.equal((await within(run.exit, 60_000, 'the end')).code, 0);
      read[topic] = await kafka.consoleConsumer({ topic, args: PRINTED });
    }

    const sent = (topic: string) => collector.spans.filter(({ name }) => name === `send ${topic}`);
    const expected = sent(topics.subtrees).map(
      ({ traceId, spanId }) => `traceparent:00-${traceId}-${spanId}-01`,
    );
    const headers = read[topics.subtrees]!.map((line) => line.split('\t')[0] as string);
    assert.equal(headers.length, COUNT);
    assert.deepEqual(headers.filter((header) => header !== 'NO_HEADERS').sort(), expected.sort());
    assert.ok(expected.length > 0 && expected.length < COUNT, `${expected.length} of ${COUNT} are traced`);
    // Each is below the message that it came with.
    for (const span of sent(topics.subtrees)) {
      const root = collector.spans.find(({ spanId }) => spanId === span.parentSpanId);
      assert.equal(root?.name, `process ${TOPIC}`);
      assert.equal(span.values['messaging.system'], 'kafka');
    }
    assert.ok(sent(topics.plain).length > 0);
    assert.deepEqual([...new Set(read[topics.plain]!.map((line) => line.split('\t')[0]))], ['NO_HEADERS']);
  });
}
