import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { View } from '../../../../src/workers/websocket-server/feed/view.js';
import { kindNamed } from '../../../support/kinds.js';
import { type TestOutlet, testFeed, turnsUntil } from '../../../support/live-feed.js';

/** Four of them are a step. */
const PADDING = 'x'.repeat(16 * 1024);
const BLOCK = { kind: 'block', padding: PADDING };
const SUBTREE = { kind: 'subtree', padding: PADDING };

const VIEWS: readonly (readonly [name: string, view: Partial<View>])[] = [
  ['frame by frame', {}],
  ['of a kind', { kinds: [kindNamed('block').id] }],
  ['of a peer', { peers: ['peer'] }],
  ['in batches', { batchMs: 50 }],
  ['in compressed batches', { batchMs: 50, gzip: true }],
  ['in batches of a kind', { batchMs: 50, kinds: [kindNamed('block').id] }],
];

const numbers = (outlet: TestOutlet) => outlet.frames.map(({ n }) => n);
const upTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1);

for (const [name, view] of VIEWS)
  describe(`where replay and live feed meet, ${name}`, () => {
    it('nothing is missing and nothing comes twice, whatever is published between any two steps', async (t) => {
      for (let stored = 0; stored <= 6; stored++) {
        for (let meanwhile = 0; meanwhile <= 6; meanwhile++) {
          const { announce, join } = testFeed(t);
          for (let index = 0; index < stored; index++) announce(BLOCK);
          let left = meanwhile;
          const outlet = join({ type: 'oldest' }, view, (each) => {
            each.written = () => {
              if (left > 0) announce(BLOCK);
              left--;
            };
          });
          await turnsUntil(() => outlet.topics.size > 0, 'the live feed to be joined');
          const last = announce(BLOCK);
          await turnsUntil(() => outlet.frames.at(-1)?.n === last, 'the last frame');
          assert.deepEqual(numbers(outlet), upTo(last), `${stored} stored, ${meanwhile} meanwhile`);
          assert.deepEqual(
            outlet.controls.map(({ type }) => type),
            ['hello'],
          );
        }
      }
    });

    it('each cursor on the way leads to what is behind it', async (t) => {
      const { announce, join } = testFeed(t);
      const first = join(undefined, view);
      const last = 12;
      for (let index = 0; index < last; index++) announce(BLOCK);
      await turnsUntil(() => first.frames.at(-1)?.n === last, 'the last frame');
      for (const { cursor, n } of first.frames) {
        const outlet = join({ type: 'cursor', text: cursor }, view);
        await turnsUntil(() => outlet.topics.size > 0, 'the live feed to be joined');
        assert.deepEqual(numbers(outlet), upTo(last).slice(n));
        outlet.reader?.close();
      }
    });
  });

describe('the live feed', () => {
  it('brings who came while a batch was gathered all of what follows its hello, and nothing before', async (t) => {
    const { announce, join } = testFeed(t);
    const early = join(undefined, { batchMs: 250 });
    announce(BLOCK, SUBTREE);
    const hello = join(undefined, { batchMs: 250 });
    const behind = join({ type: 'now' }, { batchMs: 250 });
    const last = announce(BLOCK);
    await turnsUntil(
      () => [early, hello, behind].every(({ frames }) => frames.at(-1)?.n === last),
      'the batch',
    );
    assert.deepEqual(numbers(early), [1, 2, 3]);
    for (const outlet of [hello, behind]) {
      const [{ cursor }] = outlet.controls as unknown as [{ cursor: string }];
      const again = join({ type: 'cursor', text: cursor });
      await turnsUntil(() => again.topics.size > 0, 'the live feed to be joined');
      assert.deepEqual(numbers(outlet), numbers(again));
    }
  });

  it('has who comes with the newest cursor wait for the batch that has some of what it has already', async (t) => {
    const { announce, join } = testFeed(t);
    const batched = join(undefined, { batchMs: 250 });
    const single = join();
    announce(BLOCK);
    const resumed = join({ type: 'cursor', text: String(single.frames.at(-1)?.cursor) }, { batchMs: 250 });
    const last = announce(BLOCK);
    await turnsUntil(() => batched.frames.at(-1)?.n === last, 'the batch');
    const next = announce(BLOCK);
    await turnsUntil(() => resumed.frames.at(-1)?.n === next, 'the next batch');
    assert.deepEqual(numbers(resumed), [2, 3]);
  });

  it('does not leak a kind or a peer past a filter, live or replayed', async (t) => {
    const { announce, join } = testFeed(t);
    const kinds = [kindNamed('block').id, kindNamed('bestblock').id];
    const views: Partial<View>[] = [
      { kinds },
      { peers: ['a', 'b'] },
      { kinds, peers: ['a', 'b'] },
      { kinds, batchMs: 50 },
      { kinds, batchMs: 50, gzip: true },
    ];
    const lets = ({ kinds: ids, peers }: Partial<View>, kind: string, author: string) =>
      (ids === undefined || ids.includes(kindNamed(kind).id)) &&
      (peers === undefined || peers.includes(author));
    const live = views.map((view) => join(undefined, view));
    const sent: { kind: string; author: string }[] = [];
    for (const kind of ['block', 'subtree', 'bestblock', 'node_status', 'rejected_tx'])
      for (const author of ['a', 'b', 'c', '']) sent.push({ kind, author });
    announce(...sent);
    const replayed = views.map((view) => join({ type: 'oldest' }, view));
    for (const [index, view] of views.entries()) {
      const wanted = sent.flatMap(({ kind, author }, at) => (lets(view, kind, author) ? [at + 1] : []));
      for (const outlet of [live[index], replayed[index]] as TestOutlet[]) {
        await turnsUntil(
          () => outlet.frames.length >= wanted.length && outlet.topics.size > 0,
          'what is let through',
        );
        assert.deepEqual(numbers(outlet), wanted);
      }
    }
  });
});
