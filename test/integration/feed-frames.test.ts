/** Every frame of a network's feed, in every form, held to what the server publishes of its frames; for an hour: `nightly/devnet-hour.test.ts`. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NetworkWatch } from '../support/network-watch.js';
import { PATIENCE } from '../support/wait.js';

const PACE = ['--blocks', '1s', '--subtrees', '100ms', '--rejected', '1s'];
const ROUND_MS = 2000;
const BOUND_MS = 180_000 * PATIENCE;

test('the frames of a development network, of every kind and form, are as the documents of its nodes say', async (context) => {
  const network = await NetworkWatch.start(context, PACE);
  const until = performance.now() + BOUND_MS;
  await network.follow(() => network.missing().length === 0 || performance.now() >= until, ROUND_MS);
  for (const line of network.lines()) context.diagnostic(line);
  assert.deepEqual(network.faults, []);
  assert.deepEqual(network.missing(), []);
});
