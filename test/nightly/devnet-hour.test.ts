/** A development network for an hour, or `DEVNET_MINUTES`: every frame of its feeds, in every form, held to what its nodes publish of their frames. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NetworkWatch } from '../support/network-watch.js';

const MINUTES = Number(process.env.DEVNET_MINUTES ?? 60);
/** At which the oldest frames are gone. */
const PAST_MINUTES = 40;
const PART_MINUTES = 5;
const ROUND_MS = 20_000;
/** In few minutes a segment is to be full, too. */
const SUBTREES = MINUTES < 10 ? '25ms' : '150ms';

test(`each frame of ${MINUTES} minutes of a development network is as the documents of its nodes say`, async (context) => {
  const network = await NetworkWatch.start(context, [
    '--blocks',
    '2s',
    '--subtrees',
    SUBTREES,
    '--rejected',
    '5s',
  ]);
  const began = performance.now();
  for (let from = 0; from < MINUTES; from += PART_MINUTES) {
    const to = Math.min(from + PART_MINUTES, MINUTES);
    let isWell = false;
    await context.test(`up to minute ${to}`, async (part) => {
      await network.follow(() => performance.now() >= began + to * 60_000, ROUND_MS);
      part.diagnostic(`${network.frames} frames`);
      assert.deepEqual(network.faults, []);
      isWell = true;
    });
    if (!isWell) break;
  }
  for (const line of network.lines()) context.diagnostic(line);
  assert.deepEqual(network.missing({ sealed: true, passed: MINUTES >= PAST_MINUTES }), []);
});
