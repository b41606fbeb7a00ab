/** What damage costs: the entries that it hit, told as a gap, and nothing else; and no number is ever given twice. */

import assert from 'node:assert/strict';
import { cpSync, readFileSync, rmSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { FILES, type FileCalls } from '../../../src/shared/journal/files.js';
import { segmentName } from '../../../src/shared/journal/layout.js';
import { journalDirectory, nameOf, readAll, segmentFiles, TestJournal } from '../../support/journal.js';
import { keptLog } from '../../support/logger.js';
import { MemoryFiles } from '../../support/memory-files.js';

const DIRECTORY = '/journal';
const LOG = keptLog();
const SEGMENTS = { segmentBytes: 900 };
const NAMES = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'];

/** Nine entries in batches of one to three, in three segments. */
function written(closed: boolean): { files: MemoryFiles; epoch: string; segments: string[] } {
  const files = new MemoryFiles();
  const test = new TestJournal(DIRECTORY, { ...SEGMENTS, files }, LOG);
  for (const names of [['a', 'b'], ['c'], ['d', 'e', 'f'], ['g'], ['h', 'i']]) test.append(names);
  if (closed) test.journal.close();
  const segments = files.names.filter((name) => name.endsWith('.journal')).sort();
  assert.equal(segments.length, 3);
  return { files, epoch: test.journal.epoch, segments };
}

/** What there is after `damage`: each entry as it was or told as missing, and what is appended then has a number that none had. */
function check(files: MemoryFiles, epoch: string, what: string, mayBeCut = false): string[] {
  const test = new TestJournal(DIRECTORY, { ...SEGMENTS, files }, LOG);
  const { journal } = test;
  const { firstPosition, firstSeq } = test.append(['next'], {}, 999);
  const { entries, gaps } = readAll(DIRECTORY, 0, journal.end, 1e6, files);
  const told = [...gaps];
  for (const { position, seq, bytes } of entries) {
    told.push({ from: position, to: position + 1 });
    if (position === firstPosition) assert.deepEqual([nameOf(bytes), seq], ['next', firstSeq], what);
    else assert.deepEqual([nameOf(bytes), seq], [NAMES[position], position], what);
  }
  // Each position is told of once.
  told.sort((a, b) => a.from - b.from);
  told.forEach(({ from }, index) => {
    assert.equal(from, told[index - 1]?.to ?? 0, what);
  });
  assert.equal(told.at(-1)?.to, journal.end, what);
  if (!mayBeCut) {
    const isSafe = firstPosition >= NAMES.length && firstSeq >= NAMES.length;
    assert.ok(isSafe || journal.epoch !== epoch, `${what}: ${firstPosition}`);
    assert.ok(firstPosition >= NAMES.length, `${what}: ${firstPosition}`);
  }
  journal.close();
  // Another start finds the same.
  const again = readAll(
    DIRECTORY,
    0,
    new TestJournal(DIRECTORY, { ...SEGMENTS, files }, LOG).journal.end,
    1e6,
    files,
  );
  assert.deepEqual([again.entries.length, again.gaps], [entries.length, gaps], what);
  return entries.map(({ bytes }) => nameOf(bytes));
}

describe('a journal', () => {
  for (const closed of [true, false]) {
    const how = closed ? 'closed in order' : 'after a death';
    it(`with any bit flipped loses the batch in which it is, and no more (${how})`, () => {
      const { files, epoch, segments } = written(closed);
      for (const name of segments) {
        const { length } = files.contentOf(name);
        for (let at = 0; at < length; at++) {
          const left = files.copy();
          const bytes = Buffer.from(left.contentOf(name));
          bytes[at] = (bytes[at] as number) ^ (1 << (at & 7));
          left.setContent(name, bytes);
          const found = check(left, epoch, `${name} ${at}`);
          // The largest batch has three entries.
          assert.ok(found.length >= NAMES.length + 1 - 3, `${name} ${at}: ${found}`);
          if (at < 128) assert.equal(found.length, NAMES.length + 1, `${name} ${at}`);
        }
      }
    });

    it(`with any segment cut at any length loses what is behind the cut in it, and no more (${how})`, () => {
      const { files, epoch, segments } = written(closed);
      segments.forEach((name, index) => {
        const bytes = files.contentOf(name);
        for (let length = 0; length < bytes.length; length++) {
          const left = files.copy();
          left.setContent(name, bytes.subarray(0, length));
          // After a death a file that ends early is one that was not written further.
          const mayBeCut = !closed && index === segments.length - 1;
          check(left, epoch, `${name} of ${length}`, mayBeCut);
        }
      });
    });

    it(`with segments deleted goes on behind them (${how})`, () => {
      const { files, epoch, segments } = written(closed);
      for (let which = 1; which < 2 ** segments.length; which++) {
        const left = files.copy();
        segments.forEach((name, index) => {
          if ((which & (1 << index)) !== 0) left.remove(name);
        });
        check(left, epoch, `without ${which}`);
      }
    });
  }

  it('whose sectors are full of something else loses those alone', () => {
    const { files, epoch, segments } = written(true);
    for (const name of segments) {
      for (const fill of [0, 255]) {
        const bytes = Buffer.from(files.contentOf(name));
        bytes.fill(fill, 256, 400);
        const left = files.copy();
        left.setContent(name, bytes);
        check(left, epoch, `${name} full of ${fill}`);
        left.setContent(name, Buffer.alloc(bytes.length, fill));
        check(left, epoch, `all of ${name} full of ${fill}`);
      }
    }
  });

  it('that the disk no longer gives in one place is missing from there to the next segment', (context) => {
    const directory = journalDirectory(context);
    const test = new TestJournal(directory, { segmentBytes: 2000 }, LOG);
    const names = Array.from({ length: 30 }, (_, n) => `entry ${n}.`);
    for (const name of names) test.append([name]);
    const [, path = '', third = ''] = segmentFiles(directory);
    const firstIn = (file: string) => names.findIndex((name) => readFileSync(file).includes(name));
    const missing = { from: firstIn(path) + 4, to: firstIn(third) };
    const bad = readFileSync(path).indexOf(names[missing.from] ?? '');
    assert.ok(bad > 0 && missing.to > missing.from + 1);
    const opened = new Set<number>();
    const failing: FileCalls = {
      ...FILES,
      open(name, flags) {
        const fd = FILES.open(name, flags);
        if (name === path) opened.add(fd);
        else opened.delete(fd);
        return fd;
      },
      read(fd, bytes, offset, length, position) {
        if (opened.has(fd) && position <= bad && bad < position + length)
          throw Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' });
        return FILES.read(fd, bytes, offset, length, position);
      },
    };
    for (const maxBytes of [1, 1e6]) {
      const { entries, gaps } = readAll(directory, 0, test.journal.end, maxBytes, failing);
      assert.deepEqual(gaps, [missing]);
      assert.deepEqual(
        entries.map(({ bytes }) => nameOf(bytes)),
        [...names.slice(0, missing.from), ...names.slice(missing.to)],
      );
    }
  });

  it('without its head, or with a damaged one, goes on in a new epoch', () => {
    const { files, epoch } = written(true);
    for (const damage of [
      (left: MemoryFiles) => left.remove('head'),
      (left: MemoryFiles) => left.setContent('head', Buffer.alloc(0)),
      (left: MemoryFiles) => left.setContent('head', files.contentOf('head').subarray(0, 90)),
      (left: MemoryFiles) =>
        left.setContent('head', Buffer.from(files.contentOf('head').map((byte) => byte ^ 1))),
    ]) {
      const left = files.copy();
      damage(left);
      const { journal, opened } = new TestJournal(DIRECTORY, { files: left.copy() });
      assert.notEqual(journal.epoch, epoch);
      assert.match(opened.newEpoch ?? '', /head is missing/);
      assert.equal(journal.resolve({ epoch, position: 4 }), 4);
      assert.equal(check(left, epoch, 'head').length, NAMES.length + 1);
    }
  });

  it('of the version before goes on as it is, and no earlier version takes it again', () => {
    const { files, epoch } = written(true);
    const asFormat = (format: number): MemoryFiles => {
      const left = files.copy();
      const text = left.contentOf('head').toString().replace('"format":2', `"format":${format}`);
      const body = text.slice(0, text.indexOf('\n') + 1);
      left.setContent('head', Buffer.from(`${body}${crcOf(Buffer.from(body))}\n`));
      return left;
    };
    const left = asFormat(1);
    assert.match(left.contentOf('head').toString(), /"format":1,/);
    const { journal, opened } = new TestJournal(DIRECTORY, { files: left });
    assert.deepEqual([journal.epoch, opened.newEpoch, opened.gaps], [epoch, undefined, []]);
    assert.match(left.contentOf('head').toString(), /"format":2,/);
    for (const format of [0, 3])
      assert.throws(() => new TestJournal(DIRECTORY, { files: asFormat(format) }), /reads 1 to 2/);
  });

  it('of a newer version is left alone, and says so', () => {
    const { files, segments } = written(true);
    const left = files.copy();
    const text = left.contentOf('head').toString().replace('"format":2', '"format":9');
    const body = text.slice(0, text.indexOf('\n') + 1);
    left.setContent('head', Buffer.from(`${body}${crcOf(Buffer.from(body))}\n`));
    const { length } = left.calls;
    assert.throws(() => new TestJournal(DIRECTORY, { files: left }), {
      name: 'JournalUnusableError',
      message: /DATADIR.*\/journal.*format 9/,
    });
    assert.equal(left.calls.length, length);
    // So is a segment of another version, or with a flag that is not known.
    for (const at of [8, 12]) {
      const others = files.copy();
      const [name = ''] = segments;
      const bytes = Buffer.from(others.contentOf(name));
      for (const copy of [0, 64]) {
        bytes[copy + at] = 2;
        bytes.writeUInt32LE(Number.parseInt(crcOf(bytes.subarray(copy, copy + 60)), 16), copy + 60);
      }
      others.setContent(name, bytes);
      assert.throws(() => new TestJournal(DIRECTORY, { files: others }), {
        name: 'JournalUnusableError',
        message: /DATADIR.*newer version/,
      });
    }
  });
});

describe('the epoch', () => {
  const append = (test: TestJournal, names: string[]) => {
    for (const name of names) test.append([name]);
    return test;
  };

  it('is a new one where the machine went down with writes that had not waited for the disk, and no other', () => {
    const cases = [
      { fsync: false, close: false, boot: 'another', isNew: true },
      { fsync: false, close: false, boot: 'one', isNew: false },
      { fsync: false, close: true, boot: 'another', isNew: false },
      { fsync: true, close: false, boot: 'another', isNew: false },
      { fsync: true, close: true, boot: 'another', isNew: false },
    ];
    for (const { fsync, close, boot, isNew } of cases) {
      const files = new MemoryFiles();
      const first = append(new TestJournal(DIRECTORY, { files, fsync, boot: 'one' }), ['a', 'b']);
      if (close) first.journal.close();
      const second = new TestJournal(DIRECTORY, { files, fsync, boot });
      assert.equal(
        second.journal.epoch !== first.journal.epoch,
        isNew,
        JSON.stringify({ fsync, close, boot }),
      );
      assert.equal(second.opened.newEpoch !== undefined, isNew);
      assert.deepEqual(append(second, ['c']).names(), ['a', 'b', 'c']);
    }
    // Who turns fsync on has what was written before on the disk too.
    const files = new MemoryFiles();
    const first = append(new TestJournal(DIRECTORY, { files, fsync: false, boot: 'one' }), ['a']);
    append(new TestJournal(DIRECTORY, { files, fsync: true, boot: 'one' }), ['b']);
    const left = files.afterPowerLoss(files.calls.length, () => 0);
    const third = new TestJournal(DIRECTORY, { files: left, fsync: true, boot: 'another' });
    assert.deepEqual([third.journal.epoch, third.names()], [first.journal.epoch, ['a', 'b']]);
  });

  it('is a new one in a directory that was restored or copied, in which all is as it was', (context) => {
    const directory = journalDirectory(context);
    const first = append(new TestJournal(directory), ['a', 'b']);
    first.journal.close();
    const backup = `${directory}-backup`;
    cpSync(directory, backup, { recursive: true });
    const lost = append(new TestJournal(directory), ['lost']);
    lost.journal.close();
    assert.equal(lost.journal.epoch, first.journal.epoch);
    // Over the files as they are, or in place of the directory: neither is the file that it was.
    rmSync(directory, { recursive: true });
    cpSync(backup, directory, { recursive: true });
    const restored = append(new TestJournal(directory), ['c']);
    assert.notEqual(restored.journal.epoch, first.journal.epoch);
    assert.match(restored.opened.newEpoch ?? '', /restored or copied/);
    const { entries, epochs, gaps } = restored.read();
    assert.deepEqual(
      entries.map(({ position, seq, bytes }) => [position, seq, nameOf(bytes)]),
      [
        [0, 0, 'a'],
        [1, 1, 'b'],
        [2, 2, 'c'],
      ],
    );
    assert.deepEqual(gaps, []);
    assert.deepEqual(epochs, [first.journal.epoch, first.journal.epoch, restored.journal.epoch]);
    restored.journal.close();
    const again = new TestJournal(directory);
    assert.equal(again.journal.epoch, restored.journal.epoch);
    again.journal.close();
  });

  it('of a cursor says where it stands now: what its own had lost behind it is passed, of one that nobody knows nothing is said', () => {
    const files = new MemoryFiles();
    const first = append(new TestJournal(DIRECTORY, { files }), ['a', 'b', 'c']);
    const { epoch } = first.journal;
    const left = files.copied();
    const second = append(new TestJournal(DIRECTORY, { files: left }), ['d']);
    const { journal } = second;
    assert.equal(journal.resolve({ epoch, position: 1 }), 1);
    // It had gone on where the copy knows nothing of.
    assert.equal(journal.resolve({ epoch, position: 100 }), 3);
    assert.equal(journal.resolve({ epoch: journal.epoch, position: 4 }), 4);
    assert.equal(journal.resolve({ epoch: journal.epoch, position: 5 }), undefined);
    assert.equal(journal.resolve({ epoch: 'abcdefabcdefabcd', position: 1 }), undefined);
    // A third epoch: each is known, however often the directory was copied.
    const third = new TestJournal(DIRECTORY, { files: left.copied() });
    assert.equal(third.journal.resolve({ epoch, position: 100 }), 3);
    assert.equal(third.journal.resolve({ epoch: journal.epoch, position: 100 }), 4);
  });
});

describe('a segment that is deleted under its writer', () => {
  it('is noticed within a second: what is appended then is in another, and what was in it is told as missing', (context) => {
    const clock = { now: 1_700_000_000_000 };
    const clocks = { wall: () => clock.now, monotonic: () => clock.now };
    const test = new TestJournal(journalDirectory(context), { clocks });
    test.append(['a']);
    for (const path of segmentFiles(test.directory)) unlinkSync(path);
    test.append(['b']);
    clock.now += 1000;
    test.append(['c']);
    assert.deepEqual(test.names(), ['c']);
    assert.deepEqual(test.read().gaps, [{ from: 0, to: 2 }]);
    assert.equal(test.log.lines.filter(({ level }) => Number(level) >= 50).length, 1);
    assert.deepEqual(segmentFiles(test.directory), [join(test.directory, segmentName(2))]);
    test.journal.close();
  });
});

function crcOf(bytes: Buffer): string {
  // By the definition (RFC 3720 B.4), bit by bit.
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return (~crc >>> 0).toString(16);
}
