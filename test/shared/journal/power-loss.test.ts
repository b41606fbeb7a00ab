/**
 * What a power loss leaves: what was synced, and of the rest any part, in sectors, in any order. Seeds are fixed; `FUZZ_ROUNDS=50` looks at fifty times as many
 * states, `FUZZ_SEED=<seed>` at others.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { JournalOptions } from '../../../src/shared/journal/options.js';
import { nameOf, readAll, TestJournal } from '../../support/journal.js';
import { keptLog } from '../../support/logger.js';
import { MemoryFiles } from '../../support/memory-files.js';
import { randomNumbers } from '../../support/random.js';

const DIRECTORY = '/journal';
const LOG = keptLog();
const OPTIONS: Partial<JournalOptions> = { segmentBytes: 1600 };
const ROUNDS = Number(process.env.FUZZ_ROUNDS ?? 1) * 4;
const SEED = Number(process.env.FUZZ_SEED ?? 1);

interface Answered {
  readonly names: readonly string[];
  /** Position of the first, and the calls after which it was answered. */
  readonly first: number;
  readonly at: number;
  readonly epoch: string;
}

/** A life of a journal: three runs on the same boot, some of them closed in order. */
function lifeOf(files: MemoryFiles, fsync: boolean, random: () => number) {
  const answered: Answered[] = [];
  /** Calls after which all that was answered before is on the disk. */
  const closed: number[] = [];
  for (let run = 0; run < 3; run++) {
    const test = new TestJournal(DIRECTORY, { ...OPTIONS, files, fsync, boot: 'before' }, LOG);
    for (let batch = 0; batch < 5; batch++) {
      const from = answered.length;
      const names = Array.from({ length: 1 + Math.floor(random() * 4) }, (_, n) => `${from}.${n}`);
      const padding = Math.floor(random() * 600);
      const { firstPosition } = test.append(names, { padding });
      answered.push({ names, first: firstPosition, at: files.calls.length, epoch: test.journal.epoch });
    }
    if (random() < 0.5) {
      test.journal.close();
      closed.push(files.calls.length);
    }
  }
  return { answered, closed };
}

function states(
  fsync: boolean,
  check: (left: MemoryFiles, at: number, lived: ReturnType<typeof lifeOf>) => void,
) {
  let count = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const random = randomNumbers(SEED * 1000 + round);
    const files = new MemoryFiles();
    const lived = lifeOf(files, fsync, random);
    for (let at = 1; at <= files.calls.length; at++) {
      for (let state = 0; state < 3; state++) {
        try {
          check(files.afterPowerLoss(at, random), at, lived);
        } catch (error) {
          throw new Error(
            `seed ${SEED}, round ${round}, after call ${at}: ${error instanceof Error ? error.stack : error}`,
          );
        }
        count++;
      }
    }
  }
  return count;
}

describe('after a power loss', () => {
  it('with fsync everything that was answered is there, in the same epoch, and nothing is missing before it', () => {
    const count = states(true, (left, at, { answered }) => {
      const before = answered.filter((each) => each.at <= at);
      const under = answered.find((each) => each.at > at);
      const options = { ...OPTIONS, files: left, fsync: true, boot: 'after' };
      const test = new TestJournal(DIRECTORY, options, LOG);
      const found = contents(test, left);
      const names = before.flatMap((each) => each.names);
      const whole = [...names, ...(under?.names ?? [])];
      assert.deepEqual(found, found.length === names.length ? names : whole);
      const [first] = before;
      if (first !== undefined) assert.equal(test.journal.epoch, first.epoch);
      assert.deepEqual(test.opened.gaps, []);
      test.append(['next']);
      assert.deepEqual(contents(test, left), [...found, 'next']);
    });
    assert.ok(count > 1000, `${count}`);
  });

  it('without it what is there is what was, each at its place; what was closed in order is whole, and else a new epoch begins', () => {
    const count = states(false, (left, at, { answered, closed }) => {
      const names = new Map<number, string>();
      for (const { first, names: each, at: answeredAt } of answered) {
        // The one under way may have come through.
        for (const [n, name] of each.entries()) names.set(first + n, name);
        if (answeredAt > at) break;
      }
      const safeAt = closed.findLast((each) => each <= at) ?? 0;
      const safe = answered.filter((each) => each.at <= safeAt).flatMap((each) => each.names);
      const options = { ...OPTIONS, files: left, fsync: false, boot: 'after' };
      const test = new TestJournal(DIRECTORY, options, LOG);
      const { end } = test.journal;
      const { entries } = readAll(DIRECTORY, 0, end, 1e6, left);
      for (const { position, bytes } of entries) assert.equal(nameOf(bytes), names.get(position));
      assert.deepEqual(
        entries.slice(0, safe.length).map(({ bytes }) => nameOf(bytes)),
        safe,
      );
      const last = answered.findLast((each) => each.at <= at);
      if (last !== undefined && test.journal.epoch === last.epoch) {
        // It was being closed in order, and had been put on the disk.
        const all = answered.filter((each) => each.at <= at).flatMap((each) => each.names);
        assert.deepEqual(
          entries.map(({ bytes }) => nameOf(bytes)),
          all,
        );
      }
      const { firstPosition } = test.append(['next']);
      assert.equal(firstPosition, end);
      const after = readAll(DIRECTORY, end, end + 1, 1e6, left);
      assert.deepEqual([after.entries.map(({ bytes }) => nameOf(bytes)), after.gaps], [['next'], []]);
      assert.deepEqual(after.epochs, [test.journal.epoch]);
    });
    assert.ok(count > 1000, `${count}`);
  });
});

function contents(test: TestJournal, files: MemoryFiles): string[] {
  const { entries, gaps } = readAll(DIRECTORY, 0, test.journal.end, 1e6, files);
  assert.deepEqual(gaps, []);
  return entries.map(({ bytes }) => nameOf(bytes));
}
