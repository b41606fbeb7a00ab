import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NO_RECORD } from '../../../src/main/peers/peer-records.js';
import type { RegisteredPeer } from '../../../src/main/peers/registered-peers.js';
import { type Selection, syncCandidates } from '../../../src/main/sync/candidates.js';

const SELECTION: Selection = {
  ownHeight: 100,
  allowPruned: true,
  heardSince: 0,
  isResting: () => false,
  isInvalid: () => false,
};

const peer = (
  id: string,
  { reputation = 50, ...changes }: Partial<RegisteredPeer> & { reputation?: number } = {},
): RegisteredPeer => ({
  id,
  known: {
    id,
    height: 200,
    startingHeight: 0,
    bestBlock: '',
    url: 'https://hub.example.org',
    name: '',
    storage: 'full',
    chainWork: '',
    lastHeard: 1,
    lastBlock: 0,
    connectedAt: 0,
    bytesReceived: 0n,
  },
  record: { ...NO_RECORD, reputation },
  connection: undefined,
  banScore: 0,
  banned: false,
  height: 200,
  blockHash: 'ab'.repeat(32),
  storage: 'full',
  bytesReceived: 0n,
  ...changes,
});

const orderOf = (peers: readonly RegisteredPeer[]) => syncCandidates(peers, SELECTION).map(({ id }) => id);

describe('whom to catch up from', () => {
  it('full storage, then the lowest ban score, then the highest, then the best reputation', () => {
    const peers = [
      peer('pruned', { storage: 'pruned', height: 900, reputation: 100 }),
      peer('unknown', { storage: '', banScore: 1, height: 900 }),
      peer('scored', { banScore: 10, height: 900, reputation: 100 }),
      peer('low', { height: 150, reputation: 100 }),
      peer('high'),
      peer('high and good', { reputation: 60 }),
    ];
    const order = ['high and good', 'high', 'low', 'scored', 'pruned', 'unknown'];
    assert.deepEqual(orderOf(peers), order);
    assert.deepEqual(orderOf(peers.toReversed()), order);
  });

  it('equals are drawn: no identity is worth making to order', () => {
    const peers = Array.from({ length: 4 }, (_, n) => peer(String(n)));
    const first = new Set(Array.from({ length: 300 }, () => orderOf(peers)[0]));
    assert.equal(first.size, 4);
  });
});
