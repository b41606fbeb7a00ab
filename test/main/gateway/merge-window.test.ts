/** What several nodes wrote of one announcement is shown once, whoever looks. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MergeWindow } from '../../../src/main/gateway/merge-window.js';
import { randomNumbers } from '../../support/random.js';

const WINDOW = 60_000;

test('the same within a window of the one before is a repeat, at its end and not after', () => {
  const window = new MergeWindow({ windowMs: WINDOW });
  const at = 1_700_000_000_000;
  assert.equal(window.isRepeat('a', at), false);
  assert.equal(window.isRepeat('b', at), false);
  assert.equal(window.isRepeat('a', at + WINDOW), true);
  assert.equal(window.isRepeat('b', at + WINDOW + 1), false);
  // The one before counts, shown or not.
  assert.equal(window.isRepeat('a', at + 2 * WINDOW), true);
  // Whoever writes may have another clock.
  assert.equal(window.isRepeat('b', at + 1), true);
});

test('a record of another time altogether has nothing forgotten', () => {
  const at = 1_700_000_000_000;
  for (const other of [0, at - 86_400_000, at + 86_400_000]) {
    const window = new MergeWindow({ windowMs: WINDOW });
    for (const key of ['a', 'b', 'c']) window.isRepeat(key, at);
    window.isRepeat('wrong', other);
    assert.deepEqual(
      ['a', 'b', 'c'].map((key) => window.isRepeat(key, at + 1000)),
      [true, true, true],
      `${other}`,
    );
  }
});

test('without a window nothing is a repeat', () => {
  const window = new MergeWindow({ windowMs: 0 });
  assert.deepEqual([window.isRepeat('a', 1), window.isRepeat('a', 1)], [false, false]);
});

test('announcements remembered are bounded: the older half goes', () => {
  const window = new MergeWindow({ windowMs: WINDOW, max: 1000 });
  for (let n = 0; n < 10_000; n++) window.isRepeat(`announcement ${n}`, 1_700_000_000_000);
  assert.ok(window.size <= 1000, `${window.size}`);
  assert.equal(window.isRepeat('announcement 9999', 1_700_000_000_000), true);
});

test('whoever has read a while before decides as who read from the beginning', () => {
  for (let seed = 1; seed <= 50; seed++) {
    const random = randomNumbers(seed);
    // Two writers whose clocks differ, and a few announcements that come again and again.
    const records: { readonly key: string; readonly at: number }[] = [];
    for (let n = 0, time = 1_700_000_000_000; n < 2000; n++) {
      time += random() * 2000;
      const skew = random() < 0.5 ? 0 : -WINDOW / 3;
      records.push({ key: `key ${Math.floor(random() * 40)}`, at: Math.floor(time + skew) });
    }
    const whole = new MergeWindow({ windowMs: WINDOW });
    const decided = records.map(({ key, at }) => whole.isRepeat(key, at));
    assert.ok(decided.includes(true) && decided.includes(false));
    const from = Math.floor(random() * 1000) + 500;
    const since = records[from]?.at ?? 0;
    const begin = records.findIndex(({ at }) => at >= since - whole.lookBackMs);
    const late = new MergeWindow({ windowMs: WINDOW });
    const again = records.slice(begin).map(({ key, at }) => late.isRepeat(key, at));
    assert.deepEqual(again.slice(from - begin), decided.slice(from), `seed ${seed}`);
  }
});
