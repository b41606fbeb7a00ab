/** Brokers that take connections and never answer, as behind a firewall that lost them or on a machine that stands still. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { launchServer } from '../support/server-process.js';
import { waitFor, within } from '../support/wait.js';

test('a server whose brokers take connections and never answer starts, and stops soon with every part closed', async (context) => {
  const sockets = new Set<Socket>();
  const silent = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
  }).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  context.after(() => {
    for (const socket of sockets) socket.destroy();
    silent.close();
  });
  const broker = `kafka://127.0.0.1:${(silent.address() as AddressInfo).port}`;
  const run = launchServer(context, {
    set: {
      kafka_blocksConfig: `${broker}/blocks`,
      kafka_subtreesConfig: `${broker}/subtrees`,
      kafka_rejectedTxConfig: `${broker}/rejectedtx`,
      kafka_invalidBlocksConfig: `${broker}/invalid-blocks`,
      kafka_invalidSubtreesConfig: `${broker}/invalid-subtrees`,
      shutdown_timeout: '20s',
    },
  });
  await run.ready();
  await waitFor(() => sockets.size >= 5, { what: 'a connection for each topic' });
  const told = performance.now();
  run.child.kill('SIGTERM');
  const { code } = await within(run.exit, 30_000, 'the stop');
  const ms = performance.now() - told;
  assert.equal(code, 0);
  assert.deepEqual(
    run.lines().filter(({ msg }) => msg === 'did not stop cleanly'),
    [],
  );
  // Waits that the product allows add up, and stay well below what it may take in all.
  assert.ok(ms < 15_000, `the stop took ${ms} ms`);
  context.diagnostic(`stopped in ${ms} ms`);
});
