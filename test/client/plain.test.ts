import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WebSocket } from 'ws';
import { feed, type PlainEvent } from '#feed';
import { waitFor } from '../support/wait.js';
import { ScriptedServer } from './scripted-server.js';

const FRAMES = [
  { timestamp: '2026-11-30T01:00:00Z', type: 'node_status', peer_id: 'me' },
  { timestamp: '2026-11-30T01:00:00Z', type: 'block', peer_id: 'p', hash: 'aa' },
  { timestamp: '2026-11-30T01:00:00Z', type: 'block', peer_id: 'q', hash: 'bb' },
  { timestamp: '2026-11-30T01:00:00Z', type: 'PING', base_url: 'x' },
];

test('plainly, a server is asked for nothing; kinds and peers are chosen here, and a lost connection is a gap', async (context) => {
  const server = await ScriptedServer.listen(context);
  server.instead = (socket) => {
    for (const frame of FRAMES) socket.send(JSON.stringify(frame));
    return true;
  };
  const stopping = new AbortController();
  context.after(() => stopping.abort());
  const follow = (into: PlainEvent[], filter: { kinds?: ['block']; peers?: string[] }, json: boolean) =>
    (async () => {
      const options = {
        url: server.url,
        WebSocket,
        plain: true,
        retryMs: 100,
        signal: stopping.signal,
      } as const;
      for await (const event of feed({ ...options, ...filter, json })) into.push(event);
    })();
  const [all, some]: [PlainEvent[], PlainEvent[]] = [[], []];
  const both = [follow(all, {}, false), follow(some, { kinds: ['block'], peers: ['q'] }, true)];
  await waitFor(() => all.length === 4 && some.length === 1, { what: 'the frames' });
  assert.deepEqual(all, FRAMES);
  assert.deepEqual(some, [{ ...FRAMES[2], json: JSON.stringify(FRAMES[2]) }]);
  assert.deepEqual(
    server.asked.map(({ parameters }) => parameters),
    [{}, {}],
  );
  await server.stop();
  await server.start();
  await waitFor(() => all.length === 9 && some.length === 3, { what: 'the frames again' });
  assert.deepEqual([all[4]?.type, some[1]?.type], ['gap', 'gap']);
  stopping.abort();
  await Promise.all(both);
});
