import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { getHeapStatistics } from 'node:v8';
import { openFeed, serverSettings, startServer } from '../support/server.js';
import { watchWorkerThreads } from '../support/worker-threads.js';

test('each thread and process has the heap that its setting gives it, and serves on a small one', async (context) => {
  const threads = watchWorkerThreads(context);
  const { server } = await startServer(
    context,
    serverSettings(context, {
      p2p_checkers: 2,
      p2p_notification_servers: 1,
      p2p_heap_checker: 65,
      p2p_heap_publisher: 257,
      p2p_heap_broker: 66,
      p2p_heap_notification_server: 67,
      p2p_embedded_mining_interval: 200,
    }),
  );
  const feed = await openFeed(context, server);
  await feed.next(({ type }) => type === 'block', 'a block');
  assert.equal(threads.withOldSpace(65).length, 2, 'checkers');
  assert.equal(threads.withOldSpace(257).length, 1, 'publisher');
  assert.equal(threads.withOldSpace(66).length, 1, 'embedded broker');
  const [pid] = server.parts.notifications.pids;
  // Where the system shows how a process was called.
  if (process.platform === 'linux') {
    assert.match(readFileSync(`/proc/${pid}/cmdline`, 'latin1'), /--max-old-space-size=67\0/);
  }
  assert.ok(getHeapStatistics().heap_size_limit > 257 * 1024 * 1024, 'main has Node’s own');
});
