/** A message kind that the product does not know, added to its table from outside, goes the whole way. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KafkaSubtreeTopicMessage } from '../../src/shared/generated/kafkamessage.js';
import { createStranger, hashOf, joinPeer, sumOf } from '../support/gossip.js';
import { MADE_UP_TOPICS, sighting, sightings } from '../support/made-up-kind.js';
import { openFeed, recordsOf, serverSettings, startServer } from '../support/server.js';
import { waitFor } from '../support/wait.js';

const TOPIC = 'teranode/bitcoin/1.0.0/regtest-sighting';

test('a made-up kind goes from gossip to a Kafka topic of its own, WebSocket, the mesh and the metrics', async (context) => {
  const kindsModule = new URL('../support/made-up-kind.js', import.meta.url).href;
  // GossipSub forwards nothing whose verdict takes more than five heartbeats.
  const settings = serverSettings(context, { ...MADE_UP_TOPICS, p2p_heartbeat_interval: 4_000 });
  const server = await startServer(context, settings, { kindsModule });
  const feed = await openFeed(context, server.server);
  const { records } = await recordsOf(context, server, sightings.setting);
  const peer = await joinPeer(context, server, { topics: [TOPIC] });
  const neighbour = await joinPeer(context, server, { topics: [TOPIC], localAddress: '127.0.0.2' });

  const message = (hash: string, author: string) =>
    JSON.stringify({ Hash: hash, DataHubUrl: 'http://hub.example.org', PeerId: author });
  await peer.publish(TOPIC, message(hashOf(7), peer.id));
  const frame = await feed.next(({ type }) => type === 'sighting', 'its frame');
  assert.deepEqual([frame.hash, frame.peer_id], [hashOf(7), peer.id]);
  const record = await waitFor(() => records[0], { what: 'its record' });
  assert.deepEqual(KafkaSubtreeTopicMessage.decode(record.value), {
    hash: hashOf(7),
    URL: 'http://hub.example.org',
    peer_id: peer.id,
  });
  await waitFor(() => neighbour.heard.length === 1, { what: 'it at the neighbour' });

  // Bounds, checks and repeats are those of its row.
  const stranger = await createStranger();
  peer.send(server.server.peerId, [
    await stranger.sign(TOPIC, message(hashOf(8), peer.id)),
    await stranger.sign(TOPIC, 'x'.repeat(sighting.sizeBound * 10)),
    await stranger.sign(TOPIC, message('ab', stranger.id)),
    await peer.sign(TOPIC, message(hashOf(7), peer.id)),
    await stranger.sign(TOPIC, message(hashOf(9), stranger.id)),
  ]);
  await feed.next(({ hash }) => hash === hashOf(9), 'the last');
  await waitFor(() => records.length === 2, { what: 'its record' });
  const scrape = await server.server.scrape();
  const counted = ['ok', 'spoofed', 'oversized', 'bad_field', 'repeat'].map((outcome) =>
    sumOf(scrape, 'teranode_p2p_messages_total', { kind: 'sighting', outcome }),
  );
  assert.deepEqual(counted, [2, 1, 1, 1, 1]);
  // What is too large is refused before its signature is looked at.
  assert.equal(sumOf(scrape, 'teranode_p2p_node_heard_total', { kind: 'sighting' }), 5);
  // Its topic has its row in the outbox, beside those of the table.
  const topics = await server.server.parts.pipeline.publisher.ask('outbox', {});
  assert.deepEqual(
    topics.map(({ topic, waiting }) => [topic, waiting]),
    [
      ['blocks', 0],
      ['subtrees', 0],
      ['sightings', 0],
    ],
  );
});
