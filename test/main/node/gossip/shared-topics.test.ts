import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BLOCK_TOPIC, createTestNode, type TestNode } from '../../../support/node.js';
import { createPeer } from '../../../support/peer.js';
import { waitFor } from '../../../support/wait.js';

const GAUGE = 'teranode_p2p_node_peers_without_shared_topic';
const OLD_TOPIC = 'bitcoin/regtest-block';
/** Long enough for a peer to have subscribed on a slow machine. */
const PATIENCE = { topicPatienceMs: 5_000 };

const warnings = ({ lines }: TestNode) =>
  lines.filter(({ level, msg }) => level === 40 && String(msg).includes('none of our topics'));
const readiness = async ({ node }: TestNode) => (await node.health()).message;
const strangers = (tested: TestNode, count: number) =>
  waitFor(async () => (await tested.metric(GAUGE)) === count, { what: `${count} counted`, everyMs: 20 });

// Each waits for its peers' patience to end.
describe('peers without a topic of ours', { concurrency: true }, () => {
  it('a peer that subscribes to none of our topics is warned of once, counted, and told in readiness', async (context) => {
    const tested = await createTestNode(context, PATIENCE);
    const peer = await createPeer({ context, topics: [OLD_TOPIC] });
    await peer.dial(tested.address);
    await strangers(tested, 1);
    const [warning] = await waitFor(() => (warnings(tested).length > 0 ? warnings(tested) : undefined));
    assert.deepEqual(warning?.peers, [{ id: peer.id, topics: [OLD_TOPIC] }]);
    assert.match(
      await readiness(tested),
      /^1 peers connected, connected peers share no topic \(ours: teranode\//,
    );
    assert.equal((await tested.node.health()).status, 200, 'as with no peers at all');

    // Once: not again while it stays, nor when it comes back.
    await tested.node.disconnect(peer.id);
    await waitFor(() => peer.libp2p.getConnections().length === 0, { what: 'the end of the connection' });
    await strangers(tested, 0);
    assert.equal(await readiness(tested), '0 peers connected');
    await peer.dial(tested.address);
    await strangers(tested, 1);
    const other = await createPeer({ context, topics: ['x'], localAddress: '127.0.0.2' });
    await other.dial(tested.address);
    await waitFor(() => warnings(tested).length > 1, { what: 'the other one’s warning' });
    assert.deepEqual(
      warnings(tested).map(({ count }) => count),
      [1, 1],
    );
  });

  it('with one peer that shares a topic readiness says nothing, and the others are still counted', async (context) => {
    const tested = await createTestNode(context, PATIENCE);
    const [member, stranger] = [
      await createPeer({ context, topics: [BLOCK_TOPIC] }),
      await createPeer({ context, topics: [OLD_TOPIC], localAddress: '127.0.0.2' }),
    ];
    for (const peer of [member, stranger]) await peer.dial(tested.address);
    await strangers(tested, 1);
    // Until the gossip streams of both are there it says so.
    await waitFor(async () => (await readiness(tested)) === '2 peers connected', {
      what: 'both to be heard',
    });
    await waitFor(() => warnings(tested).length > 0);
    assert.deepEqual(
      warnings(tested).map(({ count }) => count),
      [1],
    );
    member.libp2p.services.pubsub.unsubscribe(BLOCK_TOPIC);
    await strangers(tested, 2);
    assert.match(await readiness(tested), /^2 peers connected, connected peers share no topic/);
  });

  it('who tells of a thousand topics fills neither the log nor the memory', async (context) => {
    const tested = await createTestNode(context, PATIENCE);
    const topics = Array.from({ length: 900 }, (_, index) => `<script>${index}${'y'.repeat(1000)}`);
    const peer = await createPeer({ context, topics });
    await peer.dial(tested.address);
    const warning = await waitFor(() => warnings(tested)[0]);
    const [told] = warning.peers as { topics: string[] }[];
    assert.equal(told?.topics.length, 3);
    for (const topic of told?.topics ?? []) assert.match(topic, /^script\d+y+$/);
    assert.ok(JSON.stringify(warnings(tested)).length < 1500);
  });
});
