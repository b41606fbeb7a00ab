/** Strangers and peers that announce the same hash: who of them comes through to the feed and to Kafka. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { KafkaBlockTopicMessage, KafkaSubtreeTopicMessage } from '../../src/shared/generated/kafkamessage.js';
import { createStranger, joinPeer, outcomesOf, topicOf } from '../support/gossip.js';
import { kindNamed } from '../support/kinds.js';
import { mineHeader, sampleData } from '../support/sample-messages.js';
import { openFeed, recordsOf, serverSettings, startServer } from '../support/server.js';
import { waitFor } from '../support/wait.js';

const KINDS = ['block', 'subtree'] as const;
/** What the newest Go nodes pass on, and the default of `p2p_max_announcers_per_hash`. */
const PLACES = 3;
const STRANGERS = 10;

const known = ['block', 'subtree'].map((name) => {
  const kind = kindNamed(name);
  if (kind === undefined) throw new Error(`no kind ${name}`);
  return kind;
});

/** A server with default limits, a relay and a peer in its mesh, what clients see, and what Kafka gets of each kind, by author. */
async function stage(context: TestContext) {
  // GossipSub forwards nothing whose verdict takes more than five heartbeats.
  const server = await startServer(context, serverSettings(context, { p2p_heartbeat_interval: 4_000 }));
  const feed = await openFeed(context, server.server);
  const topics = known.map((kind) => topicOf(server, kind));
  const [relay, peer] = [
    await joinPeer(context, server, { topics, localAddress: '127.0.0.2' }),
    await joinPeer(context, server, { topics, localAddress: '127.0.0.3' }),
  ];
  const blocks = await recordsOf(context, server, 'kafka_blocksConfig');
  const subtrees = await recordsOf(context, server, 'kafka_subtreesConfig');
  const recorded = () => ({
    block: blocks.records.map(({ value }) => KafkaBlockTopicMessage.decode(value).peer_id),
    subtree: subtrees.records.map(({ value }) => KafkaSubtreeTopicMessage.decode(value).peer_id),
  });
  return {
    server,
    feed,
    topics: { block: topics[0] ?? '', subtree: topics[1] ?? '' },
    relay,
    peer,
    recorded,
  };
}

test('strangers who announce a hash first, with dead hubs, keep no connected peer’s announcement back', async (context) => {
  const { server, feed, topics, relay, peer, recorded } = await stage(context);
  const mined = mineHeader();
  const announced = (kind: (typeof KINDS)[number], peerId: string, header: string, dataHubUrl: string) =>
    sampleData(
      kind,
      { hash: mined.hash, peerId, dataHubUrl, ...(kind === 'block' ? { header } : {}) },
      'message-bus',
      peerId,
    );
  for (const kind of KINDS) {
    const strangers = await Promise.all(Array.from({ length: STRANGERS }, () => createStranger()));
    const messages = await Promise.all(
      strangers.map(({ id, sign }) =>
        sign(topics[kind], announced(kind, id, '', 'https://dead.example.org/api/v1')),
      ),
    );
    relay.send(server.server.peerId, messages);
    await waitFor(
      async () => {
        const outcomes = await outcomesOf(server);
        const [passed, refused] = ['ok', 'too_many_announcers'].map(
          (outcome) => outcomes.get(`${kind} ${outcome}`) ?? 0,
        );
        return passed === PLACES && refused === STRANGERS - PLACES;
      },
      { what: `${PLACES} strangers passed on, and no more, of ${kind}` },
    );

    // Both that are connected, whether or not what they say proves anything.
    const hub = 'https://alive.example.org/api/v1';
    await peer.publish(topics[kind], announced(kind, peer.id, '', hub));
    await relay.publish(topics[kind], announced(kind, relay.id, mined.header, hub));
    for (const { id } of [peer, relay]) {
      await feed.next(
        (frame) => frame.type === kind && frame.peer_id === id,
        `the ${kind} of a connected peer`,
      );
      await waitFor(() => recorded()[kind].includes(id), {
        what: `the record of a connected peer’s ${kind}`,
      });
    }
    await waitFor(() => relay.heard.some(({ author }) => author === peer.id), {
      what: `the ${kind} passed on to others`,
    });
    assert.equal(recorded()[kind].length, PLACES + 2, 'and of strangers no more than before');
  }

  // Whoever shows the work has a place that nobody takes who does not.
  const prover = await createStranger();
  const proof = announced('block', prover.id, mined.header, 'https://alive.example.org/api/v1');
  relay.send(server.server.peerId, [await prover.sign(topics.block, proof)]);
  await waitFor(() => recorded().block.includes(prover.id), {
    what: 'the record of a stranger’s proven block',
  });
});
