import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { Verification } from '../../../../src/main/node/gossip/verification.js';
import { createNodeMetrics } from '../../../../src/main/node/metrics/node-metrics.js';
import type { IncomingMessage, Judgement, MessageChecks } from '../../../../src/main/node/types.js';
import type { PeerIdText } from '../../../../src/shared/net/peer-id.js';
import { asPeer } from '../../../support/branded.js';
import { BLOCK, BLOCK_TOPIC, createTestNode, VERIFYING } from '../../../support/node.js';
import { createPeer } from '../../../support/peer.js';
import { createSigner } from '../../../support/signed.js';
import { waitFor } from '../../../support/wait.js';

const HOLDS: Judgement = { signature: 'holds', where: 'thread' };
const SHED: Judgement = { signature: 'shed', where: 'main' };

/** Checks that a test answers by itself. */
function heldChecks() {
  const asked: { message: IncomingMessage; answer: (judgement: Judgement) => void; copies: string[] }[] = [];
  const checks: MessageChecks = {
    check(message) {
      const copies: string[] = [];
      const judgement = new Promise<Judgement>((answer) => asked.push({ message, answer, copies }));
      return { judgement, copyFrom: (source) => copies.push(source) };
    },
  };
  const metrics = createNodeMetrics(new Registry());
  const verification = new Verification({ checks, metrics });
  const count = async (labels: Record<string, string>) =>
    (await metrics.signatures.get()).values.find((value) =>
      Object.entries(labels).every(([label, text]) => value.labels[label as 'result' | 'where'] === text),
    )?.value;
  return { asked, verification, count };
}

const author = createSigner();
const from = (source: PeerIdText) => author.sign(BLOCK, 'text', source);

test('copies of a message on its way are not handed over, and whoever sent one is told of', async () => {
  const { asked, verification, count } = heldChecks();
  const all = ['a', 'b', 'c'].map((source) => verification.judge('same', from(asPeer(source))));
  const other = verification.judge('another', from(asPeer('a')));
  assert.deepEqual(
    asked.map(({ message, copies }) => [message.source, copies]),
    [
      ['a', ['b', 'c']],
      ['a', []],
    ],
  );
  assert.equal(verification.pending, 2);
  for (const { answer } of asked) answer(HOLDS);
  assert.deepEqual(await Promise.all([...all, other]), [HOLDS, HOLDS, HOLDS, HOLDS]);
  assert.equal(verification.pending, 0);
  assert.equal(await count({ result: 'holds', where: 'thread' }), 2);
});

test('judgements are told in the order in which they are given, also where copies of a later message wait', async () => {
  const { asked, verification } = heldChecks();
  const told: string[] = [];
  const judged = [
    ['first', 'a'],
    ['second', 'a'],
    ['second', 'b'],
    ['third', 'a'],
  ].map(async ([name = '', source = '']) => {
    await verification.judge(name, from(asPeer(source)));
    told.push(name);
  });
  for (const { answer } of asked) answer(HOLDS);
  await Promise.all(judged);
  assert.deepEqual(told, ['first', 'second', 'second', 'third']);
});

test('of a message that was shed each other source’s copy has its own chance, once', async () => {
  const { asked, verification } = heldChecks();
  const all = ['flood', 'b', 'c'].map((source) => verification.judge('same', from(asPeer(source))));
  asked[0]!.answer(SHED);
  assert.equal(await all[0], SHED);
  await waitFor(() => asked.length === 2);
  assert.deepEqual([asked[1]!.message.source, asked[1]!.copies], ['b', ['c']]);
  asked[1]!.answer(SHED);
  assert.equal(await all[1], SHED);
  await waitFor(() => asked.length === 3);
  asked[2]!.answer(HOLDS);
  assert.equal(await all[2], HOLDS);
  assert.equal(asked.length, 3);
});

test('a message that killed its checker is not handed over again, another of its author is', async () => {
  const { asked, verification, count } = heldChecks();
  const first = verification.judge('poison', from(asPeer('a')));
  const poisonous: Judgement = { signature: 'poisonous', where: 'thread' };
  asked[0]!.answer(poisonous);
  assert.equal(await first, poisonous);
  assert.equal(await verification.judge('poison', from(asPeer('b'))), poisonous);
  verification.judge('food', from(asPeer('b'))).catch(() => {});
  assert.equal(asked.length, 2);
  assert.equal(await count({ result: 'holds' }), 0);
});

for (const signature of ['refused', 'shed', 'poisonous'] as const) {
  test(`a message that is ${signature} before anybody looked at it is in no cache, keeps its promise and scores nobody`, async (context) => {
    let refused = 0;
    const checks: MessageChecks = {
      check(message) {
        if (Buffer.from(message.data).toString() !== 'not now' || refused > 0)
          return VERIFYING.check(message);
        refused++;
        return { judgement: Promise.resolve({ signature, where: 'main' }), copyFrom: () => {} };
      },
    };
    const { node, heard, address, metric } = await createTestNode(context, { verdict: 'accept', checks });
    const told: string[] = [];
    node.on('forged', (peer) => told.push(peer));
    const relay = await createPeer({ context, topics: [BLOCK_TOPIC] });
    const writer = await createPeer({ context, topics: [BLOCK_TOPIC], localAddress: '127.0.0.2' });
    for (const peer of [relay, writer]) {
      await peer.dial(address);
      await peer.sees(node.peerId, BLOCK_TOPIC);
    }
    const message = await writer.sign(BLOCK_TOPIC, 'not now');
    const id = Buffer.concat([message.from!, message.seqno!]);
    const pubsub = node.inspect().host!.services.pubsub as any;
    pubsub.gossipTracer.addPromise(relay.id, [id]);
    relay.send(node.peerId, [message]);
    await waitFor(() => refused === 1 && node.pending.now === 0, { what: 'the message to be dropped' });
    assert.equal(heard.length, 0);
    assert.equal(pubsub.seenCache.has(id.toString('latin1')), false);
    const promises = [...pubsub.gossipTracer.promises.values()] as Map<string, number>[];
    assert.equal(
      promises.some((peers) => peers.has(relay.id)),
      false,
      'what was asked for has come',
    );
    assert.equal(await metric('teranode_p2p_node_invalid_relayed_total'), 0);
    assert.equal(await metric('teranode_p2p_node_signatures_total'), 0);
    assert.deepEqual(told, []);
    assert.ok(node.peers().every(({ score }) => score >= 0));
    // The same bytes from its author: heard, unless they are what kills.
    writer.send(node.peerId, [message, await writer.sign(BLOCK_TOPIC, 'next')]);
    const texts = () => heard.map(({ data }) => Buffer.from(data).toString());
    await waitFor(() => texts().includes('next'));
    assert.deepEqual(texts(), signature === 'poisonous' ? ['next'] : ['not now', 'next']);
  });
}
