import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { WebSocketServer } from 'ws';
import { followFeed } from '../../../src/main/cli/feed.js';
import { LossyProxy } from '../../support/lossy-proxy.js';
import { waitFor, within } from '../../support/wait.js';

test('a feed of pings alone goes on, and one whose server is gone without a word ends', async (context) => {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  await once(server, 'listening');
  const proxy = await LossyProxy.listen(context);
  proxy.target = (server.address() as AddressInfo).port;
  let pings = 0;
  const beat = setInterval(() => {
    for (const client of server.clients) client.ping(() => pings++);
  }, 100);
  const stopping = new AbortController();
  context.after(() => {
    stopping.abort();
    clearInterval(beat);
    for (const client of server.clients) client.terminate();
    server.close();
  });
  server.on('connection', (client) => client.send('first'));
  const frames: string[] = [];
  let ended = false;
  const following = followFeed({
    url: `ws://127.0.0.1:${proxy.port}`,
    signal: stopping.signal,
    onFrame: (text) => frames.push(text),
    silenceMs: 4_000,
  }).finally(() => {
    ended = true;
  });
  await waitFor(() => frames.length === 1 && pings > 50, { what: 'pings for longer than the silence' });
  assert.equal(ended, false);
  proxy.silence('both');
  await within(following, 30_000, 'the end of the feed');
  assert.deepEqual(frames, ['first']);
});
