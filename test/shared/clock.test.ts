import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { monotonic, SteadyClock } from '../../src/shared/clock.js';

const HOUR = 3_600_000;

/** A machine on which time passes, and whose clock can be set. */
function machine() {
  const time = { passed: 5_000, set: 1_800_000_000_000 };
  const clock = new SteadyClock({ wall: () => time.passed + time.set, monotonic: () => time.passed });
  return { time, clock, wall: () => time.passed + time.set };
}

test('steady time is the time of day while nobody sets the clock', () => {
  const { time, clock, wall } = machine();
  for (let n = 0; n < 1000; n++) {
    time.passed += n;
    assert.equal(clock.now(), wall());
  }
});

for (const [how, set] of [
  ['back', -HOUR],
  ['forward', HOUR],
] as const) {
  test(`a clock set ${how} an hour moves steady time by no more than a tenth, until it is there`, () => {
    const { time, clock, wall } = machine();
    clock.now();
    time.set += set;
    let before = clock.now();
    assert.ok(Math.abs(wall() - before - set) <= 1, 'no jump');
    for (let minute = 0; minute < 11 * 60; minute++) {
      time.passed += 60_000;
      const now = clock.now();
      assert.ok(now - before >= 54_000 - 1 && now - before <= 66_000 + 1, `a minute took ${now - before} ms`);
      before = now;
      if (minute === 5 * 60) assert.ok(Math.abs(wall() - now) > HOUR / 3);
    }
    assert.equal(clock.now(), wall());
  });
}

test('steady time never goes back, however often it is asked and whatever the clock does', () => {
  const { time, clock } = machine();
  let before = clock.now();
  for (let n = 0; n < 100_000; n++) {
    time.passed += (n % 7) * 0.1;
    time.set += ((n * 7919) % 2001) - 1000;
    const now = clock.now();
    assert.ok(now >= before && Number.isInteger(now));
    before = now;
  }
});

test('the monotonic clock is the same in every thread', async () => {
  const { href } = new URL('../../src/shared/clock.js', import.meta.url);
  const program = `import(${JSON.stringify(href)}).then(({ monotonic }) => require('node:worker_threads').parentPort.postMessage(monotonic()))`;
  const before = monotonic();
  const worker = new Worker(program, { eval: true });
  const theirs = await new Promise<number>((resolve, reject) =>
    worker.once('message', resolve).once('error', reject),
  );
  await worker.terminate();
  assert.ok(theirs >= before && theirs <= monotonic(), `${before} ${theirs}`);
});

test('every process and thread of the server gives libraries a time that does not jump', () => {
  const entries = readdirSync('src/workers').filter(
    (name) => name.endsWith('.ts') && !name.endsWith('.d.ts'),
  );
  assert.ok(entries.length >= 4, String(entries));
  for (const path of ['src/main/cli/index.ts', ...entries.map((name) => `src/workers/${name}`)]) {
    assert.match(readFileSync(path, 'utf8'), /^steadyLibraries\(\);$/m, path);
  }
});
