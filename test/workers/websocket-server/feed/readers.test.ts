import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join as pathOf } from 'node:path';
import { describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { monotonic } from '../../../../src/shared/clock.js';
import { FILES } from '../../../../src/shared/journal/files.js';
import { segmentName, segmentsAmong } from '../../../../src/shared/journal/layout.js';
import { FRAME_KINDS } from '../../../../src/shared/messages/index.js';
import { QUEUES } from '../../../../src/shared/queues.js';
import { type TestOutlet, testFeed, turnsUntil } from '../../../support/live-feed.js';
import { waitFor } from '../../../support/wait.js';

const KIB = 1024;
const PADDING = 'x'.repeat(4 * KIB);
const BLOCK = { kind: 'block', padding: PADDING };
/** Of replayed frames that a consumer has not taken: the bound, what is written at once, and a frame. */
const REPLAY_BYTES = QUEUES.replayToClient.bounds.bytes + 64 * KIB + 8 * KIB;

const numbers = (outlet: TestOutlet) => outlet.frames.map(({ n }) => n);
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);
const infos = (outlet: TestOutlet) =>
  outlet.controls.flatMap((each) => (each.type === 'info' ? [each.code] : []));

/** Deletes the journal's oldest segments, but for the newest `kept`. */
function shorten(directory: string, kept: number): void {
  const firsts = segmentsAmong(FILES.list(directory));
  for (const first of firsts.slice(0, -kept)) rmSync(pathOf(directory, segmentName(first)));
}

describe('a reader', () => {
  it('that replays and takes nothing costs its bound, and is served on when it takes something', async (t) => {
    const { announce, join } = testFeed(t);
    for (let index = 0; index < 200; index++) announce(BLOCK, BLOCK);
    const stalled = join({ type: 'oldest' }, {}, (outlet) => {
      outlet.reads = false;
    });
    const brisk = join({ type: 'oldest' });
    await turnsUntil(() => brisk.frames.length === 400, 'another reader to be done');
    assert.ok(
      stalled.buffered > QUEUES.replayToClient.bounds.bytes && stalled.buffered <= REPLAY_BYTES,
      `${stalled.buffered}`,
    );
    stalled.reads = true;
    stalled.buffered = 0;
    stalled.reader?.drained();
    const last = announce(BLOCK);
    await turnsUntil(() => stalled.frames.at(-1)?.n === last, 'the rest');
    assert.deepEqual(numbers(stalled), range(1, last));
  });

  it('that falls behind leaves the live feed, goes on from the journal and joins again', async (t) => {
    const { announce, join } = testFeed(t, { clientBuffer: 128 * KIB });
    const outlet = join();
    outlet.reads = false;
    for (let index = 0; index < 500; index++) announce(BLOCK);
    assert.ok(outlet.buffered < 512 * KIB, `${outlet.buffered} bytes`);
    assert.equal(outlet.topics.size, 0);
    outlet.reads = true;
    outlet.buffered = 0;
    outlet.reader?.drained();
    await turnsUntil(() => outlet.topics.size > 0, 'the live feed to be joined again');
    const last = announce(BLOCK);
    assert.deepEqual(numbers(outlet), range(1, last));
  });

  it('is ended when the journal no longer has what it needs next, with the cursor to go on from', async (t) => {
    const { announce, join, directory } = testFeed(t, { segmentBytes: 128 * KIB });
    for (let index = 0; index < 200; index++) announce(BLOCK, BLOCK);
    const outlet = join({ type: 'oldest' }, {}, (each) => {
      each.reads = false;
    });
    await turnsUntil(() => outlet.buffered > QUEUES.replayToClient.bounds.bytes, 'the reader to be full');
    shorten(directory, 2);
    await waitFor(() => outlet.problem !== undefined, { what: 'its end' });
    assert.equal(outlet.problem?.code, 'too_slow');
    assert.equal(outlet.endedAt, outlet.frames.at(-1)?.cursor);
    const again = join({ type: 'cursor', text: String(outlet.endedAt) });
    const last = announce(BLOCK);
    await turnsUntil(() => again.frames.at(-1)?.n === last, 'the rest');
    assert.deepEqual(infos(again), ['cursor_too_old']);
  });

  it('is told of a gap where a part of the journal is gone, in its place', async (t) => {
    const { announce, join, directory } = testFeed(t, { segmentBytes: 128 * KIB });
    for (let index = 0; index < 200; index++) announce(BLOCK);
    const firsts = segmentsAmong(FILES.list(directory));
    const lost = Number(firsts[2]);
    rmSync(pathOf(directory, segmentName(lost)));
    const order: (number | string)[] = [];
    const outlet = join({ type: 'oldest' }, {}, (each) => {
      each.written = () =>
        order.push(...numbers(each).slice(order.filter((n) => typeof n === 'number').length));
      each.control = (frame) => {
        if (frame.type === 'info') order.push(`${frame.code} ${frame.from} ${frame.to}`);
      };
    });
    await turnsUntil(() => outlet.topics.size > 0, 'the live feed to be joined');
    const next = Number(firsts[3]);
    assert.deepEqual(order, [...range(1, lost), `gap ${lost} ${next - 1}`, ...range(next + 1, 200)]);
  });

  it('is told of it once, however many wait for their messages to be compressed', async (t) => {
    const { announce, join, directory } = testFeed(t, { segmentBytes: 128 * KIB });
    for (let index = 0; index < 200; index++) announce(BLOCK);
    const firsts = segmentsAmong(FILES.list(directory));
    rmSync(pathOf(directory, segmentName(Number(firsts[2]))));
    const many = 4 * QUEUES.stretches.bounds.compressing;
    const view = { batchMs: 50, gzip: true };
    const outlets = Array.from({ length: many }, () => join({ type: 'oldest' }, view));
    for (const outlet of outlets) {
      await turnsUntil(() => outlet.topics.size > 0, 'the live feed to be joined');
      assert.deepEqual(infos(outlet), ['gap']);
    }
  });

  it('is told nothing of the server’s files where they cannot be read', async (t) => {
    const { announce, join, directory } = testFeed(t);
    for (let index = 0; index < 200; index++) announce(BLOCK, BLOCK);
    const outlet = join({ type: 'oldest' }, {}, (each) => {
      each.reads = false;
    });
    await turnsUntil(() => outlet.buffered > QUEUES.replayToClient.bounds.bytes, 'the reader to be full');
    rmSync(directory, { recursive: true });
    assert.throws(
      () => join({ type: 'oldest' }),
      (problem: Error) =>
        !problem.message.includes(directory) && 'code' in problem && problem.code === 'unavailable',
    );
    outlet.buffered = 0;
    outlet.reader?.drained();
    await turnsUntil(() => outlet.problem !== undefined || outlet.topics.size > 0, 'its end');
    assert.ok(!outlet.problem?.body().includes(directory), outlet.problem?.body());
  });

  it('goes on from the journal where the live feed has a gap', async (t) => {
    const { announce, missed, join, feed } = testFeed(t);
    const outlets = [join(), join(undefined, { batchMs: 50 }), join(undefined, { batchMs: 50, gzip: true })];
    announce(BLOCK);
    missed(BLOCK, BLOCK);
    feed.gap();
    const last = announce(BLOCK);
    for (const outlet of outlets) {
      await turnsUntil(() => outlet.frames.at(-1)?.n === last, 'the last frame');
      assert.deepEqual(numbers(outlet), range(1, last));
      assert.deepEqual(infos(outlet), []);
    }
  });

  it('is told the cursor every half minute while nothing comes through, and that leads on', async (t) => {
    const { announce, join } = testFeed(t);
    const outlet = join(undefined, { peers: ['somebody'] });
    const last = announce(BLOCK, BLOCK);
    outlet.reader?.tick(monotonic() + 29_000, () => assert.fail('not asked'));
    assert.notEqual(outlet.controls.at(-1)?.type, 'cursor');
    outlet.reader?.tick(monotonic() + 30_001, () => assert.fail('not asked'));
    const told = outlet.controls.at(-1);
    assert.equal(told?.type, 'cursor');
    const again = join({ type: 'cursor', text: String((told as { cursor: string }).cursor) });
    const next = announce(BLOCK);
    await turnsUntil(() => again.frames.at(-1)?.n === next, 'what follows');
    assert.deepEqual(numbers(again), [last + 1]);
  });
});

describe('many readers', () => {
  it('a thousand replay at once, share what is read, and the live feed does not wait for them', async (t) => {
    const { announce, join } = testFeed(t);
    for (let index = 0; index < 50; index++) announce(BLOCK);
    const live = join();
    const replaying = Array.from({ length: 1000 }, () => join({ type: 'oldest' }));
    let turns = 0;
    const isDone = (outlet: TestOutlet) => outlet.frames.length >= 50;
    while (!replaying.every(isDone)) {
      const n = announce(BLOCK);
      // In the turn in which it is published.
      assert.equal(live.frames.at(-1)?.n, n);
      turns++;
      await nextTurn();
    }
    assert.ok(turns > 1, 'all of it in one turn');
    const last = announce(BLOCK);
    await turnsUntil(() => replaying.every(({ frames }) => frames.at(-1)?.n === last), 'all to be live');
    for (const outlet of replaying) assert.deepEqual(numbers(outlet), range(1, last));
  });
});

describe('what the live feed holds', () => {
  it('of stretches that were read is bounded, however many replay at different places', async (t) => {
    const { announce, join, feed } = testFeed(t);
    const frames = 6_000;
    for (let index = 0; index < frames / 10; index++) announce(...Array(10).fill(BLOCK));
    const views = [{}, { batchMs: 50 }, { batchMs: 50, gzip: true }];
    // Of few readers less is kept than the bound.
    const outlets = Array.from({ length: 5 }, () =>
      views.map((view) => join({ type: 'oldest' }, view)),
    ).flat();
    let most = 0;
    await turnsUntil(() => {
      most = Math.max(most, feed.cachedBytes);
      return outlets.every(({ topics }) => topics.size > 0);
    }, 'all to be live');
    const { bytes } = QUEUES.stretches.bounds;
    assert.ok(most > bytes / 2 && most <= bytes + 2 * 1024 * KIB, `${most} bytes`);
    for (const outlet of outlets) assert.deepEqual(numbers(outlet), range(1, frames));
  });

  it('of filters is bounded: one client too many is refused, and let in when another has gone', (t) => {
    const { join } = testFeed(t);
    const kinds = FRAME_KINDS.map(({ id }) => id);
    const peers = Array.from({ length: 100 }, (_, index) => `peer ${index}`);
    const each = kinds.length * peers.length;
    const outlets = Array.from({ length: Math.floor(QUEUES.filters.bounds.subscriptions / each) }, () =>
      join(undefined, { kinds, peers }),
    );
    const more = () => join(undefined, { kinds, peers });
    assert.throws(more, { code: 'too_many_filters' });
    // Who names no peer does not pay for them.
    join();
    join(undefined, { kinds });
    outlets[0]?.reader?.close();
    more();
    assert.throws(more, { code: 'too_many_filters' });
  });

  it('of different batches is bounded, as is what waits to be compressed: its readers go on from the journal', async (t) => {
    const { announce, join } = testFeed(t);
    const form = { gzip: true, batchMs: 50 };
    const { batches, bytes } = QUEUES.batches.bounds;
    const outlets = Array.from({ length: batches }, (_, index) =>
      join(undefined, { ...form, batchMs: 1000 + index }),
    );
    assert.throws(() => join(undefined, form), { code: 'too_many_renderings' });
    for (const outlet of outlets.splice(1)) outlet.reader?.close();
    const [outlet] = outlets as [TestOutlet];
    let last = 0;
    for (let sent = 0; sent < 2 * bytes; sent += 10 * PADDING.length)
      last = announce(...Array(10).fill(BLOCK));
    assert.equal(outlet.topics.size, 0, 'it has left the live feed');
    await turnsUntil(() => outlet.topics.size > 0, 'it to be live again');
    assert.deepEqual(numbers(outlet), range(1, last));
  });
});
