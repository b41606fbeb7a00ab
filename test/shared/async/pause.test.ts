import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { pause } from '../../../src/shared/async/pause.js';

test('a pause ends by itself with true, and with false at its signal', async () => {
  const began = performance.now();
  assert.equal(await pause(20), true);
  assert.ok(performance.now() - began >= 19);
  const stopping = new AbortController();
  const paused = pause(3_600_000, { signal: stopping.signal });
  stopping.abort(new Error('enough'));
  assert.equal(await paused, false);
  assert.equal(await pause(3_600_000, { signal: stopping.signal }), false);
});

test('a pause keeps the process alive unless told', () => {
  const module = JSON.stringify(new URL('../../../src/shared/async/pause.js', import.meta.url).href);
  const ends = (options: string): string => {
    const program = `
      import { pause } from ${module};
      pause(50, ${options}).then(() => console.log('paused'));
      process.on('exit', () => console.log('ended'));`;
    const args = ['--input-type=module', '--eval', program];
    return spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 60_000 }).stdout;
  };
  assert.equal(ends('{}'), 'paused\nended\n');
  assert.equal(ends('{ ref: false }'), 'ended\n');
});
