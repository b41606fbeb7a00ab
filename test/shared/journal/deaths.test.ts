/** What a death leaves, at every byte of every write: the files as they are when a process is killed there. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { JournalOptions } from '../../../src/shared/journal/options.js';
import { nameOf, readAll, TestJournal } from '../../support/journal.js';
import { keptLog } from '../../support/logger.js';
import { MemoryFiles } from '../../support/memory-files.js';

const DIRECTORY = '/journal';
const LOG = keptLog();
const OPTIONS: Partial<JournalOptions> = { segmentBytes: 1600 };

/** A batch that was offered, and the calls after which it was answered. */
interface Offered {
  readonly id: number;
  readonly names: readonly string[];
  readonly begunAt: number;
  readonly answeredAt: number;
}

/** Batches into a new journal, with a restart and more than one segment. */
function history(files: MemoryFiles, fsync: boolean): { offered: Offered[]; epoch: string } {
  const offered: Offered[] = [];
  const append = (test: TestJournal, id: number, names: readonly string[]) => {
    const begunAt = files.calls.length;
    test.append(names, {}, id);
    offered.push({ id, names, begunAt, answeredAt: files.calls.length });
  };
  const first = new TestJournal(DIRECTORY, { ...OPTIONS, files, fsync });
  append(first, 101, ['a', 'b']);
  append(first, 102, ['c']);
  first.journal.close();
  const second = new TestJournal(DIRECTORY, { ...OPTIONS, files, fsync });
  append(second, 103, ['d', 'e', 'f']);
  append(second, 104, ['g', 'h', 'i']);
  append(second, 105, ['j']);
  return { offered, epoch: second.journal.epoch };
}

describe('after a death at any byte', () => {
  for (const fsync of [false, true]) {
    it(`what was answered is there, what was not is there whole or not at all (fsync ${fsync})`, () => {
      const files = new MemoryFiles();
      const { offered, epoch } = history(files, fsync);
      let states = 0;
      files.calls.forEach((call, at) => {
        const bytes = call.type === 'write' ? call.bytes.length : 1;
        for (let written = 0; written < bytes; written++) {
          checkDeath(files.asOf(at, written), at, offered, fsync, epoch);
          states++;
        }
      });
      checkDeath(files.asOf(files.calls.length), files.calls.length, offered, fsync, epoch);
      assert.ok(states > 2500, `${states}`);
    });
  }

  it('a batch that was cut is cut off, and what is appended next is read', () => {
    const files = new MemoryFiles();
    const before = new TestJournal(DIRECTORY, { files });
    before.append(['a']);
    const calls = files.calls.length;
    before.append(['b', 'c']);
    const left = files.asOf(calls, 200);
    const after = new TestJournal(DIRECTORY, { files: left });
    assert.equal(after.log.lines.filter(({ msg }) => /unfinished batch/.test(String(msg))).length, 1);
    assert.equal(after.append(['d']).firstPosition, 1);
    assert.deepEqual(after.names(), ['a', 'd']);
  });
});

function checkDeath(
  files: MemoryFiles,
  at: number,
  offered: readonly Offered[],
  fsync: boolean,
  epoch: string,
): void {
  const answered = offered.filter(({ answeredAt }) => answeredAt <= at).flatMap(({ names }) => names);
  const open = offered.find(({ begunAt, answeredAt }) => begunAt <= at && at < answeredAt);
  const test = new TestJournal(DIRECTORY, { ...OPTIONS, files, fsync }, LOG);
  const { journal } = test;
  const found = test.names();
  const whole = [...answered, ...(open?.names ?? [])];
  assert.deepEqual(found, found.length === answered.length ? answered : whole);
  assert.deepEqual(test.opened.gaps, []);
  assert.equal(test.opened.newEpoch, undefined);
  if (answered.length > 0) assert.equal(journal.epoch, epoch);
  assert.deepEqual([journal.end, journal.nextSeq], [found.length, found.length]);
  // Who got no answer offers it again, and it is there once.
  if (open !== undefined) {
    const { firstPosition, alreadyStored } = test.append(open.names, {}, open.id);
    assert.equal(firstPosition, answered.length);
    assert.equal(alreadyStored, found.length > answered.length);
  }
  test.append(['next'], {}, 999);
  const { entries, gaps } = readAll(DIRECTORY, 0, journal.end, 1e6, files);
  assert.deepEqual(
    entries.map(({ bytes }) => nameOf(bytes)),
    open === undefined ? [...answered, 'next'] : [...whole, 'next'],
  );
  assert.deepEqual(gaps, []);
  // A second death: nothing is left of what was cut.
  const again = new TestJournal(DIRECTORY, { ...OPTIONS, files, fsync }, LOG);
  assert.deepEqual([again.opened.newEpoch, again.opened.gaps], [undefined, []]);
  assert.deepEqual([again.journal.end, again.journal.epoch], [journal.end, journal.epoch]);
  journal.close();
  again.journal.close();
  assert.equal(files.opened, 0);
}
