import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { ClockMetrics } from '../../../src/main/metrics/clock.js';
import { sumOf } from '../../support/gossip.js';
import { keptLog } from '../../support/logger.js';

test('a clock that is set is counted and told once, one that is slewed is not', async (context) => {
  const registry = new Registry();
  const { logger, lines } = keptLog();
  let difference = 1_800_000_000_000;
  const metrics = new ClockMetrics({ registry, logger }, { difference: () => difference });
  metrics.start();
  context.after(() => metrics.stop());
  const told = () => lines.filter(({ msg }) => msg === 'the clock was set').map(({ ms }) => ms);
  for (let n = 0; n < 100; n++) {
    difference += 20;
    metrics.look();
  }
  assert.deepEqual(told(), []);
  difference -= 3_600_000;
  metrics.look();
  metrics.look();
  difference += 7_200_000;
  metrics.look();
  assert.deepEqual(told(), [-3_600_000, 7_200_000]);
  const scrape = await registry.metrics();
  assert.equal(sumOf(scrape, 'teranode_p2p_clock_set_total'), 2);
  assert.ok(
    Math.abs(sumOf(scrape, 'teranode_p2p_clock_ahead_seconds')) < 1,
    'nobody set that of this machine',
  );
});
