import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { LocalServer, type LocalServerOptions } from '../../../src/shared/ipc/local-server.js';
import { localSocketPath } from '../../../src/shared/ipc/socket-path.js';
import { temporaryDirectory } from '../../support/temporary.js';
import { waitFor } from '../../support/wait.js';

function serverOf(
  context: TestContext,
  serve: (socket: Socket) => void,
  options: Partial<LocalServerOptions> = {},
) {
  const path = localSocketPath(temporaryDirectory(context), 'test.sock');
  const server = new LocalServer({ serve, onError: assert.fail }, { path, maxConnections: 8, ...options });
  context.after(() => server.stop());
  return { server, path };
}

test('it takes the place of what is left at its path, for its owner alone, and leaves nothing', async (context) => {
  const { server, path } = serverOf(context, (socket) => socket.end('served'));
  writeFileSync(path, 'left behind');
  await server.start();
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const client = connect(path).setEncoding('utf8');
  assert.deepEqual(await once(client, 'data'), ['served']);
  await server.stop();
  assert.equal(existsSync(path), false);
  await server.stop();
});

test('it keeps a process running until it is told not to, whoever is connected', (context) => {
  const path = localSocketPath(temporaryDirectory(context), 'test.sock');
  const module = JSON.stringify(new URL('../../../src/shared/ipc/local-server.js', import.meta.url).href);
  const program = `
    import { LocalServer } from ${module};
    import { connect } from 'node:net';
    const served = [];
    const serve = () => served.push('served') === 1 ? undefined : server.unref();
    const server = new LocalServer({ serve, onError: console.error }, { path: ${JSON.stringify(path)}, maxConnections: 4 });
    await server.start();
    for (let n = 0; n < 2; n++) connect(${JSON.stringify(path)}).unref();
    process.on('exit', () => console.log(served.length));`;
  const args = ['--input-type=module', '--eval', program];
  assert.equal(spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 60_000 }).stdout, '2\n');
});

test('connections above the bound are closed, and those that end make room', async (context) => {
  const { server, path } = serverOf(context, (socket) => socket.write('in'), { maxConnections: 1 });
  await server.start();
  const first = connect(path);
  await once(first, 'data');
  const second = connect(path).on('error', () => {});
  await once(second, 'close');
  assert.equal(server.connections, 1);
  first.destroy();
  await waitFor(() => server.connections === 0, { what: 'room' });
  const third = connect(path);
  await once(third, 'data');
  third.destroy();
});

test('a stop cuts who is connected, or lets them take what they were sent', async (context) => {
  for (const flushMs of [undefined, 3_600_000]) {
    const sent = Buffer.alloc(4 * 1024 * 1024);
    const { server, path } = serverOf(context, (socket) => socket.write(sent));
    await server.start();
    const client = connect(path).on('error', () => {});
    let received = 0;
    client.on('data', (chunk) => {
      received += chunk.length;
    });
    await once(client, 'data');
    const closed = once(client, 'close');
    client.pause();
    const stopped = server.stop(flushMs === undefined ? {} : { flushMs });
    client.resume();
    await closed;
    await stopped;
    if (flushMs === undefined) assert.ok(received < sent.length, 'it was cut');
    else assert.equal(received, sent.length);
  }
});

test('a stop does not wait for who takes nothing longer than told', async (context) => {
  const { server, path } = serverOf(context, (socket) => socket.write(Buffer.alloc(4 * 1024 * 1024)));
  await server.start();
  const client = connect(path).on('error', () => {});
  context.after(() => client.destroy());
  await once(client, 'readable');
  await server.stop({ flushMs: 20 });
  assert.equal(server.connections, 0);
});
