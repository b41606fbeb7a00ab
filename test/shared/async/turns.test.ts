import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Serial } from '../../../src/shared/async/serial.js';
import { SingleFlight } from '../../../src/shared/async/single-flight.js';
import { Wake } from '../../../src/shared/async/wake.js';

test('a serial runs one after the other, also after one that fails', async () => {
  const serial = new Serial();
  const events: string[] = [];
  const work =
    (name: string, fails = false) =>
    async () => {
      events.push(`${name} begins`);
      await nextTurn();
      events.push(`${name} ends`);
      if (fails) throw new Error(name);
      return name;
    };
  const [one, two, three] = [
    serial.run(work('one')),
    serial.run(work('two', true)),
    serial.run(() => 'three'),
  ];
  await assert.rejects(two, { message: 'two' });
  assert.deepEqual([await one, await three], ['one', 'three']);
  assert.deepEqual(events, ['one begins', 'one ends', 'two begins', 'two ends']);
});

test('a serial is idle when all that it was given has ended', async () => {
  const serial = new Serial();
  await serial.idle();
  let ended = 0;
  for (let n = 0; n < 3; n++) {
    void serial
      .run(async () => {
        await nextTurn();
        ended++;
        throw new Error('failed');
      })
      .catch(() => {});
  }
  await serial.idle();
  assert.equal(ended, 3);
});

test('a single flight is shared by who comes while it is under way, its failure too', async () => {
  const flight = new SingleFlight<number>();
  let flights = 0;
  const fly = async (): Promise<number> => {
    const flown = ++flights;
    await nextTurn();
    if (flown === 2) throw new Error('lost');
    return flown;
  };
  assert.deepEqual(await Promise.all([flight.run(fly), flight.run(fly), flight.underWay]), [1, 1, 1]);
  const lost = await Promise.allSettled([flight.run(fly), flight.run(fly)]);
  assert.deepEqual(
    lost.map(({ status }) => status),
    ['rejected', 'rejected'],
  );
  assert.equal(flight.underWay, undefined);
  assert.equal(await flight.run(fly), 3);
});

test('a wake wakes everybody who waits, once, and nobody who comes later', async () => {
  const wake = new Wake();
  wake.wake();
  let woken = 0;
  const wait = async (): Promise<void> => {
    await wake.wait();
    woken++;
  };
  const [one, two] = [wait(), wait()];
  await nextTurn();
  assert.equal(woken, 0);
  wake.wake();
  const late = wait();
  await Promise.all([one, two]);
  await nextTurn();
  assert.equal(woken, 2);
  wake.wake();
  await late;
});
