import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as tick } from 'node:timers/promises';
import { RPC } from '@chainsafe/libp2p-gossipsub/message';
import { generateKeyPair } from '@libp2p/crypto/keys';
import { Registry } from 'prom-client';
import { Backpressure, type PausableStream } from '../../../../src/main/node/gossip/backpressure.js';
import { createNodeMetrics } from '../../../../src/main/node/metrics/node-metrics.js';
import { sumOf } from '../../../support/gossip.js';
import { BLOCK, BLOCK_TOPIC, createTestNode } from '../../../support/node.js';
import { createPeer, type RawMessage, signMessage } from '../../../support/peer.js';
import { waitFor } from '../../../support/wait.js';

class Stream implements PausableStream {
  status = 'open';
  readStatus = 'readable';
  pause() {
    this.readStatus = 'paused';
  }
  resume() {
    this.readStatus = 'readable';
  }
}

test('at the bound the loud are paused and the quiet are not, and a new stream is paused too', () => {
  const streams = new Map([
    ['loud', new Stream()],
    ['quiet', new Stream()],
  ]);
  const backpressure = new Backpressure(
    { metrics: createNodeMetrics(new Registry()) },
    { streamOf: (id) => streams.get(id), bound: 10 },
  );
  backpressure.enter('quiet');
  for (let count = 0; count < 10; count++) backpressure.enter('loud');
  backpressure.enter('quiet');
  const first = streams.get('loud')!;
  assert.deepEqual([first.readStatus, streams.get('quiet')!.readStatus], ['paused', 'readable']);
  streams.set('loud', new Stream());
  backpressure.enter('loud');
  assert.equal(streams.get('loud')!.readStatus, 'paused');
  for (let count = 0; count < 8; count++) backpressure.leave('loud');
  assert.equal(backpressure.pending, 5);
  assert.equal(streams.get('loud')!.readStatus, 'readable');
  assert.equal(backpressure.peak, 13);
});

test('a paused stream is forgotten with the connection, however much of others is pending', async () => {
  const registry = new Registry();
  const backpressure = new Backpressure(
    { metrics: createNodeMetrics(registry) },
    { streamOf: () => new Stream(), bound: 10 },
  );
  const paused = async () => {
    backpressure.observe();
    return sumOf(await registry.metrics(), 'teranode_p2p_node_paused_streams');
  };
  for (let count = 0; count < 100; count++) backpressure.enter('busy');
  for (let n = 0; n < 20; n++) {
    const source = `passer-by ${n}`;
    for (let count = 0; count < 10; count++) backpressure.enter(source);
    assert.equal(await paused(), 2);
    for (let count = 0; count < 10; count++) backpressure.leave(source);
    backpressure.closed(source);
  }
  assert.equal(await paused(), 1);
  assert.equal(backpressure.pending, 100);
});

/** `count` messages of one author, signed beforehand. */
async function signMany(count: number): Promise<RawMessage[]> {
  const key = await generateKeyPair('Ed25519');
  const messages: RawMessage[] = [];
  for (let index = 0; index < count; index++) {
    messages.push(await signMessage(key, BLOCK_TOPIC, `message ${index}`, BigInt(index + 1)));
  }
  return messages;
}

test('a flood of 20,000 messages is heard whole while what is pending stays bounded', async (context) => {
  const { node, heard, address, metric } = await createTestNode(context, {
    settings: { p2p_connection_messages_per_second: 1_000_000 },
  });
  const peer = await createPeer({ context, topics: [BLOCK_TOPIC] });
  // Not subscribed: it would verify the whole flood, in this process.
  const quiet = await createPeer({ context, localAddress: '127.0.0.2' });
  for (const each of [peer, quiet]) {
    await each.dial(address);
    await each.sees(node.peerId, BLOCK_TOPIC);
  }
  const flood = await signMany(20_000);
  const sending = (async () => {
    for (let at = 0; at < flood.length; at += 10) {
      peer.send(node.peerId, flood.slice(at, at + 10));
      await peer.drained(node.peerId);
      if (at % 500 === 0) await tick();
    }
  })();
  // Nothing is answered: what comes in comes to rest.
  let seen = -1;
  let quietLooks = 0;
  await waitFor(
    async () => {
      // Nothing heard is a flood that has come to rest only while its stream is paused.
      const paused = (await metric('teranode_p2p_node_paused_streams')) > 0;
      quietLooks = paused && seen === heard.length && seen > 500 ? quietLooks + 1 : 0;
      seen = heard.length;
      return quietLooks === 5;
    },
    { everyMs: 60, timeoutMs: 60_000, what: 'the flood to stop' },
  );
  assert.ok(heard.length < 3_000, `${heard.length} heard without a verdict`);
  assert.ok((await metric('teranode_p2p_node_stream_pauses_total')) > 0);
  assert.ok((await metric('teranode_p2p_node_pending_messages')) > 500);
  // Somebody else's block still comes through.
  const before = heard.length;
  await quiet.publish(BLOCK_TOPIC, 'block in time');
  await waitFor(() => heard.slice(before).some(({ author }) => author === quiet.id), {
    what: 'the quiet block',
  });
  let answered = 0;
  await waitFor(
    () => {
      for (const message of heard.slice(answered)) node.report(message.id, 'accept');
      answered = heard.length;
      return answered === flood.length + 1;
    },
    { timeoutMs: 60_000, everyMs: 5, what: 'the whole flood' },
  );
  await sending;
  assert.equal(new Set(heard.map(({ id }) => id)).size, flood.length + 1);
  assert.ok(node.pending.peak < 4_000, `${node.pending.peak} pending at the most`);
  assert.equal(node.pending.now, 0);
});

test('what exceeds a connection’s budget is dropped unverified', async (context) => {
  const { node, heard, address, metric } = await createTestNode(context, {
    settings: { p2p_connection_messages_per_second: 100 },
    verdict: 'accept',
  });
  const peer = await createPeer({ context, topics: [BLOCK_TOPIC] });
  await peer.dial(address);
  await peer.sees(node.peerId, BLOCK_TOPIC);
  const flood = await signMany(1_000);
  peer.send(node.peerId, flood);
  await waitFor(async () => (await metric('teranode_p2p_node_budget_dropped_total')) >= 800);
  await waitFor(() => heard.length > 0);
  assert.ok((await metric('teranode_p2p_node_signatures_total')) <= 200);
  assert.equal(node.peers()[0]?.messagesReceived, 1_000);
});

test('a flood of subscriptions and control costs the budget, beside messages too', async (context) => {
  const { node, address, metric } = await createTestNode(context, {
    settings: { p2p_connection_messages_per_second: 100 },
  });
  const peer = await createPeer({ context, topics: [BLOCK_TOPIC] });
  await peer.dial(address);
  await peer.sees(node.peerId, BLOCK_TOPIC);
  const { pubsub } = node.inspect().host!.services;
  let asked = 0;
  const handleIHave = (pubsub as any).handleIHave.bind(pubsub);
  (pubsub as any).handleIHave = (id: string, ihave: unknown) => {
    asked++;
    return handleIHave(id, ihave);
  };
  const { streamsOutbound } = peer.libp2p.services.pubsub as any;
  const [message] = await signMany(1);
  const messageIDs = Array.from({ length: 1000 }, () => Buffer.alloc(46));
  const control = {
    ihave: [{ topicID: BLOCK_TOPIC, messageIDs }],
    iwant: [],
    graft: [],
    prune: [],
    idontwant: [],
  };
  const dropped = () => metric('teranode_p2p_node_budget_dropped_total');
  const before = await dropped();
  const began = performance.now();
  for (let count = 0; count < 40; count++) {
    streamsOutbound
      .get(node.peerId)
      .push(RPC.encode({ subscriptions: [], messages: count % 2 === 0 ? [message!] : [], control }));
  }
  await waitFor(async () => asked + (await dropped()) - before >= 40, { what: 'all to have come' });
  // Three a second may be, of the seconds that the flood touched.
  const seconds = Math.ceil((performance.now() - began) / 1000) + 1;
  assert.ok(asked <= 3 * seconds, `${asked} of 40 were looked at in ${seconds} s`);
});

test('who opens a second stream has its first one reset: backpressure holds one of them', async (context) => {
  const { node, address } = await createTestNode(context);
  const peer = await createPeer({ context, topics: [BLOCK_TOPIC] });
  await peer.dial(address);
  await peer.sees(node.peerId, BLOCK_TOPIC);
  const [connection] = peer.libp2p.getConnections();
  const first = await waitFor(() => (peer.libp2p.services.pubsub as any).streamsOutbound.get(node.peerId));
  const second = await connection!.newStream('/meshsub/1.1.0');
  await waitFor(() => first.rawStream.status === 'reset', { what: 'the first stream to be reset' });
  assert.equal(second.status, 'open');
});

test('a peer that does not read what it is sent is let go', async (context) => {
  const { node, address, metric } = await createTestNode(context);
  const peer = await createPeer({ context, topics: [BLOCK_TOPIC] });
  await peer.dial(address);
  await peer.sees(node.peerId, BLOCK_TOPIC);
  const streams = (
    peer.libp2p.services.pubsub as unknown as { streamsInbound: Map<string, { rawStream: PausableStream }> }
  ).streamsInbound;
  const inbound = await waitFor(() => streams.get(node.peerId));
  inbound.rawStream.pause();
  const large = Buffer.alloc(1_000_000);
  await waitFor(
    async () => {
      await node.publish(BLOCK, large);
      return (await metric('teranode_p2p_node_stalled_peers_total')) === 1;
    },
    { what: 'the stalled peer to be let go', timeoutMs: 20_000 },
  );
  await waitFor(() => node.peers().length === 0);
});
