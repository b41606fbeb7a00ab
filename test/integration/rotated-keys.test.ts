/** The admin key is changed in its file while the server runs: for its callers, and for what the command line sends. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { PeerServiceClient } from '../../src/shared/grpc/peer-service-client.js';
import { serverSettings, startServer } from '../support/server.js';
import { waitFor } from '../support/wait.js';

test('callers change over to a new key with no moment in which neither is taken, and the command line follows the file', async (context) => {
  const settings = serverSettings(context, { p2p_notification_servers: 1 });
  const path = join(settings.DATADIR, 'keys');
  const [old, next] = ['the-old-key-of-the-node', 'the-new-key-of-the-node'];
  writeFileSync(path, `${old}\n`);
  const { server } = await startServer(context, { ...settings, grpc_admin_api_key_file: path });
  const address = `127.0.0.1:${server.ports.grpc}`;
  const callers = new Map(
    [old, next].map((adminKey) => [adminKey, new PeerServiceClient(address, { adminKey })] as const),
  );
  context.after(() => {
    for (const caller of callers.values()) caller.close();
  });
  const takes = (key: string) =>
    callers
      .get(key)
      ?.clearBanned()
      .then(
        () => true,
        (error: Error) => {
          assert.match(error.message, /x-api-key/);
          return false;
        },
      );
  assert.deepEqual([await takes(old), await takes(next)], [true, false]);
  writeFileSync(path, `${old}\n${next}\n`);
  await waitFor(() => takes(next), { what: 'the new key' });
  assert.equal(await takes(old), true);
  writeFileSync(path, `${next}\n`);
  await waitFor(async () => !(await takes(old)), { what: 'the end of the old key' });
  assert.equal(await takes(next), true);
  const set = { p2p_grpcAddress: address, DATADIR: settings.DATADIR, grpc_admin_api_key_file: path };
  const args = Object.entries(set).flatMap(([key, value]) => ['--set', `${key}=${value}`]);
  const program = [join('bin', 'teranode-p2p.mjs'), 'ban', '192.0.2.1', '--for', '1m', ...args];
  await promisify(execFile)(process.execPath, program);
  assert.deepEqual(await callers.get(next)?.listBanned(), ['192.0.2.1']);
});
