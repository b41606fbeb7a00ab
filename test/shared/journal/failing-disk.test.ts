/** A disk that takes nothing, at each step: nothing is half stored, nothing that was answered is lost, and it heals by itself. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { JournalFailingError } from '../../../src/shared/journal/errors.js';
import type { JournalOptions } from '../../../src/shared/journal/options.js';
import { nameOf, readAll, TestJournal } from '../../support/journal.js';
import { keptLog } from '../../support/logger.js';
import { type Call, type Fault, MemoryFiles } from '../../support/memory-files.js';

const DIRECTORY = '/journal';
const LOG = keptLog();
/** Two batches a segment. */
const OPTIONS: Partial<JournalOptions> = { segmentBytes: 700 };
/** No segment may go. */
const pinned = () => 0;

/** Appends until it is taken, at the most five times; gives how often it was refused. */
function insist(test: TestJournal, name: string, id: number): number {
  for (let refused = 0; refused < 5; refused++) {
    try {
      test.append([name], {}, id);
      return refused;
    } catch (error) {
      assert.ok(error instanceof JournalFailingError, String(error));
      assert.equal(test.journal.failure, error);
      assert.equal(test.journal.find(id), undefined);
    }
  }
  throw new Error(`${name} is never taken`);
}

function found(test: TestJournal, files: MemoryFiles): string[] {
  const { entries, gaps } = readAll(DIRECTORY, 0, test.journal.end, 1e6, files);
  assert.deepEqual(gaps, []);
  return entries.map(({ bytes }) => nameOf(bytes));
}

const NAMES = ['a', 'b', 'c', 'd', 'e', 'f'];

describe('a disk that fails', () => {
  for (const fsync of [false, true]) {
    for (const code of ['ENOSPC', 'EIO']) {
      it(`at any one call refuses at the most that batch, and loses none (${code}, fsync ${fsync})`, () => {
        const faultless = new MemoryFiles();
        const plan = new TestJournal(DIRECTORY, { ...OPTIONS, files: faultless, fsync }, LOG);
        const opened = faultless.calls.length;
        for (const name of NAMES) plan.append([name]);
        const calls = faultless.calls.length - opened;
        assert.ok(calls > NAMES.length);
        for (let failing = 0; failing < calls; failing++) {
          for (const after of [0, 1, 63, 64, 100]) {
            const files = new MemoryFiles();
            const test = new TestJournal(DIRECTORY, { ...OPTIONS, files, fsync }, LOG);
            test.journal.pins = pinned;
            let call = 0;
            files.fault = () => (call++ === failing ? { code, after } : undefined);
            let refused = 0;
            NAMES.forEach((name, id) => {
              refused += insist(test, name, id);
            });
            assert.ok(refused <= 1, `${refused} refused with call ${failing}`);
            assert.equal(test.journal.failure, undefined);
            assert.deepEqual(found(test, files), NAMES);
            // A death now, or at any later time, finds the same.
            const again = new TestJournal(DIRECTORY, { ...OPTIONS, files, fsync }, LOG);
            assert.deepEqual(found(again, files), NAMES);
            assert.equal(again.journal.epoch, test.journal.epoch);
          }
        }
      });
    }
  }

  it('with every call from some time on refuses everything, nothing that was answered is lost, and heals', () => {
    for (let from = 0; from < 40; from++) {
      const files = new MemoryFiles();
      const test = new TestJournal(DIRECTORY, { ...OPTIONS, files }, LOG);
      test.journal.pins = pinned;
      let call = 0;
      // A write of the last kind comes half through, and cannot be cut off.
      files.fault = ({ type }: Call): Fault | undefined =>
        call++ < from ? undefined : { code: 'ENOSPC', after: type === 'write' && call === from + 1 ? 70 : 0 };
      const answered: string[] = [];
      NAMES.forEach((name, id) => {
        try {
          test.append([name], {}, id);
          answered.push(name);
        } catch (error) {
          assert.ok(error instanceof JournalFailingError);
        }
      });
      assert.deepEqual(found(test, files), answered);
      if (answered.length === NAMES.length) continue;
      assert.ok(test.journal.failure !== undefined);
      test.journal.mend();
      assert.ok(test.journal.failure !== undefined);
      // A death while it lasts: what is there is what was answered, and perhaps the batch that was under way.
      const left = new TestJournal(DIRECTORY, { ...OPTIONS, files: files.copy() }, LOG);
      assert.deepEqual([left.journal.end, left.journal.epoch], [answered.length, test.journal.epoch]);
      files.fault = () => undefined;
      test.journal.mend();
      assert.equal(test.journal.failure, undefined);
      test.append(['healed']);
      assert.deepEqual(found(test, files), [...answered, 'healed']);
    }
  });

  it('leaves nothing of a large batch behind a small one', () => {
    const files = new MemoryFiles();
    const test = new TestJournal(DIRECTORY, { files }, LOG);
    let writes = 0;
    // The first write comes through in part, the next fails.
    files.fault = ({ type }) =>
      type === 'write' ? { code: 'EIO', after: writes++ === 0 ? 3000 : 0 } : undefined;
    assert.throws(() => test.append(['large'], { padding: 10_000 }), JournalFailingError);
    files.fault = () => undefined;
    test.append(['small']);
    const again = new TestJournal(DIRECTORY, { files }, LOG);
    assert.deepEqual([again.opened.newEpoch, again.opened.gaps], [undefined, []]);
    assert.deepEqual(found(again, files), ['small']);
  });

  it('is told once, and that it is over', () => {
    const files = new MemoryFiles();
    const test = new TestJournal(DIRECTORY, { files });
    files.fault = () => ({ code: 'ENOSPC' });
    for (let n = 0; n < 5; n++) assert.throws(() => test.append(['a']), JournalFailingError);
    test.journal.mend();
    assert.match(test.journal.failure?.message ?? '', /cannot be written.*ENOSPC/);
    files.fault = () => undefined;
    test.append(['a']);
    const said = test.log.lines
      .filter(({ level }) => Number(level) >= 30)
      .map(({ level, msg }) => [level, msg]);
    assert.deepEqual(said, [
      [50, 'the journal cannot be written: announcements are refused until it can'],
      [30, 'the journal can be written again'],
    ]);
  });

  it('that did not sync a segment is not trusted with the rest of it', () => {
    const files = new MemoryFiles();
    const test = new TestJournal(DIRECTORY, { files, fsync: true });
    test.append(['a']);
    files.fault = ({ type }) => (type === 'sync' ? { code: 'EIO' } : undefined);
    assert.throws(() => test.append(['b']), JournalFailingError);
    files.fault = () => undefined;
    const segments = () => files.names.filter((name) => name.endsWith('.journal'));
    assert.equal(segments().length, 1);
    test.append(['c']);
    assert.equal(segments().length, 2);
    assert.deepEqual(test.names(), ['a', 'c']);
    // Whatever the disk has of the write that failed: the next segment begins before it.
    const left = files.copy();
    const [first] = segments();
    const [, make] = files.calls.filter(({ type }) => type === 'write');
    assert.ok(first !== undefined && make?.type === 'write');
    const bytes = left.contentOf(first);
    left.setContent(first, Buffer.concat([bytes, bytes.subarray(128)]));
    const again = new TestJournal(DIRECTORY, { files: left, fsync: true, boot: 'another' });
    assert.deepEqual([again.names(), again.read().gaps], [['a', 'c'], []]);
  });

  it('when it is opened is an error that names the directory, and everything is there when it works again', () => {
    const files = new MemoryFiles();
    const first = new TestJournal(DIRECTORY, { ...OPTIONS, files }, LOG);
    for (const name of NAMES) first.append([name]);
    const start = files.copy();
    new TestJournal(DIRECTORY, { ...OPTIONS, files: start }, LOG);
    const calls = start.calls.length;
    assert.ok(calls > 3);
    for (let failing = 0; failing < calls; failing++) {
      const left = files.copy();
      let call = 0;
      left.fault = () => (call++ === failing ? { code: 'EIO' } : undefined);
      assert.throws(() => new TestJournal(DIRECTORY, { ...OPTIONS, files: left }, LOG), {
        name: 'JournalUnusableError',
        message: /DATADIR: the journal \/journal cannot be opened: EIO/,
      });
      assert.equal(left.opened, 0);
      left.fault = () => undefined;
      const test = new TestJournal(DIRECTORY, { ...OPTIONS, files: left }, LOG);
      assert.equal(test.journal.epoch, first.journal.epoch);
      assert.deepEqual(found(test, left), NAMES);
    }
  });
});

describe('a full disk', () => {
  /** Refuses to hold more than `bytes`. */
  const bounded = (files: MemoryFiles, bytes: number) => {
    files.fault = (call) => {
      if (call.type !== 'write' && call.type !== 'make') return undefined;
      const used = files.names.reduce((sum, name) => sum + files.contentOf(name).length, 0);
      const more = call.type === 'write' ? call.bytes.length : 0;
      return used + more > bytes ? { code: 'ENOSPC', after: Math.max(0, bytes - used) } : undefined;
    };
  };

  it('takes the oldest history before it refuses anything, and says so until the disk has taken a segment again', () => {
    const files = new MemoryFiles();
    const repeats = { windowMs: 0, max: 0 };
    const test = new TestJournal(DIRECTORY, { ...OPTIONS, files, repeats });
    bounded(files, 5000);
    for (let n = 0; n < 100; n++) test.append([`${n}`]);
    assert.ok(test.journal.pressure !== undefined);
    const kept = test.journal.oldest.position;
    assert.ok(kept > 70 && kept < 95, `${kept}`);
    assert.deepEqual(
      test.names(kept),
      Array.from({ length: 100 - kept }, (_, n) => `${kept + n}`),
    );
    assert.deepEqual(test.read().gaps, [{ from: 0, to: kept }]);
    assert.equal(test.log.lines.filter(({ msg }) => /disk is full/.test(String(msg))).length, 1);
    assert.equal(test.journal.failure, undefined);
    files.fault = () => undefined;
    for (let n = 0; n < 10; n++) test.append([`${n}`]);
    assert.equal(test.journal.pressure, undefined);
  });

  it('takes nothing that a cursor or the repeats of ten minutes need: then it refuses', () => {
    const clock = { now: 1_700_000_000_000 };
    const clocks = { wall: () => clock.now, monotonic: () => clock.now };
    const fill = (test: TestJournal): number => {
      for (let n = 0; n < 1000; n++) {
        try {
          test.append([`${n}`]);
        } catch {
          return n;
        }
      }
      return assert.fail('it takes everything');
    };
    const files = new MemoryFiles();
    const test = new TestJournal(DIRECTORY, { ...OPTIONS, files, repeats: { windowMs: 0, max: 0 } });
    test.journal.pins = () => 3;
    bounded(files, 5000);
    const taken = fill(test);
    const { position } = test.journal.oldest;
    assert.ok(position <= 3, `${position}`);
    assert.ok(test.journal.failure !== undefined);
    test.journal.pins = () => taken;
    test.append(['more']);
    assert.ok(test.journal.oldest.position > 3);

    const others = new MemoryFiles();
    const repeats = { windowMs: 600_000, max: 8 };
    const remembering = new TestJournal(DIRECTORY, { ...OPTIONS, files: others, clocks, repeats });
    bounded(others, 2200);
    // Fewer than the eight that are remembered.
    assert.ok(fill(remembering) < 8);
    assert.equal(remembering.journal.oldest.position, 0);
    clock.now += 600_001;
    remembering.append(['later']);
    assert.ok(remembering.journal.oldest.position > 0);
  });
});
