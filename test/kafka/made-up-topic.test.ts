/** A message kind that the server does not have, with a topic of its own: Kafka's own tools read its records. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { announcementsIn, PRINTED } from '../support/announced-records.js';
import { hashOf, sumOf } from '../support/gossip.js';
import { startKafka } from '../support/kafka/index.js';
import { createPeer } from '../support/peer.js';
import { DATA_HUB } from '../support/sample-messages.js';
import { launchServer } from '../support/server-process.js';
import { bundleTree, SIGHTING, treeWith } from '../support/tree-with.js';
import { waitFor } from '../support/wait.js';

const TOPIC = 'teranode/bitcoin/1.0.0/regtest-sighting';

test('records of a made-up kind are in the topic that its setting names', async (context) => {
  const kafka = await startKafka(context);
  const topic = kafka.topic('sightings');
  const tree = treeWith(context, SIGHTING);
  bundleTree(tree);
  const url = kafka.url(topic, { partitions: 1, retention: 3_600_000 });
  const server = launchServer(context, { root: tree, set: { kafka_sightingsConfig: url } });
  const { ports, peerId } = await server.ready();
  const peer = await createPeer({ context, topics: [TOPIC] });
  await peer.dial(`/ip4/127.0.0.1/tcp/${ports.p2p}/p2p/${peerId}`);
  await peer.sees(peerId, TOPIC);
  const message = { Hash: hashOf(7), DataHubUrl: DATA_HUB, PeerId: peer.id };
  await peer.publish(TOPIC, JSON.stringify(message));
  await waitFor(
    async () => {
      const text = await (await fetch(`http://127.0.0.1:${ports.metrics}/metrics`)).text();
      return sumOf(text, 'teranode_p2p_kafka_records_total', { topic: 'sightings' }) === 1;
    },
    { what: 'Kafka’s word for the record', everyMs: 200, timeoutMs: 60_000 },
  );
  const printed = await kafka.consoleConsumer({ topic, args: PRINTED });
  assert.deepEqual(announcementsIn(printed.join('\n')), [
    { key: hashOf(7), hash: hashOf(7), originator: peer.id },
  ]);
});
