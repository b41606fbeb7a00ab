import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { scoreParameters } from '../../../../src/main/node/score-parameters.js';
import { retainScores, type ScoreInternals } from '../../../../src/main/node/seams/retained-scores.js';
import { BLOCK_TOPIC, createTestNode } from '../../../support/node.js';
import { createPeer } from '../../../support/peer.js';
import { waitFor } from '../../../support/wait.js';

const SCORES = join(dirname(fileURLToPath(import.meta.resolve('@chainsafe/libp2p-gossipsub'))), 'score');

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
    scoreParameters({ topics: ['t'], applicationScore: () => 0, isExempt: () => false }),
    null,
    { forComponent: () => log },
    { scoreCacheValidityMs: 1000 },
  ) as Score;
  retainScores(score, max === undefined ? {} : { max });
  return score;
}

test('what the seam leans on is as it was when it was made', () => {
  const text = readFileSync(join(SCORES, 'peer-score.js'), 'utf8');
  const digestOf = (start: string) => {
    const from = text.indexOf(start);
    assert.notEqual(from, -1, `${start} is gone`);
    const method = text.slice(from, text.indexOf('\n    }\n', from));
    return createHash('sha256').update(method).digest('hex').slice(0, 16);
  };
  // When one differs: read what has changed, see whether the seam is still needed and holds, and only then write the new digest.
  assert.deepEqual(
    [
      '\n    addPeer(',
      '\n    removePeer(',
      '\n    removeIPsForPeer(',
      '\n    refreshScores(',
      '\n    score(',
    ].map(digestOf),
    ['48ee55f1266c6a23', '5d1e6452e5a25d53', '4bfe8bdfa7e1cec9', '86d56f7e64b51d03', 'd28d28e3f9a01f46'],
  );
});

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
  forger.send(node.peerId, Array.from({ length: 9 }, forgery));
  await waitFor(() => score() < -1500, { what: 'its score to fall' });
  await node.disconnect(forger.id);
  await waitFor(() => forger.libp2p.getPeers().length === 0, { what: 'it to be gone' });
  await meet();
  await waitFor(() => node.peers().length > 0);
  assert.ok(score() < -1500, `its score is ${score()}`);
});
