/** What a running server makes of it when its data directory is taken away. */

import assert from 'node:assert/strict';
import { renameSync, rmSync, statSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { localSocketPath } from '../../src/shared/ipc/socket-path.js';
import { samplesOf } from '../support/gossip.js';
import { serverSettings, startServer } from '../support/server.js';
import { launchServer } from '../support/server-process.js';
import { waitFor, within } from '../support/wait.js';

const SOCKETS = ['control.sock', 'frames.sock', 'broker.sock'];

/** Resolves when somebody listens on `path`. */
function answers(path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path, () => {
      socket.destroy();
      resolve();
    });
    socket.once('error', reject);
  });
}

test('a data directory that is taken away fails readiness, and whose it is then keeps its sockets over our stop', async (context) => {
  const settings = serverSettings(context, { p2p_notification_servers: 1 });
  const { server, log } = await startServer(context, settings);
  const readiness = async (): Promise<{
    status: number;
    error: string | undefined;
    lost: number | undefined;
  }> => {
    const response = await fetch(`http://127.0.0.1:${server.ports.health}/health/readiness`);
    const { dependencies } = (await response.json()) as { dependencies: Record<string, string>[] };
    return {
      status: response.status,
      error: dependencies.find(({ resource }) => resource === 'DATADIR')?.error,
      lost: samplesOf(await server.scrape(), 'teranode_p2p_data_directory_lost')[0]?.value,
    };
  };
  const well = { status: 200, error: '<nil>', lost: 0 };
  const isWell = async () => {
    const told = await waitFor(
      async () => {
        const found = await readiness();
        return found.status === 200 ? found : undefined;
      },
      { what: 'readiness' },
    );
    assert.deepEqual(told, well);
  };
  await isWell();

  const aside = `${settings.DATADIR}.aside`;
  context.after(() => rmSync(aside, { recursive: true, force: true }));
  renameSync(settings.DATADIR, aside);
  const moved = await readiness();
  assert.deepEqual([moved.status, moved.lost], [503, 1]);
  assert.match(moved.error ?? '', /deleted or moved away.*restart/);
  renameSync(aside, settings.DATADIR);
  // It is the same one again.
  await isWell();

  rmSync(settings.DATADIR, { recursive: true });
  assert.equal((await readiness()).status, 503);
  const second = launchServer(context, { directory: settings.DATADIR });
  const file = await second.ready();
  const taken = await readiness();
  assert.equal(taken.status, 503);
  assert.match(taken.error ?? '', /is not the one that was opened.*restart/);
  const said = log.lines.filter(
    ({ level, msg }) => level === 50 && /DATADIR was taken away/.test(String(msg)),
  );
  assert.equal(said.length, 2, 'once each time');

  await server.stop();
  for (const name of SOCKETS) await answers(localSocketPath(settings.DATADIR, name));
  assert.ok(statSync(join(settings.DATADIR, 'run.json')).isFile());
  const url = `http://127.0.0.1:${file.ports.health}/health/readiness`;
  await waitFor(async () => (await fetch(url)).status === 200, { what: 'readiness of the second server' });
  second.child.kill('SIGTERM');
  assert.equal((await within(second.exit, 30_000, 'the end of the second server')).code, 0);
  for (const name of [...SOCKETS, 'run.json']) {
    assert.equal(statSync(join(settings.DATADIR, name), { throwIfNoEntry: false }), undefined, name);
  }
});
