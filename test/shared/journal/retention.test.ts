/** What is kept, how long, and for whom. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { JournalOptions } from '../../../src/shared/journal/options.js';
import { TestJournal } from '../../support/journal.js';
import { MemoryFiles } from '../../support/memory-files.js';

const DIRECTORY = '/journal';
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const START = 1_700_000_000_000;

/** A clock that may be set, and one that may not. */
class TestClocks {
  #wall = START;
  #monotonic = 5000;
  readonly wall = () => this.#wall;
  readonly monotonic = () => this.#monotonic;

  pass(ms: number): void {
    this.#wall += ms;
    this.#monotonic += ms;
  }

  set(ms: number): void {
    this.#wall += ms;
  }
}

function started(options: Partial<JournalOptions> = {}, files = new MemoryFiles()) {
  const clocks = new TestClocks();
  const kept = { retentionMs: DAY, retentionBytes: 2 ** 31, repeats: { windowMs: 600_000, max: 500_000 } };
  const all = { segmentMs: HOUR, clocks, files, ...kept, ...options };
  const open = (changes: Partial<JournalOptions> = {}) => new TestJournal(DIRECTORY, { ...all, ...changes });
  return { test: open(), open, clocks, files };
}

/** An entry each half hour. */
function live(test: TestJournal, clocks: TestClocks, hours: number): void {
  for (let n = 0; n < 2 * hours; n++) {
    clocks.pass(HOUR / 2);
    test.append(['x']);
  }
}

const hoursKept = (test: TestJournal): number => (test.journal.end - test.journal.oldest.position) / 2;

describe('segments', () => {
  it('are as old and as large as is said, and no batch is torn for it', () => {
    const { test, clocks, files } = started({ segmentBytes: 1000 });
    const segments = () => files.names.filter((name) => name.endsWith('.journal')).length;
    live(test, clocks, 5);
    assert.ok(segments() >= 5 && segments() <= 6, `${segments()}`);
    for (let n = 0; n < 20; n++) test.append(['y']);
    assert.ok(segments() >= 9, `${segments()}`);
    const before = segments();
    test.append(['large'], { padding: 5000 });
    test.append(['z']);
    assert.equal(segments(), before + 2);
    for (const name of files.names.filter((each) => each.endsWith('.journal'))) {
      assert.ok(files.contentOf(name).length <= 1000 || files.contentOf(name).length > 5000, name);
    }
  });

  it('go when they are older than is kept', () => {
    const { test, clocks } = started();
    live(test, clocks, 60);
    assert.ok(hoursKept(test) >= 24 && hoursKept(test) <= 26, `${hoursKept(test)}`);
    assert.deepEqual(test.read().gaps, [{ from: 0, to: test.journal.oldest.position }]);
  });

  it('go when they are more than is kept', () => {
    const { test, clocks } = started({ segmentBytes: 2000, retentionBytes: 20_000 });
    for (let n = 0; n < 500; n++) {
      clocks.pass(10_000);
      test.append(['x']);
    }
    assert.ok(test.journal.bytes > 17_000 && test.journal.bytes <= 22_000, `${test.journal.bytes}`);
  });

  it('stay while a cursor needs them, until it needs them no more or has them kept elsewhere', () => {
    const { test, clocks } = started({ segmentBytes: 2000, retentionBytes: 20_000 });
    let pin = 5;
    const asked: number[] = [];
    test.journal.pins = () => pin;
    test.journal.release = (to) => {
      asked.push(to);
      return false;
    };
    live(test, clocks, 100);
    assert.ok(test.journal.oldest.position <= 5);
    assert.ok(asked.length > 0 && asked.every((to) => to > 5), `${asked}`);
    // Age alone asks nobody.
    const before = asked.length;
    const old = started();
    old.test.journal.pins = () => 5;
    old.test.journal.release = () => assert.fail('asked');
    live(old.test, old.clocks, 60);
    assert.ok(old.test.journal.oldest.position <= 5);
    assert.equal(asked.length, before);
    test.journal.release = () => true;
    live(test, clocks, 2);
    assert.ok(test.journal.bytes <= 22_000);
    pin = Number.POSITIVE_INFINITY;
    live(old.test, old.clocks, 60);
    old.test.journal.pins = () => pin;
    live(old.test, old.clocks, 2);
    assert.ok(hoursKept(old.test) <= 26);
  });

  it('stay while the newest repeats of ten minutes are in them, a restart included', () => {
    const repeats = { windowMs: 600_000, max: 50 };
    const { test, open, clocks } = started({ segmentBytes: 2000, retentionBytes: 4000, repeats });
    const remembered = () => open().opened.repeats.length;
    for (let n = 0; n < 200; n++) test.append([`${n}`], { receivedAt: clocks.wall() });
    assert.ok(test.journal.end - test.journal.oldest.position >= 50);
    assert.equal(remembered(), 50);
    const again = open();
    for (let n = 0; n < 20; n++) again.append([`${n}`], { receivedAt: clocks.wall() });
    assert.equal(remembered(), 50);
    clocks.pass(600_001);
    again.append(['later']);
    again.journal.retain();
    assert.ok(again.journal.bytes <= 6000, `${again.journal.bytes}`);
    assert.equal(remembered(), 0);
  });
});

describe('time in a journal', () => {
  it('never goes back, whatever becomes of the clock', () => {
    const { test, clocks, files } = started({ segmentBytes: 600 });
    clocks.set(5 * HOUR);
    test.append(['a']);
    clocks.set(-10 * HOUR);
    for (let n = 0; n < 6; n++) test.append(['b']);
    clocks.pass(20 * HOUR);
    test.append(['c']);
    const times = files.names
      .filter((name) => name.endsWith('.journal'))
      .sort()
      .map((name) => files.contentOf(name).readDoubleLE(40));
    assert.ok(times.length > 2);
    assert.deepEqual(
      times,
      [...times].sort((a, b) => a - b),
    );
  });

  it('that jumps by days makes nothing old until the process has run that long', () => {
    const { test, open, clocks } = started();
    live(test, clocks, 20);
    clocks.set(3 * DAY);
    live(test, clocks, 2);
    clocks.set(-3 * DAY);
    live(test, clocks, 1);
    assert.equal(test.journal.oldest.position, 0);
    clocks.set(3 * DAY);
    live(test, clocks, 3 * 24 + 26);
    assert.ok(hoursKept(test) <= 26, `${hoursKept(test)}`);
    // A long time without a server is no different.
    test.journal.close();
    const kept = test.journal.oldest.position;
    clocks.pass(10 * DAY);
    const after = open();
    after.journal.retain();
    assert.equal(after.journal.oldest.position, kept);
    live(after, clocks, 11 * 24);
    assert.ok(hoursKept(after) <= 26, `${hoursKept(after)}`);
  });

  it('that jumps keeps the repeats of this run', () => {
    const repeats = { windowMs: 600_000, max: 1000 };
    const { test, clocks } = started({ segmentBytes: 1000, retentionBytes: 2000, repeats });
    for (let n = 0; n < 30; n++) test.append([`${n}`]);
    clocks.set(2 * DAY);
    for (let n = 30; n < 60; n++) test.append([`${n}`]);
    assert.equal(test.journal.oldest.position, 0);
  });
});
