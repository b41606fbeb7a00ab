import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Repeating } from '../../../src/shared/async/repeat.js';
import { waitFor } from '../../support/wait.js';

const NEVER_MS = 3_600_000;

/** Rounds that end when they are told to. */
function heldRounds(options: { readonly everyMs: number }) {
  const ends: (() => void)[] = [];
  let begun = 0;
  const repeating = new Repeating(() => {
    begun++;
    return new Promise<void>((resolve) => ends.push(resolve));
  }, options);
  return { repeating, begun: () => begun, end: () => ends.shift()?.() };
}

test('rounds follow one another and never overlap', async () => {
  let under = 0;
  let rounds = 0;
  const repeating = new Repeating(
    async () => {
      assert.equal(++under, 1);
      await nextTurn();
      under--;
      rounds++;
    },
    { everyMs: 1 },
  );
  repeating.start();
  await waitFor(() => rounds >= 5, { what: 'five rounds' });
  await repeating.stop();
  const ended = rounds;
  repeating.again(0);
  let others = 0;
  const other = new Repeating(() => others++ && undefined, { everyMs: 1 });
  other.start();
  await waitFor(() => others >= 5, { what: 'five rounds of another' });
  await other.stop();
  assert.equal(rounds, ended, 'none begins after the stop');
});

test('a round that fails is told, and the next comes', async () => {
  const failures: string[] = [];
  let rounds = 0;
  const repeating = new Repeating(
    () => {
      rounds++;
      throw new Error(`round ${rounds}`);
    },
    { everyMs: 1, onError: (error) => failures.push((error as Error).message) },
  );
  repeating.start(0);
  await waitFor(() => failures.length >= 2, { what: 'two failures' });
  assert.equal(repeating.underWay, false);
  await repeating.stop();
  assert.deepEqual(failures.slice(0, 2), ['round 1', 'round 2']);
});

test('the time to the next round is what the round gave, what was told meanwhile, or the usual', async () => {
  const gave = [1, 1, NEVER_MS];
  let rounds = 0;
  const repeating = new Repeating(() => gave[rounds++], { everyMs: NEVER_MS });
  repeating.start(0);
  await waitFor(() => rounds === 3, { what: 'the rounds that a round called for' });
  repeating.again(1);
  await waitFor(() => rounds === 4, { what: 'the round that was called for between rounds' });
  await repeating.stop();
  const held = heldRounds({ everyMs: NEVER_MS });
  held.repeating.start(0);
  await waitFor(() => held.begun() === 1, { what: 'a round' });
  assert.equal(held.repeating.underWay, true);
  held.repeating.again(1);
  held.end();
  await waitFor(() => held.begun() === 2, { what: 'the round that was called for during one' });
  held.end();
  await held.repeating.stop();
});

test('a stop waits for the round under way, and is followed by another start', async () => {
  const held = heldRounds({ everyMs: NEVER_MS });
  held.repeating.start(0);
  await waitFor(() => held.begun() === 1, { what: 'a round' });
  let stopped = false;
  const stopping = held.repeating.stop().then(() => {
    stopped = true;
  });
  await nextTurn();
  assert.equal(stopped, false);
  held.end();
  await stopping;
  held.repeating.start(0);
  await waitFor(() => held.begun() === 2, { what: 'a round after another start' });
  held.end();
  await held.repeating.stop();
});

test('its pauses keep the process alive only where it is told', () => {
  const module = JSON.stringify(new URL('../../../src/shared/async/repeat.js', import.meta.url).href);
  const rounds = (options: string): string => {
    const program = `
      import { Repeating } from ${module};
      let rounds = 0;
      const repeating = new Repeating(() => {
        console.log(++rounds);
        if (rounds === 2) void repeating.stop();
      }, ${options});
      repeating.start(20);`;
    const args = ['--input-type=module', '--eval', program];
    return spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 60_000 }).stdout;
  };
  assert.equal(rounds('{ everyMs: 20 }'), '');
  assert.equal(rounds('{ everyMs: 20, ref: true }'), '1\n2\n');
});
