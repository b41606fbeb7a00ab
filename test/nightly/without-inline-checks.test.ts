/** Every test of what becomes of messages holds as well where main checks none of them itself. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

/** Parts of paths, as `npm test` takes them. */
const PARTS = ['integration/', 'main/pipeline', 'main/node/', 'workers/'];

test('the suite is green with p2p_inline_checks=false', () => {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const { status, stdout } = spawnSync(process.execPath, ['dist/test/run.js', ...PARTS], {
    encoding: 'utf8',
    env: { ...env, p2p_inline_checks: 'false' },
    maxBuffer: 64 * 1024 * 1024,
    timeout: 3_000_000,
  });
  assert.equal(status, 0, stdout.slice(-20_000));
});
