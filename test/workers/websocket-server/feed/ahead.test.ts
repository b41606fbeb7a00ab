/** A reader whose cursor is of a record that another gateway has already, or of another topic: which of them, only what comes tells. */

import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { monotonic } from '../../../../src/shared/clock.js';
import { GATEWAY_CURSORS } from '../../../../src/shared/firehose/gateway-cursors.js';
import { encodeGatewayEntry } from '../../../../src/shared/firehose/gateway-entry.js';
import { block } from '../../../../src/shared/messages/index.js';
import { recordHash } from '../../../../src/shared/sinks/kafka/topic-reader.js';
import { type TestOutlet, testFeed, turnsUntil } from '../../../support/live-feed.js';

/** Some more than a client waits for. */
const HALF_MINUTE = 30_001;

const hashOf = (offset: number, topic: string): Buffer => recordHash(Buffer.from(`${topic} ${offset}`));

const cursorOf = (offset: number, topic = 'one'): string =>
  `${offset}.${hashOf(offset, topic).toString('hex', 0, 4)}`;

const entry = (offset: number): Buffer => {
  const frame = Buffer.from(`{"type":"block","n":${offset}}`);
  return encodeGatewayEntry(
    { kind: block.id, own: false, author: 'peer', receivedAt: 5, frame },
    { offset, hash: hashOf(offset, 'one') },
  );
};

/** A gateway's feed, which has the records 0 to 4. */
function gatewayFeed(context: TestContext, options: Parameters<typeof testFeed>[1] = {}) {
  const { publish, join, ...rest } = testFeed(context, { scheme: GATEWAY_CURSORS, ...options });
  const come = (from: number, to: number): void => {
    for (let offset = from; offset <= to; offset++) publish(entry(offset));
  };
  come(0, 4);
  return {
    come,
    join: (text: string, { view = {}, strict = false } = {}) =>
      join({ type: 'cursor', text }, view, undefined, strict),
    ...rest,
  };
}

const offsets = (outlet: TestOutlet): number[] => outlet.frames.map(({ n }) => n);
const infos = (outlet: TestOutlet): unknown[] =>
  outlet.controls.flatMap((each) => (each.type === 'info' ? [each.code] : []));
const cursorsTold = (outlet: TestOutlet): unknown[] =>
  outlet.controls.map((each) => ('cursor' in each ? each.cursor : undefined));

const isOver = ({ problem }: TestOutlet): boolean => problem !== undefined;

async function turns(): Promise<void> {
  for (let n = 0; n < 20; n++) await nextTurn();
}

describe('a reader whose cursor is of a record that is not here yet', () => {
  for (const view of [{}, { batchMs: 50 as const }, { batchMs: 50 as const, gzip: true }])
    it(`is sent what is behind that record, once it has come, and nothing twice: ${JSON.stringify(view)}`, async (context) => {
      const { come, join } = gatewayFeed(context);
      const outlet = join(cursorOf(8), { view, strict: true });
      assert.deepEqual(cursorsTold(outlet), [cursorOf(8)]);
      come(5, 7);
      await turns();
      assert.deepEqual([offsets(outlet), infos(outlet)], [[], []]);
      come(8, 9);
      await turnsUntil(() => outlet.frames.length > 0, 'the first frame');
      come(10, 12);
      await turnsUntil(() => outlet.frames.length >= 4, 'the rest');
      assert.deepEqual([offsets(outlet), infos(outlet)], [[9, 10, 11, 12], []]);
    });

  it('is told that its cursor is unknown where another record comes in its place, and goes on from the oldest', async (context) => {
    const { come, join } = gatewayFeed(context);
    const outlet = join(cursorOf(8, 'another'));
    come(5, 7);
    await turns();
    assert.deepEqual([offsets(outlet), infos(outlet)], [[], []]);
    come(8, 9);
    await turnsUntil(() => outlet.frames.length >= 10, 'what there is');
    come(10, 10);
    assert.deepEqual(infos(outlet), ['cursor_unknown']);
    await turnsUntil(() => outlet.frames.length >= 11, 'what comes');
    assert.deepEqual(offsets(outlet), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  it('is told so too where no record has that offset', async (context) => {
    const { come, join } = gatewayFeed(context);
    const outlet = join(cursorOf(8));
    come(9, 9);
    await turnsUntil(() => outlet.frames.length >= 6, 'what there is');
    assert.deepEqual([infos(outlet), offsets(outlet)], [['cursor_unknown'], [0, 1, 2, 3, 4, 9]]);
  });

  it('is ended with cursor_unknown instead where it is strict', async (context) => {
    const { come, join } = gatewayFeed(context);
    const outlet = join(cursorOf(8, 'another'), { strict: true });
    come(5, 7);
    await turns();
    assert.ok(!isOver(outlet));
    come(8, 8);
    await turnsUntil(() => isOver(outlet), 'its end');
    assert.deepEqual([outlet.problem?.code, outlet.problem?.close], ['cursor_unknown', 4410]);
    assert.deepEqual(outlet.problem?.extra, { oldest: 'oldest' });
    assert.deepEqual([outlet.endedAt, offsets(outlet)], ['oldest', []]);
  });

  it('waits half a minute from when something comes, and no longer: then its cursor is of another topic', async (context) => {
    const { come, join } = gatewayFeed(context);
    const outlet = join(cursorOf(5000));
    const began = monotonic();
    const tick = (ms: number) => outlet.reader?.tick(began + ms, () => assert.fail('not asked'));
    // While nothing comes nothing is missed, and it is told its own place as everybody is.
    tick(HALF_MINUTE);
    tick(2 * HALF_MINUTE);
    await turns();
    assert.deepEqual(cursorsTold(outlet), Array(3).fill(cursorOf(5000)));
    come(5, 5);
    tick(3 * HALF_MINUTE);
    tick(3 * HALF_MINUTE + 29_000);
    await turns();
    assert.deepEqual([offsets(outlet), infos(outlet)], [[], []]);
    tick(4 * HALF_MINUTE);
    await turnsUntil(() => outlet.frames.length >= 6, 'what there is');
    come(6, 6);
    await turnsUntil(() => outlet.frames.length >= 7, 'what comes');
    assert.deepEqual([offsets(outlet), infos(outlet)], [[0, 1, 2, 3, 4, 5, 6], ['cursor_unknown']]);
  });

  it('that is ended meanwhile is told its own cursor', (context) => {
    const { feed, join } = gatewayFeed(context);
    const outlet = join(cursorOf(8));
    feed.stop();
    assert.deepEqual([outlet.problem?.code, outlet.endedAt], ['unavailable', cursorOf(8)]);
  });
});
