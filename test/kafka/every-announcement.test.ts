/** Nothing is lost between the gossip stream and what Kafka's own tools read. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Senders } from '../../bench/gossip/arena.js';
import { hashAt } from '../../bench/gossip/traffic.js';
import { announcementsIn, PRINTED } from '../support/announced-records.js';
import { samplesOf, sumOf } from '../support/gossip.js';
import { startKafka } from '../support/kafka/index.js';
import { launchServer } from '../support/server-process.js';
import { waitFor } from '../support/wait.js';

const AUTHORS = [11, 12, 13, 14];
/** Of each originator's announcements the 21st, 42nd … says again what the one before it said. */
const REPEAT_EVERY = 21;
const KINDS = [
  { kind: 'subtree', topic: 'subtrees', messages: 84_000, records: 80_000 },
  { kind: 'block', topic: 'blocks', messages: 21_000, records: 20_000 },
] as const;
const LOOK_MS = 200;
const SENT_MS = 180_000;
const READ_MS = 120_000;

/** The numbers of the hashes that each originator announces first, in its order. */
const announcedBy = (messages: number): number[] =>
  Array.from({ length: messages / AUTHORS.length }, (_, nth) => nth).filter(
    (nth) => nth % REPEAT_EVERY !== REPEAT_EVERY - 1,
  );

async function sendersOf(
  context: Pick<TestContext, 'after'>,
  { kind, messages }: (typeof KINDS)[number],
  address: string,
): Promise<Senders> {
  const authors = kind === 'block' ? [...AUTHORS].reverse() : AUTHORS;
  const senders = await Senders.prepare(
    `teranode/bitcoin/1.0.0/regtest-${kind}`,
    { kind, messages, repeatEvery: REPEAT_EVERY },
    { authors },
  );
  context.after(() => senders.close());
  await senders.connect(address);
  return senders;
}

test('100,000 announcements of four originators, repeats among them, are all in Kafka, each originator’s in its order', {
  timeout: SENT_MS + 2 * READ_MS,
}, async (context) => {
  const kafka = await startKafka(context);
  const topicNames = { subtrees: kafka.topic('subtrees'), blocks: kafka.topic('blocks') };
  const params = { partitions: 1, retention: 3_600_000 };
  const server = launchServer(context, {
    set: {
      kafka_subtreesConfig: kafka.url(topicNames.subtrees, params),
      kafka_blocksConfig: kafka.url(topicNames.blocks, params),
      p2p_max_announcers_per_hash: '0',
      // They come by two connections: the bound of one is not what is tested.
      p2p_connection_messages_per_second: '1000000',
      p2p_connection_bytes_per_second: '1000000000',
    },
  });
  const { ports, peerId } = await server.ready();
  const scrape = async () => (await fetch(`http://127.0.0.1:${ports.metrics}/metrics`)).text();
  const address = `/ip4/127.0.0.1/tcp/${ports.p2p}/p2p/${peerId}`;
  const senders = await Promise.all(KINDS.map((kind) => sendersOf(context, kind, address)));

  const from = performance.now();
  for (const each of senders) each.send();
  const through = await waitFor(
    async () => {
      const text = await scrape();
      const done = KINDS.map(({ kind, messages }, index) => {
        const verdicts = sumOf(text, 'teranode_p2p_messages_total', { kind });
        senders[index]?.processed(verdicts);
        return verdicts >= messages;
      });
      return done.every(Boolean) ? text : undefined;
    },
    { what: 'a verdict for every announcement', timeoutMs: SENT_MS, everyMs: LOOK_MS },
  );
  const seconds = (performance.now() - from) / 1000;
  await Promise.all(senders.map((each) => each.disconnect()));

  for (const { kind, messages, records } of KINDS) {
    const outcomes = samplesOf(through, 'teranode_p2p_messages_total')
      .filter(({ labels, value }) => labels.kind === kind && value > 0)
      .map(({ labels, value }) => [labels.outcome, value]);
    assert.deepEqual(Object.fromEntries(outcomes), { ok: records, repeat: messages - records }, kind);
  }
  assert.equal(sumOf(through, 'teranode_p2p_node_budget_dropped_total'), 0, 'nothing was dropped unverified');
  assert.equal(sumOf(through, 'teranode_p2p_dead_letters'), 0);
  await waitFor(
    async () => {
      const text = await scrape();
      return KINDS.every(
        ({ topic, records }) =>
          sumOf(text, 'teranode_p2p_kafka_records_total', { topic, outcome: 'acknowledged' }) === records,
      );
    },
    { what: 'an acknowledgement for every record', timeoutMs: 60_000, everyMs: LOOK_MS },
  );
  const messages = KINDS.reduce((sum, kind) => sum + kind.messages, 0);
  context.diagnostic(`${messages} messages in ${seconds.toFixed(1)} s: ${Math.round(messages / seconds)}/s`);

  for (const { topic, messages, records } of KINDS) {
    const printed = await kafka.consoleConsumer({ topic: topicNames[topic], args: PRINTED });
    const announced = announcementsIn(printed.join('\n'));
    assert.equal(announced.length, records, `${topic}: none is lost and none is there twice`);
    assert.ok(
      announced.every(({ key, hash }) => key === hash),
      'the hash is the key',
    );
    const originators = new Map<string, string[]>();
    for (const { originator, hash } of announced) {
      const own = originators.get(originator);
      if (own === undefined) originators.set(originator, [hash]);
      else own.push(hash);
    }
    assert.equal(originators.size, AUTHORS.length);
    const expected = announcedBy(messages).map(hashAt);
    for (const own of originators.values()) assert.deepEqual(own, expected, 'an originator’s order');
  }
});
