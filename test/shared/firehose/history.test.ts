/** What consumers who begin in the past get: each frame once, in order, and every gap told. */

import assert from 'node:assert/strict';
import { appendFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { Place } from '../../../src/shared/firehose/cursor-scheme.js';
import { History } from '../../../src/shared/firehose/history.js';
import { FeedProblem } from '../../../src/shared/firehose/problems.js';
import { consume } from '../../support/history.js';
import { journalDirectory, sampleEntry, segmentFiles, TestJournal } from '../../support/journal.js';
import { MemoryFiles } from '../../support/memory-files.js';
import { temporaryDirectory } from '../../support/temporary.js';

const OPTIONS = { segmentBytes: 900 };
const START = 1_700_000_000_000;

function historyOf(context: TestContext, directory: string): History {
  const history = new History({ directory });
  context.after(() => history.close());
  return history;
}

const endOf = ({ journal: { epoch, end: position, nextSeq: seq } }: TestJournal): Place => ({
  epoch,
  position,
  seq,
});

/** Entries `from` to before `to` in batches of one to three, each fifth without a frame; gives the names of those with one. */
function fill(test: TestJournal, from: number, to: number, options: { receivedAt?: number } = {}): string[] {
  const names: string[] = [];
  for (let n = from; n < to; ) {
    const batch = Array.from({ length: Math.min(1 + (n % 3), to - n) }, (_, more) => `${n + more}`);
    const isRecord = n % 5 === 0;
    test.append(batch, { parts: isRecord ? 'r' : 'frk', ...options });
    if (!isRecord) names.push(...batch);
    n += batch.length;
  }
  return names;
}

/** Three epochs, as power losses make them, the last of which goes on. */
function threeEpochs(directory: string) {
  const first = new TestJournal(directory, { ...OPTIONS, boot: 'one' });
  const names = [fill(first, 0, 20)];
  const second = new TestJournal(directory, { ...OPTIONS, boot: 'two' });
  names.push(fill(second, 20, 45));
  const third = new TestJournal(directory, { ...OPTIONS, boot: 'three' });
  names.push(fill(third, 45, 70));
  const epochs = [first, second, third].map(({ journal }) => journal.epoch);
  assert.equal(new Set(epochs).size, 3);
  return { test: third, epochs, names, all: names.flat() };
}

function problemOf(work: () => unknown): FeedProblem {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof FeedProblem, String(error));
    return error;
  }
  return assert.fail('it is granted');
}

describe('a consumer of the history', () => {
  it('goes on behind any frame, through every epoch, and is told where one begins', (context) => {
    const directory = journalDirectory(context);
    const { test, epochs, names, all } = threeEpochs(directory);
    const history = historyOf(context, directory);
    const end = endOf(test);
    const [a = [], b = [], c = []] = names;
    for (const maxBytes of [1, 500, 1e6]) {
      const whole = consume(history, { type: 'oldest' }, { end, maxBytes });
      assert.deepEqual(whole.all, [...a, '[epoch]', ...b, '[epoch]', ...c]);
      assert.deepEqual(
        whole.seqs,
        all.map((_, n) => n),
      );
      assert.deepEqual(whole.epochs, [
        ...a.map(() => epochs[0]),
        ...b.map(() => epochs[1]),
        ...c.map(() => epochs[2]),
      ]);
      whole.cursors.forEach((text, index) => {
        const rest = consume(history, { type: 'cursor', text }, { end, maxBytes, strict: true });
        assert.deepEqual(rest.names, all.slice(index + 1), text);
        const crossed = rest.all.filter((each) => each.startsWith('['));
        const expected = index < a.length ? 2 : index < a.length + b.length ? 1 : 0;
        assert.deepEqual(crossed, Array(expected).fill('[epoch]'), text);
        assert.deepEqual(rest.next, end);
        // Whoever leaves off behind an info goes on without it.
        for (const cursor of rest.infoCursors)
          assert.ok(!consume(history, { type: 'cursor', text: cursor }, { end }).all[0]?.startsWith('['));
      });
    }
    assert.deepEqual(consume(history, { type: 'now' }, { end }).all, []);
  });

  it('finds the end in the files alone, also behind a batch that is not whole', (context) => {
    const directory = journalDirectory(context);
    const empty = new TestJournal(directory, OPTIONS);
    const history = historyOf(context, directory);
    assert.deepEqual(history.end(), endOf(empty));
    assert.deepEqual(consume(history, { type: 'oldest' }).all, []);
    const { cursor } = history.oldest();
    for (let n = 0; n < 30; n++) {
      fill(empty, n, n + 1);
      assert.deepEqual(history.end(), endOf(empty));
    }
    const { all } = consume(history, { type: 'oldest' });
    assert.deepEqual(consume(history, { type: 'cursor', text: cursor }).all, all);
    const newest = segmentFiles(directory).at(-1) ?? '';
    appendFileSync(newest, readFileSync(newest).subarray(128, 128 + 70));
    assert.deepEqual(history.end(), endOf(empty));
    assert.deepEqual(consume(history, { type: 'oldest' }).all, all);
  });

  it('is told a gap where its cursor is behind the end of its epoch, and an epoch at the end of it', (context) => {
    const directory = journalDirectory(context);
    const { test, epochs, names } = threeEpochs(directory);
    const history = historyOf(context, directory);
    const [a = [], b = [], c = []] = names;
    const later = [...b, '[epoch]', ...c];
    const from = (seq: number) =>
      consume(history, { type: 'cursor', text: `${epochs[0]}.${seq}` }, { end: endOf(test) }).all;
    assert.deepEqual(from(a.length - 1), ['[epoch]', ...later]);
    assert.deepEqual(from(a.length), ['[gap]', '[epoch]', ...later]);
    assert.deepEqual(from(1e9), ['[gap]', '[epoch]', ...later]);
    assert.deepEqual(from(-1), [...a, '[epoch]', ...later]);
    const lost = { type: 'cursor', text: `${epochs[0]}.1000` } as const;
    const [gap] = history.resolve(lost, { end: endOf(test) }).infos;
    assert.equal(gap?.text, 'Frames are missing; how many is not known.');
  });

  it('is refused with a cursor that is none, or of a frame to come', (context) => {
    const directory = journalDirectory(context);
    const { test, epochs } = threeEpochs(directory);
    const history = historyOf(context, directory);
    const end = endOf(test);
    const epoch = epochs[2] ?? '';
    const texts = [
      '',
      '.',
      '5',
      epoch,
      `${epoch}.`,
      `${epoch}.-2`,
      `${epoch}.-0`,
      `${epoch}.+5`,
      `${epoch}.05`,
      `${epoch}.5.5`,
      `${epoch}.5 `,
      `${epoch}.1e3`,
      `${epoch}.0x10`,
      `${epoch}.9007199254740993`,
      `${epoch.toUpperCase()}x.5`,
      `${epoch.slice(1)}.5`,
      'x'.repeat(10_240),
      `${epoch}.${'1'.repeat(10_240)}`,
      `${epoch}.5\n`,
      '٥'.repeat(20),
      // Of the future.
      `${epoch}.${end.seq}`,
      `${epoch}.${end.seq + 1000}`,
      `${epoch}.${Number.MAX_SAFE_INTEGER - 1}`,
    ];
    for (const text of texts) {
      for (const strict of [false, true]) {
        const problem = problemOf(() => history.resolve({ type: 'cursor', text }, { end, strict }));
        assert.deepEqual([problem.code, problem.status], ['bad_parameter', 400], text.slice(0, 40));
        assert.deepEqual(problem.extra, { parameter: 'cursor' });
        assert.ok(problem.body().length < 500);
        assert.match(
          problem.detail,
          /^cursor "[ -~]{0,250}…?" is (no cursor of this server|of a frame that is yet to come)$/,
        );
      }
    }
  });

  it('of another journal begins with the oldest, and knows it; strictly it is refused', (context) => {
    const directory = journalDirectory(context);
    const { test, epochs, names } = threeEpochs(directory);
    const history = historyOf(context, directory);
    const end = endOf(test);
    const [a = [], b = [], c = []] = names;
    const text = 'abcdefabcdefabcd.7';
    const { all, infoCursors } = consume(history, { type: 'cursor', text }, { end });
    assert.deepEqual(all, ['[cursor_unknown]', ...a, '[epoch]', ...b, '[epoch]', ...c]);
    assert.equal(infoCursors[0], `${epochs[0]}.-1`);
    const problem = problemOf(() => history.resolve({ type: 'cursor', text }, { end, strict: true }));
    assert.deepEqual([problem.code, problem.status], ['cursor_unknown', 410]);
    assert.deepEqual(problem.extra, { oldest: `${epochs[0]}.-1` });
  });

  it('with a cursor that is too old begins with the oldest, and knows it; strictly it is refused', (context) => {
    const directory = journalDirectory(context);
    const { test, epochs } = threeEpochs(directory);
    const history = historyOf(context, directory);
    const end = endOf(test);
    const whole = consume(history, { type: 'oldest' }, { end });
    for (const path of segmentFiles(directory).slice(0, -1)) {
      rmSync(path);
      const oldest = history.oldest(end);
      const kept = whole.names.slice(whole.seqs.indexOf(oldest.seq));
      whole.cursors.forEach((text, index) => {
        const isKept = index + 1 >= oldest.seq;
        const { all, names } = consume(history, { type: 'cursor', text }, { end });
        assert.deepEqual(names, isKept ? whole.names.slice(index + 1) : kept, text);
        assert.equal(all.includes('[cursor_too_old]'), !isKept, text);
        assert.ok(!all.includes('[gap]'));
        if (isKept) return;
        const problem = problemOf(() => history.resolve({ type: 'cursor', text }, { end, strict: true }));
        assert.deepEqual([problem.code, problem.status], ['cursor_too_old', 410]);
        // With what the answer says it goes on.
        const again = { type: 'cursor', text: String(problem.extra.oldest) } as const;
        assert.deepEqual(consume(history, again, { end, strict: true }).names, kept);
      });
      // A cursor behind the end of an epoch that is gone is no better.
      if (oldest.epoch === epochs[2]) {
        const text = `${epochs[0]}.1000`;
        assert.deepEqual(consume(history, { type: 'cursor', text }, { end }).all[0], '[cursor_too_old]');
      }
    }
    rmSync(segmentFiles(directory)[0] ?? '');
    assert.deepEqual(problemOf(() => history.resolve({ type: 'oldest' })).code, 'unavailable');
  });

  it('is told which frames are missing, and gets all others once', (context) => {
    const directory = journalDirectory(context);
    const { test, epochs } = threeEpochs(directory);
    const end = endOf(test);
    const whole = consume(historyOf(context, directory), { type: 'oldest' }, { end });
    const start = { type: 'cursor', text: `${epochs[0]}.-1` } as const;
    const paths = segmentFiles(directory);
    const [oldest, ...others] = paths;
    assert.ok(oldest !== undefined && others.length > 4);
    const check = (what: string) => {
      for (const maxBytes of [1, 1e6]) {
        const history = new History({ directory });
        const { seqs, names, gaps, next } = consume(history, start, { end, maxBytes });
        history.close();
        names.forEach((name, index) => {
          assert.equal(name, whole.names[seqs[index] ?? -1], what);
        });
        const told = [...seqs, ...gaps.flatMap(([from, to]) => range(from, to + 1))].sort((x, y) => x - y);
        assert.deepEqual(told, range(0, end.seq), what);
        assert.deepEqual(next, end, what);
      }
    };
    for (const path of others) {
      const bytes = readFileSync(path);
      rmSync(path);
      check(`without ${path}`);
      for (let at = 5; at < bytes.length; at += 61) {
        const damaged = Buffer.from(bytes);
        damaged[at] = (damaged[at] as number) ^ 0x10;
        writeFileSync(path, damaged);
        check(`${path} damaged at ${at}`);
      }
      // Both copies of its head.
      writeFileSync(path, Buffer.concat([Buffer.alloc(128), bytes.subarray(128)]));
      check(`${path} without a head`);
      writeFileSync(path, bytes);
    }
    assert.deepEqual(consume(historyOf(context, directory), start, { end }).all, whole.all);
  });

  it('begins with the first frame received at a time or later', (context) => {
    const directory = journalDirectory(context);
    const clock = { now: 1_700_000_000_000 };
    const clocks = { wall: () => clock.now, monotonic: () => clock.now };
    const test = new TestJournal(directory, { ...OPTIONS, clocks });
    const times: number[] = [];
    const names: string[] = [];
    for (let n = 0; n < 40; n++) {
      clock.now += 1000;
      for (const name of fill(test, n, n + 1, { receivedAt: clock.now })) {
        times.push(clock.now);
        names.push(name);
      }
    }
    const history = historyOf(context, directory);
    const end = endOf(test);
    const since = (ms: number, strict = true) => consume(history, { type: 'since', ms }, { end, strict }).all;
    for (const offset of [-1, 0, 1]) {
      for (const time of times) {
        const expected = names.filter((_, index) => (times[index] ?? 0) >= time + offset);
        assert.deepEqual(since(time + offset), expected);
      }
    }
    // Nothing was ever before, or is yet to come.
    assert.deepEqual(since(0), names);
    assert.deepEqual(since(clock.now + 1e9), []);
    rmSync(segmentFiles(directory)[0] ?? '');
    const kept = consume(history, { type: 'oldest' }, { end }).all;
    assert.ok(kept.length < names.length);
    assert.deepEqual(since(0, false), ['[cursor_too_old]', ...kept]);
    assert.equal(problemOf(() => since(0)).code, 'cursor_too_old');
    assert.deepEqual(since(times.at(-1) ?? 0), names.slice(-1));
  });

  it('begins with what was received at a time, not with what was only stored then', (context) => {
    const directory = journalDirectory(context);
    const clock = { now: START };
    const clocks = { wall: () => clock.now, monotonic: () => clock.now };
    const test = new TestJournal(directory, { ...OPTIONS, clocks });
    const frames: { name: string; receivedAt: number }[] = [];
    const store = (late: readonly number[]) => {
      const entries = late.map((ms) => {
        const name = `${frames.length}`;
        frames.push({ name, receivedAt: clock.now - ms });
        return sampleEntry(name, { receivedAt: clock.now - ms });
      });
      test.journal.append({ id: 1e9 + frames.length, entries });
      // What has no frame is nobody's, whenever it was received.
      test.append(['record'], { parts: 'r', receivedAt: clock.now + 5 });
    };
    // Batches; then an outage, which is stored at once, some of it out of order; then batches again.
    for (let n = 0; n < 20; n++, clock.now += 128) store([127, 64, 0]);
    clock.now += 300_000;
    store(Array.from({ length: 40 }, (_, n) => 290_000 - n * 1000 + (n % 3) * 1500));
    for (let n = 0; n < 20; n++, clock.now += 128) store([127, 64, 0]);
    const history = historyOf(context, directory);
    const end = endOf(test);
    for (const { receivedAt } of frames) {
      for (const ms of [receivedAt - 1, receivedAt, receivedAt + 1]) {
        const from = frames.findIndex((frame) => frame.receivedAt >= ms);
        const expected = from < 0 ? [] : frames.slice(from).map(({ name }) => name);
        const { all } = consume(history, { type: 'since', ms }, { end, strict: true });
        assert.deepEqual(all, expected, `${ms - START}`);
      }
    }
  });

  it('looks for what was received at a time so far and no further, and begins there', (context) => {
    const directory = journalDirectory(context);
    const clock = { now: START };
    const clocks = { wall: () => clock.now, monotonic: () => clock.now };
    const test = new TestJournal(directory, { clocks });
    const megabyte = (receivedAt: number) => test.append(['x'], { receivedAt, padding: 1_000_000 });
    for (let n = 0; n < 12; n++) megabyte(START - 60_000);
    const history = historyOf(context, directory);
    const { next } = history.resolve({ type: 'since', ms: START - 1000 }, { end: endOf(test) });
    assert.ok(next.seq >= 8 && next.seq <= 9, `${next.seq}`);
    assert.equal(next.position, next.seq);
    // Nor later when it is asked for again, and another time.
    const again = (ms: number) => history.resolve({ type: 'since', ms }, { end: endOf(test) }).next.seq;
    assert.deepEqual([START - 1000, START - 60_000, START - 59_999].map(again), [next.seq, 0, next.seq]);
  });

  it('that begins by time is told what is missing where it begins', (context) => {
    const directory = journalDirectory(context);
    const clock = { now: START };
    const clocks = { wall: () => clock.now, monotonic: () => clock.now };
    const test = new TestJournal(directory, { ...OPTIONS, clocks });
    for (let n = 0; n < 40; n++) test.append([`${n}`], { receivedAt: START - 60_000 });
    const [, second = '', third = ''] = segmentFiles(directory);
    const from = Number(nameOfSegment(second));
    const to = Number(nameOfSegment(third)) - 1;
    rmSync(second);
    const history = historyOf(context, directory);
    const { all, gaps } = consume(history, { type: 'since', ms: START - 1000 }, { end: endOf(test) });
    assert.deepEqual(all.slice(0, 2), ['[gap]', `${to + 1}`]);
    assert.deepEqual(gaps, [[from, to]]);
    const { next } = history.resolve({ type: 'since', ms: START - 1000 }, { end: endOf(test) });
    const [gap] = history.read(next, { end: endOf(test), maxBytes: 1 }).before;
    assert.equal(gap?.text, `${to - from + 1} frames are missing (${from} to ${to})`);
    assert.deepEqual([gap?.from, gap?.to], [from, to]);
  });

  it('comes from a process that is further, and waits for this one', (context) => {
    const directory = journalDirectory(context);
    const test = new TestJournal(directory, { ...OPTIONS, boot: 'one' });
    const history = historyOf(context, directory);
    const names = fill(test, 0, 10);
    const end = endOf(test);
    const more = fill(test, 10, 20);
    const { cursors } = consume(history, { type: 'oldest' });
    const index = names.length + 2;
    const { next } = history.resolve({ type: 'cursor', text: cursors[index] ?? '' }, { end });
    assert.ok(next.position > end.position);
    assert.deepEqual(history.read(next, { end, maxBytes: 1e6 }).next, next);
    const cursor = { type: 'cursor', text: cursors[index] ?? '' } as const;
    assert.deepEqual(consume(history, cursor, { end: endOf(test) }).all, more.slice(3));
    // Further by an epoch.
    const next2 = new TestJournal(directory, { ...OPTIONS, boot: 'two' });
    fill(next2, 20, 25);
    const [last = ''] = consume(history, { type: 'oldest' }).cursors.slice(-1);
    assert.ok(last.startsWith(next2.journal.epoch));
    assert.deepEqual(history.resolve({ type: 'cursor', text: last }, { end }), {
      next: endOf(next2),
      infos: [],
    });
  });

  it('reads backwards what it reads forwards', (context) => {
    const directory = journalDirectory(context);
    const { test } = threeEpochs(directory);
    const history = historyOf(context, directory);
    const end = endOf(test);
    const back: string[] = [];
    let until = end;
    for (let place = history.before(until); place !== undefined; place = history.before(until)) {
      const names: string[] = [];
      for (let at = place; at.position < until.position; ) {
        const { entries, next } = history.read(at, { end: until, maxBytes: 1e6 });
        names.push(...entries.map(({ seq }) => `${seq}`));
        at = next;
      }
      back.unshift(...names);
      until = place;
    }
    assert.deepEqual(
      back,
      consume(history, { type: 'oldest' }, { end }).seqs.map((seq) => `${seq}`),
    );
  });

  it('finds every frame that is kept, whenever whoever lets segments go dies', () => {
    const files = new MemoryFiles();
    const clock = { now: 1_700_000_000_000 };
    const clocks = { wall: () => clock.now, monotonic: () => clock.now };
    const directory = '/journal';
    const repeats = { windowMs: 0, max: 0 };
    const test = new TestJournal(directory, { ...OPTIONS, files, clocks, retentionMs: 60_000, repeats });
    const opened = files.calls.length;
    const names: string[] = [];
    for (let n = 0; n < 60; n++) {
      clock.now += 10_000;
      names.push(...fill(test, n, n + 1));
    }
    assert.ok(test.journal.oldest.position > 20);
    for (let calls = files.calls.length; calls >= opened; calls--) {
      const left = files.asOf(calls);
      const history = new History({ directory, files: left });
      const { all, seqs } = consume(history, { type: 'oldest' });
      const [first = 0] = seqs;
      assert.deepEqual(all, names.slice(first, first + all.length));
      history.close();
      assert.equal(left.opened, 0);
    }
  });

  it('is told of a journal that is not there', (context) => {
    const directory = temporaryDirectory(context);
    for (const path of [directory, join(directory, 'none')]) {
      const history = new History({ directory: path });
      assert.equal(problemOf(() => history.resolve({ type: 'now' })).code, 'unavailable');
    }
  });
});

/** Its first position. */
const nameOfSegment = (path: string): string => basename(path, '.journal');

const range = (from: number, to: number): number[] =>
  Array.from({ length: Math.max(0, to - from) }, (_, n) => from + n);
