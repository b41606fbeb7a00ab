import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { goneWithin } from '../../../src/shared/ipc/ending.js';

const thread = (program: string): Worker =>
  new Worker(`const { parentPort } = require('node:worker_threads'); ${program}`, { eval: true });

test('a thread that ends when it is told to is not killed', async () => {
  const worker = thread(`parentPort.on('message', () => parentPort.close());`);
  const gone = once(worker, 'exit');
  worker.postMessage('stop');
  assert.equal(await goneWithin(gone, 3_600_000, () => assert.fail('killed')), true);
});

test('a thread that does not is killed, and waited for', async () => {
  const worker = thread(`parentPort.postMessage('up'); for (;;);`);
  await once(worker, 'message');
  let exited = false;
  const gone = once(worker, 'exit').then(() => {
    exited = true;
  });
  assert.equal(await goneWithin(gone, 1, () => worker.terminate()), false);
  assert.equal(exited, true);
});
