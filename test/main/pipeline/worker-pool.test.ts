import assert from 'node:assert/strict';
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { createPool } from '../../../src/main/pipeline/worker-pool.js';
import { keptLog } from '../../support/logger.js';

const POOLS = 40;

it('ends its threads alone, at whatever moment of their start', async () => {
  let ended = 0;
  for (let n = 0; n < POOLS; n++) {
    const pool = createPool(
      {
        name: 'checkers',
        file: new URL('../../../src/workers/checker.js', import.meta.url),
        threads: 3,
        workerData: undefined,
        concurrentTasks: 1,
        maxOldSpaceMb: 64,
        onDeath: () => ended++,
      },
      keptLog().logger,
    );
    // The moment itself is what is tried: from before the modules are read until after they run.
    await delay(50 + ((n * 37) % 150));
    await pool.destroy();
    assert.equal(pool.threads.length, 0);
  }
  // A thread that took the process with it would not come here.
  assert.ok(ended >= POOLS);
});

it('gives a thread’s young objects a few MiB, however many there are', async (context) => {
  const pool = createPool(
    {
      name: 'checkers',
      file: new URL('../../support/young-objects.js', import.meta.url),
      threads: 1,
      workerData: undefined,
      concurrentTasks: 1,
      maxOldSpaceMb: 128,
      onDeath: () => {},
    },
    keptLog().logger,
  );
  context.after(() => pool.destroy());
  const bytes = (await pool.run(undefined)) as number;
  assert.ok(bytes > 0 && bytes <= 12 * 2 ** 20, `${bytes} bytes`);
});
