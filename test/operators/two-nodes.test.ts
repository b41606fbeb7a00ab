/** What docs/operators/networks.md says of two nodes that write into one topic. */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { headerHash } from '../../src/shared/bitcoin/header.js';
import { KafkaBlockTopicMessage } from '../../src/shared/generated/kafkamessage.js';
import { minedChain } from '../support/headers.js';
import { startKafka } from '../support/kafka/index.js';
import { createPeer } from '../support/peer.js';
import { sampleData } from '../support/sample-messages.js';
import { launchServer } from '../support/server-process.js';
import { waitFor } from '../support/wait.js';

const TOPIC = 'teranode/bitcoin/1.0.0/regtest-block';

it('two nodes on one topic write each announcement twice, the same in key and value, and announcers differ in peer_id', async (context) => {
  const kafka = await startKafka(context);
  const topic = kafka.topic('blocks');
  const url = kafka.url(topic, { partitions: 1 });
  const servers = ['one', 'two'].map((clientName) =>
    launchServer(context, { set: { clientName, kafka_blocksConfig: url, p2p_max_announcers_per_hash: '0' } }),
  );
  const files = await Promise.all(servers.map((server) => server.ready()));
  const [header] = minedChain(1) as [Uint8Array];
  const hash = headerHash(header);
  const announcers = [
    await createPeer({ context, topics: [TOPIC] }),
    await createPeer({ context, topics: [TOPIC] }),
  ];
  for (const peer of announcers) {
    for (const { ports, peerId } of files) {
      await peer.dial(`/ip4/127.0.0.1/tcp/${ports.p2p}/p2p/${peerId}`);
      await peer.sees(peerId, TOPIC);
    }
    const fields = { hash, header: Buffer.from(header).toString('hex'), height: 1, peerId: peer.id };
    await peer.publish(TOPIC, sampleData('block', fields, 'message-bus', peer.id));
  }

  // The topic comes with the first record, and nobody subscribes to one that is not there yet.
  await waitFor(async () => (await kafka.count(topic).catch(() => 0)) > 0, {
    what: 'the topic',
    timeoutMs: 60_000,
    everyMs: 100,
  });
  const records: { key: string; value: string }[] = [];
  const consumer = kafka.client().consumer({ groupId: 'reader' });
  // Ended before its broker is: hooks run in the order in which they came.
  try {
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({
      eachMessage: async ({ message: { key, value } }) => {
        records.push({ key: key?.toString('hex') ?? '', value: value?.toString('hex') ?? '' });
      },
    });
    await waitFor(() => records.length >= 4, { what: 'four records', timeoutMs: 60_000 });
  } finally {
    await consumer.disconnect();
  }
  assert.equal(records.length, 4);
  assert.equal(new Set(records.map(({ key }) => key)).size, 1);
  const announced = records.map(({ value }) => KafkaBlockTopicMessage.decode(Buffer.from(value, 'hex')));
  for (const { hash: of } of announced) assert.equal(of, hash);
  for (const { id } of announcers) {
    const twice = records.filter((_, index) => announced[index]?.peer_id === id);
    assert.deepEqual([twice.length, twice[0]], [2, twice[1]]);
  }
});
