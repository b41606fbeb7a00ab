/** Reading from many places at once, and finding one. */

import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { describe, it } from 'node:test';
import { FILES, type FileCalls } from '../../../src/shared/journal/files.js';
import { JournalReader } from '../../../src/shared/journal/reader.js';
import { journalDirectory, nameOf, segmentFiles, TestJournal } from '../../support/journal.js';

const MIB = 1_048_576;

/** `count` entries, some without a frame, in batches of one to three. */
function filled(directory: string, count: number, segmentBytes: number, padding = 0): TestJournal {
  const test = new TestJournal(directory, { segmentBytes });
  for (let n = 0; n < count; ) {
    const names = Array.from({ length: Math.min(1 + (n % 3), count - n) }, (_, more) => `${n + more}`);
    test.append(names, { parts: n % 7 === 0 ? 'r' : 'f', padding });
    n += names.length;
  }
  return test;
}

describe('a reader', () => {
  it('finds the same from wherever it comes', (context) => {
    const directory = journalDirectory(context);
    const { journal } = filled(directory, 300, 3000);
    const reader = new JournalReader({ directory });
    context.after(() => reader.close());
    assert.ok(segmentFiles(directory).length > 10);
    // Forwards and backwards in turn, as consumers at different places have it read.
    for (let n = 0; n < 300; n++) {
      for (const from of [n, 299 - n, (n * 7) % 300]) {
        const { entries, gap } = reader.read(from, journal.end, 1);
        assert.deepEqual([entries[0]?.position, gap], [from, undefined]);
        assert.equal(nameOf(entries[0]?.bytes ?? Buffer.alloc(0)), `${from}`);
      }
    }
  });

  it('reads little to get from one end of a segment to the other', (context) => {
    const directory = journalDirectory(context);
    let bytesRead = 0;
    const files: FileCalls = {
      ...FILES,
      read(...args) {
        const read = FILES.read(...args);
        bytesRead += read;
        return read;
      },
    };
    const { journal } = filled(directory, 2000, 64 * MIB, 8000);
    assert.equal(segmentFiles(directory).length, 1);
    const reader = new JournalReader({ directory, files });
    context.after(() => reader.close());
    // The index of a segment that is written to is made once.
    reader.read(1, journal.end, 1);
    reader.read(1999, journal.end, 1);
    for (let n = 0; n < 20; n++) {
      bytesRead = 0;
      assert.equal(reader.read(10 + n, journal.end, 1).entries[0]?.position, 10 + n);
      assert.equal(reader.read(1990 - n, journal.end, 1).entries[0]?.position, 1990 - n);
      assert.ok(bytesRead < MIB, `${bytesRead}`);
    }
  });

  it('finds an entry by what is in it, asking few', (context) => {
    const directory = journalDirectory(context);
    const { journal } = filled(directory, 300, 3000);
    const reader = new JournalReader({ directory });
    context.after(() => reader.close());
    for (let wanted = -1; wanted <= 301; wanted++) {
      let asked = 0;
      const found = reader.seek(({ bytes }) => {
        asked++;
        return Number(nameOf(bytes)) < wanted;
      }, journal.end);
      const expected = wanted >= 300 ? undefined : Math.max(0, wanted);
      assert.equal(found?.position, expected);
      assert.ok(asked < 100, `${asked}`);
    }
    // Of what was committed alone, and of what is kept.
    assert.equal(
      reader.seek(() => true, 100),
      undefined,
    );
    assert.equal(reader.seek(() => false, journal.end)?.position, 0);
    const [oldest = ''] = segmentFiles(directory);
    rmSync(oldest);
    assert.equal(reader.seek(() => false, journal.end)?.position, reader.oldest);
  });

  it('goes backwards from one point to the one before, to the oldest that can be read', (context) => {
    const directory = journalDirectory(context);
    const { journal } = filled(directory, 600, 2 * MIB, 8000);
    const reader = new JournalReader({ directory });
    context.after(() => reader.close());
    const back = (): number[] => {
      const points: number[] = [];
      let at = journal.end;
      for (let point = reader.pointBefore(at); point !== undefined; point = reader.pointBefore(at)) {
        assert.ok(point < at);
        points.push(point);
        at = point;
      }
      return points;
    };
    const points = back();
    assert.equal(points.at(-1), 0);
    assert.equal(reader.pointBefore(0), undefined);
    // Some 256 KiB: 33 entries of some 8 KB, and a few that are small.
    points.forEach((point, index) => {
      assert.ok((points[index - 1] ?? journal.end) - point <= 45, `${point}`);
    });
    const [oldest = '', second = ''] = segmentFiles(directory);
    rmSync(oldest);
    assert.equal(back().at(-1), Number(second.slice(-24, -8)));
  });
});
