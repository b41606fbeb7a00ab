/** P6 with few of everything: what it measures of this server, not how much that is. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { run } from '../../bench/memory.js';
import { temporaryDirectory } from '../support/temporary.js';

test('memory is told idle, with peers, with clients and under lasting load, of which nothing is lost', async (context) => {
  // Go, which may be there or not, is looked for where it is not.
  const { PATH = '' } = process.env;
  context.after(() => {
    process.env.PATH = PATH;
  });
  process.env.PATH = temporaryDirectory(context);
  const { figures, ratios, dropped, notRun } = await run(
    { runs: 1, seconds: 2, rates: [200], progress: (text) => context.diagnostic(text) },
    { peers: 12, clients: 40, restMs: 200, readMs: 500 },
  );
  assert.equal(dropped, 0);
  assert.match(notRun?.[0] ?? '', /^beside the Go reference: .*Go/);
  const median = (name: string) => figures.find((figure) => figure.name === name)?.median ?? Number.NaN;
  const idle = median('this server, idle');
  // What processes share is counted once in one of them.
  assert.ok(idle > median('this server, idle, what processes share counted once'));
  assert.ok(median('last half of 2 s at 200/s') > 0);
  for (const name of [
    'MiB idle',
    'MiB more with 12 peers',
    'MiB more with 40 WebSocket clients',
    'growth under lasting load, of what it held',
  ]) {
    const ratio = ratios.find((each) => each.name === name);
    assert.ok(ratio !== undefined && Number.isFinite(ratio.value) && ratio.aim !== undefined, name);
  }
});
