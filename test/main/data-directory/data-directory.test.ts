import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { DataDirectory, lookAtDirectory } from '../../../src/main/data-directory/data-directory.js';
import { keepSpare } from '../../../src/shared/files/spare-space.js';
import { nodeCommand } from '../../../src/shared/ipc/node-command.js';
import { temporaryDirectory } from '../../support/temporary.js';

test('nothing is touched before it is opened, and there is no store until then', async (context) => {
  const path = join(temporaryDirectory(context), 'data');
  const directory = new DataDirectory(path);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(existsSync(path), false);
  assert.throws(() => directory.store, /is not open/);
  await directory.open();
  await directory.store.put('key', new Uint8Array([1]));
  assert.deepEqual([...((await directory.store.get('key')) ?? [])], [1]);
  await directory.close();
});

test('a second server on the same directory is refused by name', async (context) => {
  const path = temporaryDirectory(context);
  const first = new DataDirectory(path);
  await first.open();
  const second = new DataDirectory(path);
  await assert.rejects(second.open(), /DATADIR: .* is in use by another server/);
  await first.close();
});

test('whoever listens in the temporary directory is not taken for a server, however long the path of the directory is', async (context) => {
  const path = join(temporaryDirectory(context), 'x'.repeat(120));
  mkdirSync(path);
  // Where earlier versions had the socket of such a directory: a name that anybody may take.
  const digest = createHash('sha256').update(join(path, 'control.sock')).digest('hex').slice(0, 32);
  let asked = 0;
  const stranger = createServer((socket) => {
    asked++;
    socket.destroy();
  });
  await new Promise<void>((resolve) =>
    stranger.listen(join(tmpdir(), `teranode-p2p-${digest}.sock`), resolve),
  );
  context.after(() => stranger.close());
  assert.deepEqual(await lookAtDirectory(path), { path, exists: true, held: false });
  assert.equal(asked, 0);
});

test('a file in the place of the directory is refused by name', async (context) => {
  const path = join(temporaryDirectory(context), 'file');
  writeFileSync(path, '');
  await assert.rejects(new DataDirectory(path).open(), /DATADIR: .*file cannot be written/);
});

test('a corrupt store is refused and told where it is', async (context) => {
  const path = temporaryDirectory(context);
  const directory = new DataDirectory(path);
  await directory.open();
  await directory.close();
  const store = join(path, 'store');
  writeFileSync(join(store, 'CURRENT'), 'MANIFEST-999999\n');
  for (const name of readdirSync(store)) chmodSync(join(store, name), 0o600);
  await assert.rejects(new DataDirectory(path).open(), /DATADIR: .*store/);
});

test('closing what was never opened does not hang', async (context) => {
  const directory = new DataDirectory(temporaryDirectory(context));
  await directory.close();
  assert.equal(directory.isOpen, false);
});

test('what a killed process left of its spare space is gone once another has made its own', async (context) => {
  const path = temporaryDirectory(context);
  const module = new URL('../../../src/shared/files/spare-space.js', import.meta.url).href;
  const [command, ...args] = nodeCommand();
  const code = `import(${JSON.stringify(module)}).then(({ keepSpare }) => keepSpare(${JSON.stringify(path)}))`;
  const spare = join(path, 'spare');
  const partial = () => readdirSync(path).some((name) => name !== 'spare');
  for (let tries = 0; !partial() && tries < 50; tries++) {
    rmSync(spare, { force: true });
    const child = spawn(command, [...args, '-e', code]);
    const gone = new Promise((resolve) => child.once('exit', resolve));
    // Looked at without a pause: it is there for some milliseconds.
    while (!partial() && !existsSync(spare)) await new Promise((resolve) => setImmediate(resolve));
    child.kill('SIGKILL');
    await gone;
  }
  assert.ok(partial() && !existsSync(spare), 'none was killed at work');
  assert.equal(await keepSpare(path), true);
  assert.deepEqual(readdirSync(path), ['spare']);
});
