import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RegistryCall } from '../../../../src/main/peers/service/calls.js';
import { PendingUpdates } from '../../../../src/main/peers/service/pending.js';
import { asPeer } from '../../../support/branded.js';

function pendingOf({ maxPeers = 10, maxCalls = 3, familiar = [] as readonly string[] } = {}) {
  const counted = { dropped: 0 };
  const pending = new PendingUpdates(
    {
      isFamiliar: (peer) => familiar.includes(peer),
      onDropped: () => {
        counted.dropped++;
      },
    },
    { maxPeers, maxCalls },
  );
  return { pending, counted };
}
const call = (reason: string): RegistryCall => ({
  method: 'addBanScore',
  request: { peer_id: 'a', reason, points: 1 },
});

test('what waits about a peer is one update, whatever is added to it', () => {
  const { pending } = pendingOf();
  for (let many = 0; many < 1000; many++) {
    const update = pending.of(asPeer('a'));
    assert.ok(update !== undefined);
    update.messageReceived = true;
    update.received += 2n;
  }
  assert.equal(pending.size, 1);
  const taken = [...pending.take()];
  assert.deepEqual(
    taken.map(([peer, { messageReceived: heard, told, received }]) => [peer, heard, told, received]),
    [['a', true, false, 2000n]],
  );
  assert.equal(pending.size, 0);
});

test('familiar peers are taken first, and what comes back meanwhile is for the next time', () => {
  const { pending } = pendingOf({ familiar: ['known 1', 'known 2'] });
  for (const peer of ['stranger 1', 'known 1', 'stranger 2', 'known 2']) pending.of(asPeer(peer));
  const taken: string[] = [];
  for (const [peer] of pending.take()) {
    taken.push(peer);
    pending.of(peer);
  }
  assert.deepEqual(taken, ['known 1', 'known 2', 'stranger 1', 'stranger 2']);
  assert.equal(pending.size, 4);
});

test('strangers crowd out each other at the most, and every loss is counted', () => {
  const { pending, counted } = pendingOf({
    maxPeers: 3,
    familiar: ['known 1', 'known 2', 'known 3', 'known 4'],
  });
  for (let many = 0; many < 50; many++) pending.of(asPeer(`stranger ${many}`));
  assert.deepEqual([pending.size, counted.dropped], [3, 47]);
  assert.equal(pending.of(asPeer('stranger 49')), undefined);
  assert.notEqual(pending.of(asPeer('stranger 0')), undefined);
  for (const peer of ['known 1', 'known 2', 'known 3']) assert.notEqual(pending.of(asPeer(peer)), undefined);
  assert.equal(pending.of(asPeer('known 4')), undefined);
  assert.deepEqual([pending.size, counted.dropped], [3, 52]);
  assert.deepEqual(
    [...pending.take()].map(([peer]) => peer),
    ['known 1', 'known 2', 'known 3'],
  );
});

test('the first calls of a peer are kept, in order', () => {
  const { pending, counted } = pendingOf({ maxCalls: 3 });
  pending.call(asPeer('a'), call('1'), call('2'));
  pending.call(asPeer('a'), call('3'), call('4'));
  const [[, update] = []] = pending.take();
  assert.deepEqual(
    update?.calls.map(({ request }) => 'reason' in request && request.reason),
    ['1', '2', '3'],
  );
  assert.equal(counted.dropped, 1);
});
