/** Cursors of gateways: the same at each of them, and never those of another topic. */

import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { Place } from '../../../src/shared/firehose/cursor-scheme.js';
import { GATEWAY_CURSORS } from '../../../src/shared/firehose/gateway-cursors.js';
import { encodeGatewayEntry } from '../../../src/shared/firehose/gateway-entry.js';
import { History } from '../../../src/shared/firehose/history.js';
import { FeedProblem } from '../../../src/shared/firehose/problems.js';
import { FILES, type FileCalls } from '../../../src/shared/journal/files.js';
import { recordHash } from '../../../src/shared/sinks/kafka/topic-reader.js';
import { journalDirectory, TestJournal } from '../../support/journal.js';

const hashOf = (offset: number, topic: string): Buffer => recordHash(Buffer.from(`${topic} ${offset}`));

const entry = (offset: number, topic: string): Buffer => {
  const frame = Buffer.from(`{"type":"block","height":${offset}}`);
  return encodeGatewayEntry(
    { kind: 1, own: false, author: 'peer', receivedAt: 5, frame },
    { offset, hash: hashOf(offset, topic) },
  );
};

const cursorOf = (offset: number, topic = 'one'): string =>
  `${offset}.${hashOf(offset, topic).toString('hex', 0, 4)}`;

interface Kept {
  readonly test: TestJournal;
  readonly history: History;
  readonly end: Place;
}

/** A gateway's journal of the records at `offsets`, in batches of one to three, in small segments. */
function kept(context: TestContext, offsets: readonly number[], topic = 'one'): Kept {
  const directory = journalDirectory(context);
  const test = new TestJournal(directory, { segmentBytes: 900 });
  for (let n = 0; n < offsets.length; ) {
    const batch = offsets.slice(n, n + 1 + (n % 3));
    test.journal.append({ id: n, entries: batch.map((offset) => entry(offset, topic)) });
    n += batch.length;
  }
  const history = new History({ directory, scheme: GATEWAY_CURSORS });
  context.after(() => history.close());
  const { epoch, end: position, nextSeq: seq } = test.journal;
  return { test, history, end: { epoch, position, seq } };
}

/** Offsets of what `history` holds from `next` on. */
function offsetsFrom(history: History, next: Place, end: Place): number[] {
  const found: number[] = [];
  for (let at = next; at.position < end.position; ) {
    const { entries, epoch, next: after } = history.read(at, { end, maxBytes: 1 });
    for (const one of entries) found.push(history.tell(one, epoch).seq);
    at = after;
  }
  return found;
}

/** Each third record is not shown. */
const OFFSETS = Array.from({ length: 60 }, (_, n) => n + 100).filter((offset) => offset % 3 !== 0);

describe('a gateway’s cursor', () => {
  it('is the offset and the beginning of the record’s SHA-256, and means everything after it', (context) => {
    const { history, end } = kept(context, OFFSETS);
    for (const [index, offset] of OFFSETS.entries()) {
      const { next, infos } = history.resolve({ type: 'cursor', text: cursorOf(offset) }, { end });
      assert.deepEqual(infos, []);
      assert.deepEqual(offsetsFrom(history, next, end), OFFSETS.slice(index + 1));
    }
    const { entries, epoch } = history.read(history.oldest(end), { end, maxBytes: 1 });
    assert.ok(entries[0] !== undefined);
    assert.deepEqual(history.tell(entries[0], epoch), { cursor: cursorOf(100), epoch, seq: 100 });
  });

  it('of the place where the feed is now is looked for once, however many ask', (context) => {
    const { test, end } = kept(context, OFFSETS);
    let reads = 0;
    const files: FileCalls = {
      ...FILES,
      read(...args) {
        reads++;
        return FILES.read(...args);
      },
    };
    const history = new History({ directory: test.directory, scheme: GATEWAY_CURSORS, files });
    context.after(() => history.close());
    const last = cursorOf(OFFSETS.at(-1) ?? 0);
    assert.equal(history.cursorAt(end), last);
    const before = reads;
    for (let n = 0; n < 1000; n++) assert.equal(history.cursorAt(end), last);
    assert.equal(reads, before);
    const place = history.resolve({ type: 'cursor', text: cursorOf(110) }, { end }).next;
    assert.equal(history.cursorAt(place), cursorOf(110));
  });

  it('is the same at another gateway, whatever that has of the topic', (context) => {
    const one = kept(context, OFFSETS);
    const other = kept(context, OFFSETS.slice(10));
    const place = one.history.resolve({ type: 'cursor', text: cursorOf(130) }, { end: one.end }).next;
    const cursor = one.history.cursorAt(place);
    assert.equal(cursor, cursorOf(130));
    const { next, infos } = other.history.resolve({ type: 'cursor', text: cursor }, { end: other.end });
    assert.deepEqual(infos, []);
    assert.deepEqual(offsetsFrom(other.history, next, other.end), OFFSETS.slice(OFFSETS.indexOf(130) + 1));
  });

  it('of the place before which nothing is kept is the oldest', (context) => {
    for (const offsets of [OFFSETS, []]) {
      const { history, end } = kept(context, offsets);
      assert.equal(history.oldest(end).cursor, 'oldest');
    }
  });

  it('of a record that this gateway lacks, as it missed some, is behind what it has before those: what is missing is told', (context) => {
    const first = OFFSETS.slice(0, 12);
    const { test, history } = kept(context, first);
    test.journal.skip(7);
    const later = OFFSETS.slice(20);
    test.journal.append({ id: 1000, entries: later.map((offset) => entry(offset, 'one')) });
    const { epoch, end: position, nextSeq: seq } = test.journal;
    const end = { epoch, position, seq };
    for (const offset of [...OFFSETS.slice(12, 20), 101 + 18]) {
      const { next, infos } = history.resolve(
        { type: 'cursor', text: cursorOf(offset) },
        { end, strict: true },
      );
      assert.deepEqual(infos, []);
      assert.equal(history.cursorAt(next), cursorOf(first.at(-1) ?? 0));
      assert.deepEqual(
        history.read(next, { end, maxBytes: 1 }).before.map(({ code }) => code),
        ['gap'],
      );
      assert.deepEqual(offsetsFrom(history, next, end), later);
    }
  });

  it('of another record at the same offset is not taken: the topic is another', (context) => {
    const { history, end } = kept(context, OFFSETS);
    for (const text of [
      cursorOf(130, 'another'),
      cursorOf(99 + 100_000),
      cursorOf(131, 'another'),
      cursorOf(132),
    ]) {
      const { next, infos } = history.resolve({ type: 'cursor', text }, { end });
      assert.deepEqual(
        infos.map(({ code }) => code),
        ['cursor_unknown'],
        text,
      );
      assert.deepEqual(offsetsFrom(history, next, end), OFFSETS);
      assert.throws(
        () => history.resolve({ type: 'cursor', text }, { end, strict: true }),
        (error) => error instanceof FeedProblem && error.code === 'cursor_unknown',
      );
    }
  });

  it('of what is no longer kept is too old', (context) => {
    const { history, end } = kept(context, OFFSETS);
    const { infos, next } = history.resolve({ type: 'cursor', text: cursorOf(42) }, { end });
    assert.deepEqual([infos[0]?.code, next.position], ['cursor_too_old', 0]);
  });

  it('asked for by a time before what is kept, is too old where the topic had begun before', (context) => {
    const codes = (offsets: readonly number[], ms: number) => {
      const { history, end } = kept(context, offsets);
      return history.resolve({ type: 'since', ms }, { end }).infos.map(({ code }) => code);
    };
    assert.deepEqual(codes(OFFSETS, 0), ['cursor_too_old']);
    assert.deepEqual(codes(OFFSETS, Date.now() + 1e6), []);
    assert.deepEqual(codes([0, ...OFFSETS], 0), []);
    assert.deepEqual(codes([], 0), []);
  });

  for (const offsets of [OFFSETS, []]) {
    const has = offsets.length === 0 ? 'nothing yet' : 'less';

    it(`of a gateway that is ahead is found at one that has ${has} when its record has come, and before that neither taken nor refused`, (context) => {
      const { history, end, test } = kept(context, offsets);
      const ask = { type: 'cursor', text: cursorOf(170) } as const;
      const append = (...more: readonly number[]): Place => {
        test.journal.append({ id: more[0] ?? 0, entries: more.map((offset) => entry(offset, 'one')) });
        return { epoch: test.journal.epoch, position: test.journal.end, seq: test.journal.nextSeq };
      };
      for (const strict of [false, true]) {
        const { next, infos, awaited } = history.resolve(ask, { end, strict, waits: true });
        assert.deepEqual([infos, next, awaited], [[], end, ask.text]);
      }
      const nearer = append(160, 169);
      assert.equal(history.resolve(ask, { end: nearer, waits: true }).awaited, ask.text);
      const there = append(170, 171);
      const { next, infos, awaited } = history.resolve(ask, { end: there, strict: true });
      assert.deepEqual([infos, awaited], [[], undefined]);
      assert.deepEqual(offsetsFrom(history, next, there), [171]);
    });

    it(`of a gateway that is ahead is unknown at one that has ${has} where another record comes in its place, and to who cannot wait`, (context) => {
      const { history, end, test } = kept(context, offsets);
      const ask = { type: 'cursor', text: cursorOf(170, 'another') } as const;
      assert.equal(history.resolve(ask, { end, waits: true }).awaited, ask.text);
      assert.deepEqual(
        history.resolve(ask, { end }).infos.map(({ code }) => code),
        ['cursor_unknown'],
      );
      for (const offset of [170, 171]) {
        test.journal.append({ id: offset, entries: [entry(offset, 'one')] });
        const { epoch, end: position, nextSeq: seq } = test.journal;
        const here = { epoch, position, seq };
        const { next, infos, awaited } = history.resolve(ask, { end: here, waits: true });
        assert.deepEqual([infos.map(({ code }) => code), awaited], [['cursor_unknown'], undefined]);
        assert.deepEqual(next, history.resolve({ type: 'oldest' }, { end: here }).next);
        assert.throws(
          () => history.resolve(ask, { end: here, strict: true, waits: true }),
          (error) => error instanceof FeedProblem && error.code === 'cursor_unknown',
        );
      }
    });
  }

  it('of a place before which nothing was kept is found again, at the oldest', (context) => {
    const { history, end } = kept(context, OFFSETS);
    const text = history.oldest(end).cursor;
    const { next, infos } = history.resolve({ type: 'cursor', text }, { end });
    assert.deepEqual([infos, offsetsFrom(history, next, end)], [[], OFFSETS]);
  });

  for (const text of [
    '',
    '1',
    '1.',
    '.abcdef01',
    '1.abcdef0',
    '1.ABCDEF01',
    '1.abcdef012',
    '-1.abcdef01',
    '0123456789abcdef.7',
    `${'1'.repeat(10_000)}.abcdef01`,
  ]) {
    it(`is not ${JSON.stringify(text.slice(0, 20))}`, (context) => {
      const { history, end } = kept(context, OFFSETS);
      assert.throws(
        () => history.resolve({ type: 'cursor', text }, { end }),
        (error) => error instanceof FeedProblem && error.code === 'bad_parameter',
      );
    });
  }

  it('finds a gap where records will never be read', (context) => {
    const { history, test } = kept(context, OFFSETS.slice(0, 10));
    test.journal.skip(50);
    test.journal.append({ id: 1000, entries: [500, 501].map((offset) => entry(offset, 'one')) });
    const { epoch, end: position, nextSeq: seq } = test.journal;
    const end = { epoch, position, seq };
    const { next } = history.resolve({ type: 'cursor', text: cursorOf(OFFSETS[8] ?? 0) }, { end });
    const codes: string[] = [];
    const offsets: number[] = [];
    for (let at = next; at.position < end.position; ) {
      const read = history.read(at, { end, maxBytes: 1 });
      codes.push(...read.before.map(({ code }) => code));
      for (const one of read.entries) offsets.push(history.tell(one, read.epoch).seq);
      codes.push(...read.after.map(({ code }) => code));
      at = read.next;
    }
    assert.deepEqual(offsets, [OFFSETS[9], 500, 501]);
    assert.deepEqual(codes, ['gap']);
  });
});
