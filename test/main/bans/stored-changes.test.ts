import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { createBanMetrics } from '../../../src/main/bans/metrics.js';
import { StoredChanges } from '../../../src/main/bans/stored-changes.js';
import type { BanEntry, BanStore } from '../../../src/main/bans/types.js';
import { keptLog } from '../../support/logger.js';

const BOUND = 5_000;

test('at the bound of keys that wait a further change is answered as not stored, and those that wait may change', async () => {
  const registry = new Registry();
  const { logger } = keptLog();
  // A store that takes its time over the first change, and then is well.
  let answer: () => void = () => {};
  const stored: string[] = [];
  const store = {
    put: async ({ key }: BanEntry) => {
      if (stored.push(key) === 1) await new Promise<void>((resolve) => (answer = resolve));
    },
    delete: async (key: string) => void stored.push(`not ${key}`),
  } as unknown as BanStore;
  const changes = new StoredChanges(
    { store, logger, metrics: createBanMetrics(registry) },
    { maxWaiting: BOUND },
  );
  const write = (key: string): Promise<void> =>
    changes.write(key, { entry: { key, kind: 'peer', until: Date.now() + 60_000, origin: 'operator' } });

  const writes = [write('first')];
  for (let n = 0; n < BOUND; n++) writes.push(write(`key ${n}`));
  assert.equal(changes.size, BOUND);
  const gauge = await registry.getSingleMetric('teranode_p2p_bans_unstored')?.get();
  assert.equal(gauge?.values[0]?.value, BOUND);
  await assert.rejects(write('one too many'), {
    name: 'UnavailableError',
    message: '5000 ban changes wait for the store already',
  });
  writes.push(changes.write('key 7', {}));
  assert.equal(changes.size, BOUND);

  answer();
  await Promise.all(writes);
  assert.equal(stored.length, BOUND + 1);
  assert.equal(stored.includes('one too many'), false);
  assert.deepEqual([stored[0], stored.includes('key 7'), stored.at(-1)], ['first', false, 'not key 7']);
  await changes.stop();
});
