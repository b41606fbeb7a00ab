import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { askServer, ControlError } from '../../../src/main/control/client.js';
import type { ControlHandlers } from '../../../src/main/control/protocol.js';
import { ControlServer } from '../../../src/main/control/server.js';
import { UnavailableError } from '../../../src/shared/errors.js';
import { keptLog } from '../../support/logger.js';
import { temporaryDirectory } from '../../support/temporary.js';
import { waitFor } from '../../support/wait.js';

async function serve(context: TestContext, changes: Partial<ControlHandlers> = {}): Promise<string> {
  const socketPath = join(temporaryDirectory(context), 'control.sock');
  const handlers: ControlHandlers = {
    outbox: () => [{ topic: 'blocks', waiting: 3, oldest: 5, state: 'flowing', error: '' }],
    deadLetters: ({ limit }) =>
      Array.from({ length: limit }, (_, i) => ({ id: `${i}`, topic: 't', reason: 'r', at: 1, hash: '' })),
    replayDeadLetters: async () => ({ replayed: 2 }),
    acceptLoss: () => null,
    forget: () => null,
    level: ({ level }) => ({ level }),
    backup: ({ path }) => ({ path, files: 1, bytes: 2 }),
    handOver: () => ({ granted: false, refusal: 'off', message: '' }),
    ...changes,
  };
  const server = new ControlServer({ logger: keptLog().logger, handlers }, { socketPath, maxConnections: 4 });
  await server.start();
  context.after(() => server.stop());
  return socketPath;
}

/** What comes back for raw bytes until the server hangs up or `lines` lines came. */
function raw(path: string, bytes: string | Buffer, lines: number): Promise<string[]> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(path, () => socket.write(bytes));
    const done = () => {
      socket.destroy();
      resolve(text.split('\n').filter((line) => line !== ''));
    };
    socket.on('data', (data) => {
      text += data;
      if (text.split('\n').length > lines) done();
    });
    socket.once('error', done).once('close', done);
  });
}

test('each method is answered with its result', async (context) => {
  const path = await serve(context);
  assert.equal((await askServer(path, 'outbox', {}))[0]?.waiting, 3);
  assert.equal((await askServer(path, 'deadLetters', { limit: 10_000 })).length, 10_000);
  assert.deepEqual(await askServer(path, 'replayDeadLetters', {}), { replayed: 2 });
  assert.deepEqual(await askServer(path, 'level', { level: 'debug' }), { level: 'debug' });
});

test('the socket is for its owner alone', async (context) => {
  const path = await serve(context);
  assert.equal(statSync(path).mode & 0o777, 0o600);
});

test('a handler that fails is an error of that request alone', async (context) => {
  const path = await serve(context, {
    level: () => {
      throw new Error('no such level');
    },
  });
  await assert.rejects(askServer(path, 'level', { level: 'x' }), new ControlError('no such level'));
  assert.equal((await askServer(path, 'outbox', {})).length, 1);
});

test('several requests of one connection are answered in order', async (context) => {
  const path = await serve(context);
  const request = (id: number) => `${JSON.stringify({ id, method: 'level', params: { level: `${id}` } })}\n`;
  const answers = await raw(path, request(1) + request(2) + request(3), 3);
  assert.deepEqual(
    answers.map((line) => JSON.parse(line)),
    [1, 2, 3].map((id) => ({ id, result: { level: `${id}` } })),
  );
});

test('garbage, foreign methods and endless lines do no harm', async (context) => {
  const path = await serve(context);
  assert.deepEqual(await raw(path, 'garbage\n', 1), ['{"id":0,"error":"not JSON"}']);
  assert.match((await raw(path, 'null\n', 1))[0] ?? '', /not a request/);
  assert.match(
    (await raw(path, '{"id":1,"method":"constructor"}\n', 1))[0] ?? '',
    /no such method: constructor/,
  );
  assert.deepEqual(await raw(path, Buffer.alloc(20_000, 'x'), 1), []);
  assert.equal((await askServer(path, 'outbox', {})).length, 1);
});

test('connections past the bound are refused and the others still served', async (context) => {
  const path = await serve(context);
  const held = Array.from({ length: 4 }, () => connect(path));
  context.after(() => {
    for (const socket of held) socket.destroy();
  });
  await waitFor(() => held.every((socket) => !socket.connecting), { what: 'four connections' });
  await assert.rejects(askServer(path, 'outbox', {}, 2000), UnavailableError);
  for (const socket of held) socket.destroy();
  await waitFor(() => askServer(path, 'outbox', {}).catch(() => undefined), { what: 'room again' });
});

test('a server that is not there or does not answer is told plainly', async (context) => {
  const nowhere = join(temporaryDirectory(context), 'none.sock');
  await assert.rejects(askServer(nowhere, 'outbox', {}), /control socket .*none\.sock: ENOENT/);
  const silent = await serve(context, { outbox: () => new Promise(() => {}) });
  await assert.rejects(askServer(silent, 'outbox', {}, 50), /no answer within 50 ms/);
});
