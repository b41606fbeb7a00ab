import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WebSocket } from 'ws';
import { waitFor } from '../support/wait.js';
import { heldLoop, read } from './reading.js';
import { ScriptedServer } from './scripted-server.js';
import { BARE } from './sockets.js';

const BUFFER_BYTES = 64 * 1024;
const SILENCE_MS = 500;
const PADDING = 'x'.repeat(10_000);

test('a loop that is behind has the server wait, and gets everything in order when it goes on', async (context) => {
  const server = await ScriptedServer.listen(context);
  const { release, each } = heldLoop();
  let reading: WebSocket | undefined;
  class Watched extends WebSocket {
    constructor(...args: ConstructorParameters<typeof WebSocket>) {
      super(...args);
      reading = this;
    }
  }
  const { hashes, failures } = read(
    context,
    {
      url: server.url,
      WebSocket: Watched,
      bufferBytes: BUFFER_BYTES,
      silenceMs: SILENCE_MS,
      since: server.startMs,
    },
    each,
  );
  await waitFor(() => server.live.length === 1, { what: 'a reader' });
  const sent: string[] = [];
  // More than the buffers of both systems take.
  await waitFor(
    () => {
      sent.push(...server.blocks(100, PADDING));
      return (server.live[0]?.bufferedAmount ?? 0) > 4_000_000;
    },
    { what: 'a server that has to wait' },
  );
  assert.equal(reading?.isPaused, true);
  // Who does not read cannot hear that there is silence.
  const began = performance.now();
  await waitFor(() => performance.now() - began > 3 * SILENCE_MS, {
    what: 'the time of silence',
    everyMs: 100,
  });
  release();
  await waitFor(() => hashes().length === sent.length, { what: 'all that was sent' });
  assert.deepEqual(hashes(), sent);
  assert.deepEqual(failures, []);
  assert.equal(server.asked.length, 1);
});

for (const [name, WebSocket] of BARE)
  test(`where the WebSocket cannot stop reading, as ${name}, no more than the bound waits, and the rest is asked for when the loop comes to it`, async (context) => {
    const server = await ScriptedServer.listen(context);
    const { release, each } = heldLoop();
    const { hashes, failures, notices } = read(
      context,
      { url: server.url, WebSocket, bufferBytes: BUFFER_BYTES },
      each,
    );
    await waitFor(() => server.live.length === 1, { what: 'a reader' });
    const sent = server.blocks(100, PADDING);
    await waitFor(() => server.live.length === 0, { what: 'the end of the connection' });
    sent.push(...server.blocks(100));
    assert.equal(server.asked.length, 1, 'not again before the loop has come to it');
    release();
    await waitFor(() => hashes().length === sent.length, { what: 'all that was sent' });
    assert.deepEqual(hashes(), sent);
    assert.deepEqual(notices(), []);
    assert.ok(failures.length >= 1);
    for (const failure of failures)
      assert.deepEqual([failure.reason, failure.retryInMs, failure.url], ['slow', 0, server.url]);
    const [, second] = server.asked;
    const taken = Number(second?.parameters.cursor?.split('.')[1]);
    assert.ok(taken * PADDING.length < 2 * BUFFER_BYTES, `${taken} frames waited`);
  });
