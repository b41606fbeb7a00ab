import assert from 'node:assert/strict';
import { test } from 'node:test';
import { validatePeerScoreParams, validatePeerScoreThresholds } from '@chainsafe/libp2p-gossipsub/score';
import { generateKeyPair } from '@libp2p/crypto/keys';
import {
  NO_SCORES,
  SCORE_THRESHOLDS,
  scoreParameters,
} from '../../../../src/main/node/gossip/score-parameters.js';
import { BLOCK_TOPIC, createTestNode } from '../../../support/node.js';
import { createPeer, signMessage } from '../../../support/peer.js';
import { waitFor } from '../../../support/wait.js';

const textOf = ({ data }: { data: Uint8Array }) => Buffer.from(data).toString();

test('a rejected message costs its author, who sent it, and not the relay that sent it too', async (context) => {
  const { node, heard, address } = await createTestNode(context);
  const author = await createPeer({ context, topics: [BLOCK_TOPIC] });
  const relay = await createPeer({ context, topics: [BLOCK_TOPIC], localAddress: '127.0.0.2' });
  for (const peer of [author, relay]) {
    await peer.dial(address);
    await peer.sees(node.peerId, BLOCK_TOPIC);
  }
  const scoreOf = (id: string) => node.peers().find((peer) => peer.id === id)?.score ?? Number.NaN;
  for (let count = 1; count <= 3; count++) {
    const bad = await author.sign(BLOCK_TOPIC, `bad ${count}`);
    author.send(node.peerId, [bad]);
    await waitFor(() => heard.length === count);
    // A copy from an honest relay, while the verdict is out and after it.
    relay.send(node.peerId, [bad]);
    await waitFor(() => node.peers().find(({ id }) => id === relay.id)?.messagesReceived === count * 2 - 1);
    node.report(heard[count - 1]!.id, 'reject');
    relay.send(node.peerId, [bad]);
    await waitFor(() => node.peers().find(({ id }) => id === relay.id)?.messagesReceived === count * 2);
  }
  await waitFor(() => scoreOf(author.id) < -150, { what: "the author's score to fall" });
  assert.ok(scoreOf(relay.id) >= 0, `the relay's score is ${scoreOf(relay.id)}`);
});

test('bad content that was only relayed costs nobody a score', async (context) => {
  const { node, heard, address } = await createTestNode(context, { verdict: 'reject' });
  const relay = await createPeer({ context, topics: [BLOCK_TOPIC] });
  const elsewhere = await createPeer({ context, listen: false });
  await relay.dial(address);
  await relay.sees(node.peerId, BLOCK_TOPIC);
  for (let count = 0; count < 30; count++) {
    relay.send(node.peerId, [await elsewhere.sign(BLOCK_TOPIC, `bad ${count}`)]);
  }
  await waitFor(() => heard.length === 30);
  relay.send(node.peerId, [await relay.sign(BLOCK_TOPIC, 'own')]);
  await waitFor(() => heard.length === 31);
  const [seen] = await waitFor(() => {
    const peers = node.peers();
    return peers[0] !== undefined && peers[0].score < 0 ? peers : undefined;
  });
  // One bad message of its own, none of the thirty.
  assert.ok(seen!.score > -25, `score ${seen!.score}`);
});

test('a forged copy that comes first does not silence the real message', async (context) => {
  const { node, heard, address, metric } = await createTestNode(context, { verdict: 'accept' });
  const author = await createPeer({ context, topics: [BLOCK_TOPIC] });
  const forger = await createPeer({ context, topics: [BLOCK_TOPIC], localAddress: '127.0.0.2' });
  for (const peer of [author, forger]) {
    await peer.dial(address);
    await peer.sees(node.peerId, BLOCK_TOPIC);
  }
  const real = await author.sign(BLOCK_TOPIC, 'real');
  const signature = Uint8Array.from(real.signature!);
  signature[0]! ^= 1;
  const forgeries = [
    { ...real, signature },
    { ...real, data: Buffer.from('fake') },
    { ...real, signature: real.signature!.subarray(1) },
    { ...real, from: (await forger.sign(BLOCK_TOPIC, 'x')).from! },
    { ...real, seqno: real.seqno!.subarray(1) },
    { topic: BLOCK_TOPIC, data: Buffer.from('unsigned') },
    { ...real, key: Buffer.from('not a key') },
  ];
  forger.send(node.peerId, forgeries);
  await waitFor(async () => (await metric('teranode_p2p_node_invalid_relayed_total')) >= 5);
  author.send(node.peerId, [real]);
  await waitFor(() => heard.length > 0);
  forger.send(node.peerId, forgeries);
  author.send(node.peerId, [real, await author.sign(BLOCK_TOPIC, 'more')]);
  await waitFor(() => heard.length > 1);
  assert.deepEqual(heard.map(textOf), ['real', 'more']);
  assert.ok((await metric('teranode_p2p_node_signatures_total', { result: 'forged' })) >= 2);
  assert.ok(node.peers().some(({ id, score }) => id === author.id && score >= 0));
});

test('what is no message to us but is to Go costs an honest relay nothing, and its author all the same', async (context) => {
  const { node, heard, address, metric } = await createTestNode(context, { verdict: 'accept' });
  const relay = await createPeer({ context, topics: [BLOCK_TOPIC] });
  const author = await createPeer({ context, topics: [BLOCK_TOPIC], localAddress: '127.0.0.2' });
  for (const peer of [relay, author]) {
    await peer.dial(address);
    await peer.sees(node.peerId, BLOCK_TOPIC);
  }
  const scoreOf = (id: string) => node.peers().find((peer) => peer.id === id)?.score ?? Number.NaN;
  // As if signed with an unknown field, or by a key of small order: Go takes it, the signature does not hold here.
  const odd = async (count: number) => ({
    ...(await author.sign(BLOCK_TOPIC, `odd ${count}`)),
    signature: Buffer.alloc(64, count),
  });
  // Go does not look at its length.
  const short = async () => ({ ...(await author.sign(BLOCK_TOPIC, 'short')), seqno: Buffer.alloc(7) });
  // An ECDSA author, as far as its name says.
  const other = async () => ({
    ...(await author.sign(BLOCK_TOPIC, 'other')),
    from: Buffer.from('1220'.padEnd(68, 'a'), 'hex'),
  });
  for (let count = 1; count <= 10; count++) {
    relay.send(node.peerId, [await odd(count), await short(), await other()]);
  }
  await waitFor(async () => (await metric('teranode_p2p_node_invalid_relayed_total')) === 30);
  assert.ok(scoreOf(relay.id) >= 0, `the relay's score is ${scoreOf(relay.id)}`);
  // Asked for by its id, it was delivered: no promise is broken.
  const { gossipTracer } = node.inspect().host!.services.pubsub as any;
  const asked = await short();
  gossipTracer.addPromise(relay.id, [Buffer.concat([asked.from!, asked.seqno])]);
  relay.send(node.peerId, [asked, await relay.sign(BLOCK_TOPIC, 'honest')]);
  await waitFor(() => heard.length === 1, { what: 'the relay to be heard' });
  assert.equal(
    [...gossipTracer.promises.values()].some((peers: Map<string, number>) => peers.has(relay.id)),
    false,
  );
  author.send(node.peerId, [await odd(11), await short()]);
  await waitFor(() => scoreOf(author.id) < -70, { what: "the author's score to fall" });
});

test('an author with another kind of key is not verified, as that is done on the main thread', async (context) => {
  const { node, heard, address, metric } = await createTestNode(context, { verdict: 'accept' });
  const relay = await createPeer({ context, topics: [BLOCK_TOPIC] });
  await relay.dial(address);
  await relay.sees(node.peerId, BLOCK_TOPIC);
  const key = await generateKeyPair('secp256k1');
  relay.send(node.peerId, [
    await signMessage(key, BLOCK_TOPIC, 'text', 1n),
    await relay.sign(BLOCK_TOPIC, 'own'),
  ]);
  await waitFor(() => heard.length === 1);
  assert.deepEqual(heard.map(textOf), ['own']);
  assert.equal(await metric('teranode_p2p_node_invalid_relayed_total'), 1);
});

test('a message without a verdict is given to nobody who asks for it', async (context) => {
  const { node, heard, address } = await createTestNode(context);
  const author = await createPeer({ context, topics: [BLOCK_TOPIC] });
  const asker = await createPeer({ context, topics: [BLOCK_TOPIC], localAddress: '127.0.0.2' });
  for (const peer of [author, asker]) {
    await peer.dial(address);
    await peer.sees(node.peerId, BLOCK_TOPIC);
  }
  await author.publish(BLOCK_TOPIC, 'unchecked');
  await waitFor(() => heard.length === 1);
  const { pubsub } = node.inspect().host!.services;
  const ask = () => pubsub.mcache.getWithIWantCount(heard[0]!.id, asker.id);
  assert.equal(ask(), null);
  node.report(heard[0]!.id, 'accept');
  assert.equal(Buffer.from(ask()?.msg.data ?? []).toString(), 'unchecked');
});

test('who keeps forging is graylisted, and what it says is not even verified', async (context) => {
  const { node, heard, address, metric } = await createTestNode(context, { verdict: 'accept' });
  const forger = await createPeer({ context, topics: [BLOCK_TOPIC] });
  await forger.dial(address);
  await forger.sees(node.peerId, BLOCK_TOPIC);
  const real = await forger.sign(BLOCK_TOPIC, 'real');
  const forgery = () => ({ ...real, signature: crypto.getRandomValues(new Uint8Array(64)) });
  // GossipSub believes a peer of good standing for its next 128 messages.
  await waitFor(
    () => {
      forger.send(node.peerId, Array.from({ length: 40 }, forgery));
      return (node.peers()[0]?.score ?? 0) < SCORE_THRESHOLDS.graylistThreshold;
    },
    { everyMs: 50 },
  );
  // A believed peer's next 128 messages are taken without a look at its score.
  await waitFor(
    async () => {
      const before = await metric('teranode_p2p_node_signatures_total');
      const received = node.peers()[0]!.messagesReceived;
      forger.send(node.peerId, [forgery()]);
      await waitFor(() => node.peers()[0]!.messagesReceived > received);
      return (await metric('teranode_p2p_node_signatures_total')) === before;
    },
    { everyMs: 20, what: 'its messages to be left unverified' },
  );
  assert.equal(heard.length, 0);
});

test('forgeries in its own name are told of a peer once they are too many for a mistake, and none of those it passes on', async (context) => {
  const { node, heard, address, metric } = await createTestNode(context, { verdict: 'accept' });
  const told: string[] = [];
  node.on('forged', (peerId) => told.push(peerId));
  const peer = await createPeer({ context, topics: [BLOCK_TOPIC] });
  const elsewhere = await createPeer({ context, listen: false });
  await peer.dial(address);
  await peer.sees(node.peerId, BLOCK_TOPIC);
  const forged = async (by: typeof peer, count: number) => ({
    ...(await by.sign(BLOCK_TOPIC, `forged ${count}`)),
    signature: Buffer.alloc(64, count),
  });
  const sends = async (by: typeof peer, count: number) => {
    for (let index = 0; index < count; index++) peer.send(node.peerId, [await forged(by, index)]);
  };
  await sends(elsewhere, 30);
  await waitFor(async () => (await metric('teranode_p2p_node_invalid_relayed_total')) === 30);
  await sends(peer, 10);
  peer.send(node.peerId, [await peer.sign(BLOCK_TOPIC, 'honest')]);
  await waitFor(() => heard.length === 1);
  assert.deepEqual(told, []);
  await sends(peer, 5);
  await waitFor(() => told.length === 5, { what: 'five forgeries too many' });
  assert.deepEqual([...new Set(told)], [peer.id]);
  assert.equal(await metric('teranode_p2p_node_forgeries_total'), 5);
});

test('the application score comes from the bans, except for loopback and allow-listed peers', async (context) => {
  const parameters = scoreParameters(
    {
      topics: [BLOCK_TOPIC],
      applicationScore: () => -50,
      isExempt: (address) => address === '10.1.2.3',
    },
    7,
  );
  assert.equal(parameters.IPColocationFactorThreshold, 7);
  validatePeerScoreParams(parameters);
  validatePeerScoreThresholds(SCORE_THRESHOLDS);
  assert.deepEqual(Object.keys(parameters.topics), [BLOCK_TOPIC]);
  assert.deepEqual(
    ['10.1.2.3', '10.1.2.4'].map((address) => parameters.IPColocationFactorWhitelist.has(address)),
    [true, false],
  );
  const { node, address } = await createTestNode(context, { bans: { applicationScore: () => -5000 } });
  const peer = await createPeer({ context, topics: [BLOCK_TOPIC] });
  await peer.dial(address);
  await peer.sees(node.peerId, BLOCK_TOPIC);
  await waitFor(() => node.peers()[0]?.agent);
  assert.ok(node.peers()[0]!.score >= 0);
});

test('with p2p_enable_peer_scoring off nothing that a peer does costs it its voice', async (context) => {
  validatePeerScoreParams(NO_SCORES);
  const { node, heard, address, metric } = await createTestNode(context, {
    verdict: 'accept',
    settings: { p2p_enable_peer_scoring: false, p2p_enable_peer_exchange: false },
    bans: { applicationScore: () => -50_000 },
  });
  const peer = await createPeer({ context, topics: [BLOCK_TOPIC] });
  await peer.dial(address);
  await peer.sees(node.peerId, BLOCK_TOPIC);
  const real = await peer.sign(BLOCK_TOPIC, 'real');
  const forgery = () => ({ ...real, signature: crypto.getRandomValues(new Uint8Array(64)) });
  peer.send(node.peerId, Array.from({ length: 30 }, forgery));
  await waitFor(
    async () => (await metric('teranode_p2p_node_signatures_total', { result: 'forged' })) === 30,
    {
      what: 'the forgeries',
      everyMs: 20,
    },
  );
  peer.send(node.peerId, [await peer.sign(BLOCK_TOPIC, 'honest')]);
  await waitFor(() => heard.length === 1, { what: 'the honest message' });
  assert.equal(node.peers()[0]?.score, 0);
});

test('an own message that comes back is not heard', async (context) => {
  const { node, heard, address, metric } = await createTestNode(context, { verdict: 'accept' });
  const peer = await createPeer({ context, topics: [BLOCK_TOPIC] });
  await peer.dial(address);
  await peer.sees(node.peerId, BLOCK_TOPIC);
  node.report('nonsense', 'accept');
  assert.equal(await metric('teranode_p2p_node_verdicts_unknown_total'), 1);
  assert.equal(heard.length, 0);
});
