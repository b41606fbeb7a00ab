import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { scoreParameters } from '../../../../src/main/node/gossip/score-parameters.js';
import { retainScores, type ScoreInternals } from '../../../../src/main/node/patches/retained-scores.js';
import { libraryFolder } from '../../../support/library-source.js';
import { BLOCK_TOPIC, createTestNode } from '../../../support/node.js';
import { createPeer } from '../../../support/peer.js';
import { waitFor } from '../../../support/wait.js';

const SCORES = join(libraryFolder('@chainsafe/libp2p-gossipsub'), 'score');

interface Score extends ScoreInternals {
  addIP(id: string, address: string): void;
  addPenalty(id: string, penalty: number, label: string): void;
  score(id: string): number;
  refreshScores(): void;
}

async function createScore(max?: number): Promise<Score> {
  const { PeerScore } = await import(join(SCORES, 'peer-score.js'));
  const log = Object.assign(() => {}, { error() {}, trace() {} });
  const score = new PeerScore(
    scoreParameters({ topics: ['t'], applicationScore: () => 0, isExempt: () => false }, 10),
    null,
    { forComponent: () => log },
    { scoreCacheValidityMs: 1000 },
  ) as Score;
  retainScores(score, max === undefined ? {} : { max });
  return score;
}

test('a forger comes back to the score that it left with, and its former addresses are forgotten', async () => {
  const score = await createScore();
  score.addPeer('forger');
  score.addIP('forger', '2001:db8::1');
  assert.equal(score.score('forger'), 0);
  for (let count = 0; count < 25; count++) score.rejectInvalidMessage('forger', 't');
  score.removePeer('forger');
  assert.equal(score.peerIPs.size, 0, 'gone, it is nobody’s neighbour');
  for (let count = 2; count < 1000; count++) {
    score.addPeer('forger');
    score.addIP('forger', `2001:db8::${count.toString(16)}`);
    assert.equal(score.score('forger'), -12_500);
    assert.equal(score.peerIPs.size, 1);
    score.removePeer('forger');
  }
  const stats = score.peerStats.get('forger');
  assert.ok(stats !== undefined && stats.expire > Date.now());
  stats.expire = 1;
  score.refreshScores();
  assert.deepEqual([score.peerStats.size, score.scoreCache.size, score.peerIPs.size], [0, 0, 0]);
  score.addPeer('forger');
  assert.equal(score.score('forger'), 0);
});

test('who did nothing wrong leaves nothing, and of the others the last to leave are remembered', async () => {
  const score = await createScore(10);
  for (let count = 0; count < 50; count++) {
    score.addPeer(`honest ${count}`);
    score.addIP(`honest ${count}`, '192.0.2.1');
    score.score(`honest ${count}`);
    score.removePeer(`honest ${count}`);
  }
  assert.deepEqual([score.peerStats.size, score.scoreCache.size, score.peerIPs.size], [0, 0, 0]);
  const come = (id: string) => {
    score.addPeer(id);
    score.addIP(id, '192.0.2.1');
  };
  come('stays');
  for (let count = 0; count < 50; count++) {
    come(`bad ${count}`);
    if (count % 2 === 0) score.rejectInvalidMessage(`bad ${count}`, 't');
    else score.addPenalty(`bad ${count}`, 10, 'broken_promise');
    score.removePeer(`bad ${count}`);
  }
  assert.deepEqual([...score.peerStats.keys()].sort(), [
    ...Array.from({ length: 10 }, (_, index) => `bad ${40 + index}`),
    'stays',
  ]);
  assert.ok(score.scoreCache.size <= 11);
  // Back again, it is no longer one of those that left.
  come('bad 40');
  for (let count = 50; count < 60; count++) {
    come(`bad ${count}`);
    score.rejectInvalidMessage(`bad ${count}`, 't');
    score.removePeer(`bad ${count}`);
  }
  assert.equal(score.score('bad 40'), -20);
});

test('on the mesh, a forger that reconnects is still what it was', async (context) => {
  const { node, address } = await createTestNode(context, { verdict: 'accept' });
  const forger = await createPeer({ context, topics: [BLOCK_TOPIC] });
  const meet = async () => {
    await forger.dial(address);
    await forger.sees(node.peerId, BLOCK_TOPIC);
  };
  const score = () => node.peers().find(({ id }) => id === forger.id)?.score ?? 0;
  await meet();
  const real = await forger.sign(BLOCK_TOPIC, 'real');
  const forgery = () => ({ ...real, signature: crypto.getRandomValues(new Uint8Array(64)) });
  forger.send(node.peerId, Array.from({ length: 12 }, forgery));
  await waitFor(() => score() < -2400, { what: 'its score to fall' });
  await node.disconnect(forger.id);
  await waitFor(() => forger.libp2p.getPeers().length === 0, { what: 'it to be gone' });
  await meet();
  await waitFor(() => node.peers().length > 0);
  assert.ok(score() < -1500, `its score is ${score()}`);
});
