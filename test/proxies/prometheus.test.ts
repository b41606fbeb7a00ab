/** What Prometheus' own tool says of a server's metrics. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { serverSettings, startServer } from '../support/server.js';
import { waitFor } from '../support/wait.js';

test('`promtool check metrics` finds nothing to say of a scrape', async (context) => {
  const { server } = await startServer(context, serverSettings(context));
  const scrape = await waitFor(
    async () => {
      const text = await server.scrape();
      return text.includes('teranode_p2p_notification_server_') ? text : undefined;
    },
    { what: 'a scrape of all processes', everyMs: 100 },
  );
  const { status, stdout, stderr, error } = spawnSync('promtool', ['check', 'metrics'], {
    input: scrape,
    encoding: 'utf8',
  });
  assert.equal(error, undefined);
  assert.deepEqual([stdout, stderr, status], ['', '', 0]);
});
