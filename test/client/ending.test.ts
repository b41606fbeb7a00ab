import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { WebSocket } from 'ws';
import { feed } from '#feed';
import { freePorts } from '../support/ports.js';
import { waitFor, within } from '../support/wait.js';
import { heldLoop, memoryStore, read } from './reading.js';
import { ScriptedServer } from './scripted-server.js';

test('a signal ends the feed quietly, while it waits for a frame, and its connection with it', async (context) => {
  const server = await ScriptedServer.listen(context);
  const store = memoryStore();
  const { done, stop, events } = read(context, { url: server.url, cursor: store });
  await waitFor(() => server.live.length === 1, { what: 'a reader' });
  server.blocks(1);
  await waitFor(() => events.length === 1, { what: 'a frame' });
  stop();
  await within(done, 5000, 'the end');
  await waitFor(() => server.live.length === 0, { what: 'the end of the connection' });
  assert.match(store.saved.at(-1) ?? '', /^e1\.1~/);
});

test('a signal ends the feed quietly while it opens, while it pauses, and before it begins', async (context) => {
  const [port = 0] = await freePorts(1);
  const pausing = read(context, { url: `ws://127.0.0.1:${port}`, retryMs: 3_600_000, openMs: 3_600_000 });
  await waitFor(() => pausing.failures.length > 2, { what: 'a longer pause' });
  pausing.stop();
  await within(pausing.done, 5000, 'the end of the pause');

  const mute = createServer();
  mute.on('upgrade', () => {});
  await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
  context.after(() => {
    mute.closeAllConnections();
    mute.close();
  });
  const { port: mutePort } = mute.address() as { port: number };
  const opening = read(context, { url: `ws://127.0.0.1:${mutePort}`, openMs: 3_600_000 });
  await new Promise((resolve) => mute.once('connection', resolve));
  opening.stop();
  await within(opening.done, 5000, 'the end of opening');
  assert.deepEqual(opening.failures, []);

  const signal = AbortSignal.abort();
  for await (const event of feed({ url: `ws://127.0.0.1:${port}`, WebSocket, signal }))
    assert.fail(event.type);
});

test('a signal during the loop: what was at hand is handled, what waits does not come', async (context) => {
  const server = await ScriptedServer.listen(context);
  server.blocks(10);
  const { release, each } = heldLoop();
  const store = memoryStore();
  const { done, stop, events } = read(
    context,
    { url: server.url, cursor: store, since: server.startMs },
    each,
  );
  await waitFor(() => events.length === 1, { what: 'the first frame' });
  stop();
  release();
  await done;
  assert.equal(events.length, 1);
  assert.match(store.saved.at(-1) ?? '', /^e1\.1~/);
});

test('who leaves the loop leaves no connection', async (context) => {
  const server = await ScriptedServer.listen(context);
  server.blocks(10);
  for await (const event of feed({ url: server.url, WebSocket, cursor: 'oldest' })) {
    assert.equal(event.type, 'block');
    break;
  }
  await waitFor(() => server.live.length === 0, { what: 'the end of the connection' });
});

test('what a handler throws ends the feed', async (context) => {
  const server = await ScriptedServer.listen(context);
  const fail = () => {
    throw new Error('enough');
  };
  await assert.rejects(read(context, { url: server.url, onOpen: fail }).done, /enough/);
  server.refusal = { status: 500 };
  await assert.rejects(read(context, { url: server.url, onFailure: fail }).done, /enough/);
});
