import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hashToBytes, parseHashHex } from '../../../src/shared/bitcoin/hash.js';
import { blocks, subtrees } from '../../../src/shared/messages/topics.js';
import { Announcers } from '../../../src/workers/publisher/announcers.js';
import { asPeer } from '../../support/branded.js';

const hash = (n: number) => {
  const hex = parseHashHex(n.toString(16).padStart(64, '0'));
  assert.ok(hex);
  return hex;
};
const announced = (topic: number, n: number, dataHubUrl = 'https://hub.example') => ({
  topic,
  hash: hashToBytes(hash(n)),
  dataHubUrl,
});

test('everybody who announced a hash is remembered once, the first first, each topic by itself', () => {
  const announcers = new Announcers();
  announcers.remember(announced(blocks.id, 1, 'https://a.example'), asPeer('a'));
  announcers.remember(announced(blocks.id, 1, 'https://b.example'), asPeer('b'));
  announcers.remember(announced(blocks.id, 1, 'https://a.example'), asPeer('a'));
  announcers.remember(announced(subtrees.id, 1), asPeer('c'));
  assert.deepEqual(announcers.of(blocks.id, hash(1)), [
    { peer: 'a', dataHubUrl: 'https://a.example' },
    { peer: 'b', dataHubUrl: 'https://b.example' },
  ]);
  assert.deepEqual(announcers.of(subtrees.id, hash(1)), [{ peer: 'c', dataHubUrl: 'https://hub.example' }]);
  assert.deepEqual(announcers.of(blocks.id, hash(2)), []);
  assert.equal(announcers.size, 3);
});

test('after ten minutes an announcer is forgotten', () => {
  const clock = { now: 0 };
  const announcers = new Announcers({ clock: () => clock.now });
  announcers.remember(announced(blocks.id, 1), asPeer('a'));
  clock.now = 599_000;
  assert.equal(announcers.of(blocks.id, hash(1)).length, 1);
  clock.now = 601_000;
  assert.equal(announcers.of(blocks.id, hash(1)).length, 0);
});

test('announcers are bounded in all and a hash: the least recently announced hash goes, and subtrees push out no block', () => {
  const announcers = new Announcers({ max: 100 });
  announcers.remember(announced(blocks.id, 1), asPeer('a'));
  for (let n = 0; n < 200; n++) announcers.remember(announced(subtrees.id, n), asPeer('a'));
  for (let n = 0; n < 200; n++) announcers.remember(announced(subtrees.id, 199), asPeer(`identity ${n}`));
  assert.equal(announcers.of(blocks.id, hash(1)).length, 1);
  assert.equal(announcers.of(subtrees.id, hash(0)).length, 0);
  assert.equal(announcers.of(subtrees.id, hash(199)).length, 64);
  assert.ok(announcers.size <= 101, `${announcers.size}`);
});

test('whether somebody was forgotten for want of room is known for ten minutes', () => {
  const clock = { now: 0 };
  const announcers = new Announcers({ max: 100, clock: () => clock.now });
  for (let n = 0; n < 100; n++) announcers.remember(announced(subtrees.id, n), asPeer('a'));
  assert.equal(announcers.isWhole(subtrees.id, hash(999)), true);
  // What is forgotten because its time is over is missed by nobody.
  clock.now = 601_000;
  for (let n = 100; n < 200; n++) announcers.remember(announced(subtrees.id, n), asPeer('a'));
  assert.equal(announcers.isWhole(subtrees.id, hash(999)), true);
  announcers.remember(announced(subtrees.id, 200), asPeer('a'));
  assert.equal(announcers.isWhole(subtrees.id, hash(999)), false);
  assert.equal(announcers.isWhole(blocks.id, hash(1)), true);
  clock.now += 601_000;
  assert.equal(announcers.isWhole(subtrees.id, hash(999)), true);
  for (let n = 0; n < 65; n++) announcers.remember(announced(blocks.id, 1), asPeer(`identity ${n}`));
  assert.equal(announcers.isWhole(blocks.id, hash(1)), false);
  assert.equal(
    announcers.isWhole(blocks.id, hash(2)),
    true,
    'one who crowds a hash excuses nobody of another',
  );
});

test('one peer with many data hubs does not take the places of others', () => {
  const announcers = new Announcers();
  for (let n = 0; n < 100; n++)
    announcers.remember(announced(subtrees.id, 1, `https://h${n}.example`), asPeer('a'));
  announcers.remember(announced(subtrees.id, 1), asPeer('b'));
  assert.deepEqual(
    announcers.of(subtrees.id, hash(1)).map(({ peer }) => peer),
    ['a', 'a', 'a', 'a', 'b'],
  );
  assert.equal(announcers.isWhole(subtrees.id, hash(1)), false);
});
