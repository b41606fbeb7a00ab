import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AuthorStanding } from '../../../src/shared/pipeline/standing.js';
import { Admission } from '../../../src/workers/publisher/admission.js';
import { Recent } from '../../../src/workers/publisher/recent.js';
import { announcement } from '../../support/publisher.js';

const MINUTE = 60_000;

test('a repeat is one for ten minutes', () => {
  const admission = new Admission({ maxAnnouncersPerHash: 0, maxAcquaintancesPerHash: 5 });
  const message = announcement('a');
  assert.equal(admission.check(message, 0), 'ok');
  admission.remember(message, 0);
  assert.equal(admission.check(message, 10 * MINUTE - 1), 'repeat');
  assert.equal(admission.check(message, 10 * MINUTE), 'ok');
});

test('more than fifty repeats of a hash by one peer in two minutes are spam', () => {
  const admission = new Admission({ maxAnnouncersPerHash: 0, maxAcquaintancesPerHash: 5 });
  const message = announcement('a');
  admission.remember(message, 0);
  admission.remember(announcement('a', { author: 'other' }), 0);
  for (let i = 0; i < 50; i++) assert.equal(admission.check(message, i), 'repeat');
  assert.equal(admission.check(message, 51), 'spam');
  assert.equal(admission.check(announcement('a', { author: 'other' }), 51), 'repeat');
  assert.equal(admission.check(message, 2 * MINUTE), 'repeat');
});

test('so many strangers of one hash are passed on in fifteen seconds', () => {
  const admission = new Admission({ maxAnnouncersPerHash: 3, maxAcquaintancesPerHash: 5 });
  for (const author of ['a', 'b', 'c']) {
    assert.equal(admission.check(announcement('x', { author }), 0), 'ok');
    admission.remember(announcement('x', { author }), 0);
  }
  const fourth = announcement('x', { author: 'd' });
  assert.equal(admission.check(fourth, 14_999), 'too_many_announcers');
  assert.equal(admission.check(announcement('y', { author: 'd' }), 0), 'ok');
  assert.equal(admission.check(fourth, 15_000), 'ok');
});

test('whoever is no stranger has places that strangers cannot take, and not without bound', () => {
  const admission = new Admission({ maxAnnouncersPerHash: 3, maxAcquaintancesPerHash: 5 });
  const told = (author: string, standing: AuthorStanding, proven = false) => {
    const message = announcement('x', { author, standing, proven });
    const outcome = admission.check(message, 0);
    if (outcome === 'ok') admission.remember(message, 0);
    return outcome;
  };
  const crowd = (standing: AuthorStanding, proven = false) =>
    Array.from({ length: 10 }, (_, n) => told(`${standing} ${proven} ${n}`, standing, proven)).filter(
      (outcome) => outcome === 'ok',
    ).length;
  assert.equal(crowd('stranger'), 3);
  assert.equal(crowd('connected'), 5, 'strangers took nothing of the connected');
  assert.equal(crowd('reputed'), 5, 'nor whoever is connected of the reputed');
  assert.equal(crowd('configured'), 5, 'nor they of the configured');
  assert.equal(told('another', 'stranger'), 'too_many_announcers', 'nor anybody of the strangers');
  assert.equal(crowd('stranger', true), 3, 'a stranger who proves the work has a place of its own');
});

test('what could not be stored may come again', () => {
  const admission = new Admission({ maxAnnouncersPerHash: 1, maxAcquaintancesPerHash: 5 });
  const message = announcement('a');
  admission.remember(message, 0);
  admission.forget(message, 0);
  assert.equal(admission.check(message, 1), 'ok');
  assert.equal(admission.check(announcement('a', { author: 'other' }), 1), 'ok');
});

test('what is remembered is bounded, and the newest half always is', () => {
  const recent = new Recent<number>({ windowMs: 1000, max: 100 });
  for (let i = 0; i < 1000; i++) {
    recent.set(`key ${i}`, i, 0);
    assert.ok(recent.size <= 100);
  }
  for (let i = 950; i < 1000; i++) assert.equal(recent.get(`key ${i}`, 0), i);
  assert.equal(recent.get('key 0', 0), undefined);
});
