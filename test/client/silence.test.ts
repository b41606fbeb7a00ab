import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { test } from 'node:test';
import { LossyProxy } from '../support/lossy-proxy.js';
import { waitFor } from '../support/wait.js';
import { read } from './reading.js';
import { ScriptedServer } from './scripted-server.js';

const SILENCE_MS = 2000;

test('a connection of pings alone goes on; one whose server is gone without a word is made anew, and nothing is missed', async (context) => {
  const server = await ScriptedServer.listen(context);
  const proxy = await LossyProxy.listen(context);
  proxy.target = server.port;
  const { hashes, failures } = read(context, {
    url: `ws://127.0.0.1:${proxy.port}`,
    silenceMs: SILENCE_MS,
    openMs: SILENCE_MS,
  });
  await waitFor(() => server.live.length === 1, { what: 'a reader' });
  let pongs = 0;
  server.live[0]?.on('pong', () => pongs++);
  const began = performance.now();
  await waitFor(
    () => {
      server.live[0]?.ping();
      return performance.now() - began > 2 * SILENCE_MS;
    },
    { what: 'pings for longer than the silence', everyMs: 100 },
  );
  assert.ok(pongs > 10);
  assert.equal(failures.length, 0);
  proxy.silence('both');
  const sent = server.blocks(2);
  await waitFor(() => hashes().length === 2, { what: 'what was said in silence' });
  assert.deepEqual(hashes(), sent);
  assert.equal(failures[0]?.reason, 'silent');
  assert.match(String(failures[0]?.text), /nothing came for 2000 ms/);
});

test('what takes connections and never answers is given up in time', async (context) => {
  const server = await ScriptedServer.listen(context);
  const mute = createServer();
  mute.listen(0, '127.0.0.1');
  await once(mute, 'listening');
  context.after(() => mute.close());
  const { port } = mute.address() as AddressInfo;
  const { failures } = read(context, { url: [`ws://127.0.0.1:${port}`, server.url], openMs: 300 });
  await waitFor(() => server.live.length > 0, { what: 'a reader at the other' });
  assert.equal(failures[0]?.reason, 'unreachable');
  assert.match(String(failures[0]?.text), /no connection within 300 ms/);
});
