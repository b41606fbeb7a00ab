import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { JournalFailingError } from '../../../src/shared/journal/errors.js';
import { JournalReader } from '../../../src/shared/journal/reader.js';
import { journalDirectory, nameOf, sampleEntry, segmentFiles, TestJournal } from '../../support/journal.js';

describe('a journal', () => {
  it('gives each entry a position and each frame a number, and gives them back as they were', (context) => {
    const test = new TestJournal(journalDirectory(context));
    assert.deepEqual(test.journal.oldest, { position: 0, seq: 0 });
    assert.deepEqual(test.append(['a', 'b']), { firstPosition: 0, firstSeq: 0, alreadyStored: false });
    assert.deepEqual(test.append(['c'], { parts: 'r' }), {
      firstPosition: 2,
      firstSeq: 2,
      alreadyStored: false,
    });
    assert.deepEqual(test.append(['d']), { firstPosition: 3, firstSeq: 2, alreadyStored: false });
    assert.deepEqual([test.journal.end, test.journal.nextSeq], [4, 3]);
    const { entries, gaps, epochs } = test.read();
    assert.deepEqual(
      entries.map(({ position, seq, bytes }) => [position, seq, nameOf(bytes)]),
      [
        [0, 0, 'a'],
        [1, 1, 'b'],
        [2, 2, 'c'],
        [3, 2, 'd'],
      ],
    );
    assert.deepEqual(entries[0]?.bytes, sampleEntry('a'));
    assert.deepEqual(gaps, []);
    assert.deepEqual(new Set(epochs), new Set([test.journal.epoch]));
    assert.deepEqual(test.names(3), ['d']);
  });

  it('goes on in the same epoch after a close and after a death', (context) => {
    const directory = journalDirectory(context);
    const first = new TestJournal(directory);
    first.append(['a', 'b']);
    first.journal.close();
    const second = new TestJournal(directory);
    assert.equal(second.journal.epoch, first.journal.epoch);
    assert.equal(second.opened.newEpoch, undefined);
    assert.equal(second.append(['c']).firstPosition, 2);
    const third = new TestJournal(directory);
    assert.equal(third.journal.epoch, first.journal.epoch);
    assert.equal(third.append(['d']).firstSeq, 3);
    assert.deepEqual(third.names(), ['a', 'b', 'c', 'd']);
    assert.equal(segmentFiles(directory).length, 1);
  });

  it('answers a batch that it has, after a death too, and stores it once', (context) => {
    const directory = journalDirectory(context);
    const first = new TestJournal(directory);
    first.append(['a']);
    first.append(['b', 'c'], {}, 1e15);
    const second = new TestJournal(directory);
    assert.deepEqual(second.journal.find(1e15), { firstPosition: 1, firstSeq: 1, count: 2 });
    assert.equal(second.journal.find(1e15 + 1), undefined);
    assert.deepEqual(second.append(['b', 'c'], {}, 1e15), {
      firstPosition: 1,
      firstSeq: 1,
      alreadyStored: true,
    });
    assert.deepEqual(second.names(), ['a', 'b', 'c']);
  });

  it('knows the batches before the newest segment too: several are under way at a time', (context) => {
    const directory = journalDirectory(context);
    const options = { segmentBytes: 256 };
    const first = new TestJournal(directory, options);
    first.append(['a'], {}, 1e15);
    first.append(['b'], {}, 1e15 + 1);
    assert.equal(segmentFiles(directory).length, 2);
    const second = new TestJournal(directory, options);
    assert.deepEqual(second.journal.find(1e15), { firstPosition: 0, firstSeq: 0, count: 1 });
    assert.equal(second.append(['a'], {}, 1e15).alreadyStored, true);
    assert.equal(second.append(['b'], {}, 1e15 + 1).alreadyStored, true);
    assert.deepEqual(second.names(), ['a', 'b']);
  });

  it('begins where it is told to when it is new', (context) => {
    const birth = { epoch: '0123456789abcdef', position: 1000, seq: 77 };
    const directory = journalDirectory(context);
    const test = new TestJournal(directory, { birth });
    assert.deepEqual(test.append(['a']), { firstPosition: 1000, firstSeq: 77, alreadyStored: false });
    assert.equal(test.journal.epoch, birth.epoch);
    const again = new TestJournal(directory, { birth: { ...birth, position: 5 } });
    assert.equal(again.append(['b']).firstPosition, 1001);
  });

  it('finds at a start the repeats of its window, the newest where they are many', (context) => {
    const directory = journalDirectory(context);
    const now = Date.now();
    const first = new TestJournal(directory, { segmentBytes: 4096 });
    first.append(['too old'], { receivedAt: now - 700_000 });
    for (let n = 0; n < 100; n++) first.append([`name ${n}`], { receivedAt: now - 1000 + n });
    first.append(['no key'], { parts: 'fr' });
    assert.ok(segmentFiles(directory).length > 3);
    const keys = (max: number) =>
      new TestJournal(directory, { segmentBytes: 4096, repeats: { windowMs: 600_000, max } }).opened.repeats;
    assert.deepEqual(
      keys(500_000),
      Array.from({ length: 100 }, (_, n) => ({ key: `name ${n}`.padEnd(16, '.'), at: now - 1000 + n })),
    );
    assert.deepEqual(keys(7).at(0), { key: 'name 93'.padEnd(16, '.'), at: now - 1000 + 93 });
    assert.equal(keys(7).length, 7);
  });

  it('refuses what it cannot hold, and before it is open', (context) => {
    const test = new TestJournal(journalDirectory(context));
    const large = sampleEntry('large', { padding: 1_000_000 });
    assert.throws(() => test.journal.append({ id: -1, entries: Array(40).fill(large) }), RangeError);
    assert.throws(() => test.journal.append({ id: -1, entries: [large.subarray(1)] }), RangeError);
    assert.deepEqual(test.append([]), { firstPosition: 0, firstSeq: 0, alreadyStored: false });
    assert.equal(test.append(['a']).firstPosition, 0);
    test.journal.close();
    assert.throws(() => test.append(['b']), JournalFailingError);
  });
});

describe('a reader of a journal', () => {
  it('reads across segments, in as small pieces as are asked for, and never past the end it was told', (context) => {
    const directory = journalDirectory(context);
    const test = new TestJournal(directory, { segmentBytes: 2000 });
    const names = Array.from({ length: 60 }, (_, n) => `entry ${n}`);
    for (let n = 0; n < 60; n += 3) test.append(names.slice(n, n + 3));
    assert.ok(segmentFiles(directory).length > 5);
    for (const maxBytes of [0, 300, 5000, 1_000_000]) {
      const { entries, gaps } = test.read(0, test.journal.end, maxBytes);
      assert.deepEqual(
        entries.map(({ bytes }) => nameOf(bytes)),
        names,
      );
      assert.deepEqual(gaps, []);
    }
    const reader = new JournalReader({ directory });
    assert.deepEqual(
      reader.read(30, 33, 1e6).entries.map(({ position }) => position),
      [30, 31, 32],
    );
    assert.deepEqual(
      reader.read(31, 32, 1e6).entries.map(({ position }) => position),
      [31],
    );
    // Within a batch, backwards too.
    assert.deepEqual(
      reader.read(4, 6, 1e6).entries.map(({ bytes }) => nameOf(bytes)),
      ['entry 4', 'entry 5'],
    );
    assert.deepEqual(reader.read(60, 60, 1e6), { epoch: '', gap: undefined, entries: [], next: 60 });
    // Who was told of no end reads as far as there is something.
    assert.deepEqual(readNames(reader, 57, Number.POSITIVE_INFINITY), names.slice(57));
    test.append(['one more']);
    assert.deepEqual(readNames(reader, 59, Number.POSITIVE_INFINITY), ['entry 59', 'one more']);
    reader.close();
  });

  it('finds a sequence number and a time', (context) => {
    const clock = { now: 1_700_000_000_000 };
    const clocks = { wall: () => clock.now, monotonic: () => clock.now };
    const test = new TestJournal(journalDirectory(context), { segmentBytes: 2000, clocks });
    for (let n = 0; n < 40; n++) {
      clock.now += 1000;
      // Every second entry has no frame.
      test.append([`frame ${n}`]);
      test.append([`record ${n}`], { parts: 'r' });
    }
    const { end } = test.journal;
    const reader = new JournalReader({ directory: test.directory });
    for (const n of [0, 1, 17, 39]) {
      assert.equal(reader.seekSeq(n, end), 2 * n);
      assert.equal(reader.seekTime(1_700_000_000_000 + (n + 1) * 1000, end), 2 * n);
      assert.equal(reader.seekTime(1_700_000_000_000 + n * 1000 + 1, end), 2 * n);
    }
    assert.equal(reader.seekSeq(40, end), end);
    assert.equal(reader.seekTime(clock.now + 1, end), end);
    assert.equal(reader.seekTime(0, end), 0);
    assert.equal(reader.oldest, 0);
    reader.close();
  });
});

function readNames(reader: JournalReader, from: number, end: number): string[] {
  const names: string[] = [];
  for (let at = from; ; ) {
    const { entries, next } = reader.read(at, end, 1e6);
    names.push(...entries.map(({ bytes }) => nameOf(bytes)));
    if (next === at) return names;
    at = next;
  }
}
