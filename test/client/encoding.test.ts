import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { waitFor } from '../support/wait.js';
import { heldLoop, read } from './reading.js';
import { ScriptedServer } from './scripted-server.js';
import { EACH } from './sockets.js';

for (const gzip of [false, true])
  for (const [name, WebSocket] of EACH)
    test(`batches come ${gzip ? 'compressed' : 'as text'}, frame by frame, over ${name}`, async (context) => {
      const server = await ScriptedServer.listen(context);
      const before = server.blocks(500);
      const { hashes, events } = read(context, {
        url: server.url,
        cursor: 'oldest',
        batch: 100,
        gzip,
        json: true,
        WebSocket,
      });
      await waitFor(() => hashes().length === before.length, { what: 'what was there' });
      const after = server.blocks(2);
      await waitFor(() => hashes().length === before.length + 2, { what: 'what came' });
      assert.deepEqual(hashes(), [...before, ...after]);
      assert.deepEqual(server.asked[0]?.parameters, {
        meta: 'true',
        cursor: 'oldest',
        batch: '100',
        ...(gzip ? { encoding: 'gzip' } : {}),
      });
      const [first] = events;
      assert.equal((first as { json?: string }).json, JSON.stringify(server.frames[0]));
    });

test('in the middle of a batch the feed goes on where the loop was', async (context) => {
  const server = await ScriptedServer.listen(context);
  const hashes = server.blocks(10);
  const { release, each } = heldLoop();
  const reading = read(context, { url: server.url, cursor: 'oldest', batch: 100, gzip: true }, (event) =>
    'hash' in event && event.hash === hashes[4] ? each() : undefined,
  );
  await waitFor(() => reading.events.length === 5, { what: 'half of the batch' });
  await server.stop();
  await server.start();
  hashes.push(...server.blocks(1));
  release();
  await waitFor(() => reading.hashes().length === 11, { what: 'the rest' });
  assert.deepEqual(reading.hashes(), hashes);
});

test('what is no gzip, or far too much of it, is a connection that failed', async (context) => {
  const server = await ScriptedServer.listen(context);
  const bomb = gzipSync(Buffer.alloc(70 * 1024 * 1024, ' '));
  const messages = [Buffer.from('no gzip'), bomb];
  server.instead = (socket, asked) => {
    server.serve(socket, asked);
    const message = messages.shift();
    if (message !== undefined) socket.send(message);
    return true;
  };
  const { hashes, failures } = read(context, { url: server.url, batch: 50, gzip: true });
  await waitFor(() => server.asked.length === 3 && server.live.length === 1, {
    what: 'the third connection',
  });
  const sent = server.blocks(1);
  await waitFor(() => hashes().length === 1, { what: 'a frame' });
  assert.deepEqual(hashes(), sent);
  assert.deepEqual(
    failures.map(({ text }) => text),
    Array(2).fill('a message that cannot be unpacked'),
  );
});

test('what is no frame is left out', async (context) => {
  const server = await ScriptedServer.listen(context);
  const { events } = read(context, { url: server.url });
  await waitFor(() => server.live.length === 1, { what: 'a reader' });
  for (const text of ['', 'garbage', '7', 'null', '[]', '{"no":"type"}', '{"type":7}'])
    server.live[0]?.send(text);
  const sent = server.blocks(1);
  await waitFor(() => events.length > 0, { what: 'a frame' });
  assert.deepEqual(events, server.frames);
  assert.equal(sent.length, 1);
});
