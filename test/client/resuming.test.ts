import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WebSocket } from 'ws';
import { feed } from '#feed';
import { waitFor } from '../support/wait.js';
import { heldLoop, memoryStore, read } from './reading.js';
import { ScriptedServer } from './scripted-server.js';

test('what the feed asks for, and that it begins at now: later frames come, typed and in order', async (context) => {
  const server = await ScriptedServer.listen(context);
  server.blocks(3);
  const opened: unknown[] = [];
  const { events } = read(context, {
    url: server.url.replace('ws:', 'http:').replace('/p2p-ws', ''),
    kinds: ['block', 'subtree'],
    peers: ['p', 'q'],
    onOpen: (opening) => opened.push(opening),
  });
  await waitFor(() => server.live.length === 1, { what: 'a reader' });
  assert.deepEqual(server.asked, [
    {
      path: '/p2p-ws',
      parameters: { meta: 'true', kinds: 'block,subtree', peers: 'p,q' },
      headers: server.asked[0]?.headers,
    },
  ]);
  server.announce({ type: 'subtree', hash: 'aa' });
  server.announce({ type: 'node_status' });
  server.blocks(1);
  await waitFor(() => events.length === 2, { what: 'the frames of both kinds' });
  assert.deepEqual(events, [server.frames[3], server.frames[5]]);
  assert.deepEqual(opened, [
    {
      url: server.url.replace('ws:', 'http:').replace('/p2p-ws', ''),
      oldest: 'e1.0',
      node: { timestamp: '2026-11-30T01:00:00Z', type: 'node_status', peer_id: 'me', best_height: 1 },
    },
  ]);
});

test('over a restart nothing is missed and nothing comes twice, also where nothing had come before it', async (context) => {
  const server = await ScriptedServer.listen(context);
  server.blocks(2);
  const { hashes, failures, notices } = read(context, { url: server.url });
  await waitFor(() => server.live.length === 1, { what: 'a reader' });
  const expected: string[] = [];
  for (let round = 0; round < 3; round++) {
    await server.stop();
    expected.push(...server.blocks(3));
    await server.start();
    await waitFor(() => server.live.length === 1, { what: 'the reader again' });
    expected.push(...server.blocks(2));
    await waitFor(() => hashes().length === expected.length, { what: 'what came meanwhile' });
  }
  assert.deepEqual(hashes(), expected);
  assert.deepEqual(notices(), []);
  assert.deepEqual(
    [server.asked[1]?.parameters.cursor, server.asked.at(-1)?.parameters.cursor],
    ['e1.2', 'e1.12'],
  );
  const [first] = failures;
  assert.equal(first?.url, server.url);
  assert.equal(first?.opened, true);
  assert.match(String(first?.reason), /closed/);
  assert.ok(failures.every(({ retryInMs }) => retryInMs <= 200));
});

test('a store has the cursor of what was handled: a loop that failed gets the same event again in the next run', async (context) => {
  const server = await ScriptedServer.listen(context);
  const hashes = server.blocks(5);
  const store = memoryStore();
  const options = { url: server.url, WebSocket, cursor: store, since: server.startMs };
  const handled: string[] = [];
  const run = async (failAt: string | undefined) => {
    for await (const event of feed({ ...options, kinds: ['block'] })) {
      if (event.type !== 'block') continue;
      if (event.hash === failAt) throw new Error('in the loop');
      handled.push(event.hash);
      if (handled.length === hashes.length) return;
    }
  };
  await assert.rejects(run(hashes[2]), /in the loop/);
  assert.deepEqual(handled, hashes.slice(0, 2));
  assert.match(store.saved.at(-1) ?? '', /^e1\.2~2026-11-30T01:00:01\.000Z$/);
  await run(undefined);
  assert.deepEqual(handled, hashes);
  // A loop that is left has not come round.
  assert.match(store.saved.at(-1) ?? '', /^e1\.4~/);
});

test('a slow store is called one at a time with the newest, and has the last when the feed has ended', async (context) => {
  const server = await ScriptedServer.listen(context);
  server.blocks(100);
  const saved: string[] = [];
  const { release, each } = heldLoop();
  const store = {
    load: async () => null,
    save: async (cursor: string) => {
      saved.push(cursor);
      await each();
    },
  };
  const { events, stop, done } = read(context, { url: server.url, cursor: store, since: server.startMs });
  await waitFor(() => events.length === 100, { what: 'all frames' });
  assert.deepEqual(saved, ['e1.1~2026-11-30T01:00:00.000Z']);
  stop();
  release();
  await done;
  assert.deepEqual(saved.slice(1), ['e1.100~2026-11-30T01:01:39.000Z']);
});

test('a store that fails ends the feed with its own error', async (context) => {
  const server = await ScriptedServer.listen(context);
  const save = () => {
    throw new Error('no space left');
  };
  const reading = read(context, {
    url: server.url,
    cursor: { load: () => undefined, save },
    since: server.startMs,
  });
  await waitFor(() => server.live.length === 1, { what: 'a reader' });
  server.blocks(3);
  await assert.rejects(reading.done, /no space left/);
  const load = () => Promise.reject(new Error('cannot be read'));
  await assert.rejects(read(context, { url: server.url, cursor: { load, save } }).done, /cannot be read/);
});

test('a position that a filter lets nothing through is saved, and gone on from', async (context) => {
  const server = await ScriptedServer.listen(context);
  const store = memoryStore();
  read(context, { url: server.url, kinds: ['block'], cursor: store });
  await waitFor(() => server.live.length === 1, { what: 'a reader' });
  server.announce({ type: 'subtree', hash: 'aa' });
  server.live[0]?.send('{"type":"cursor","cursor":"e1.1"}');
  await waitFor(() => store.saved.at(-1)?.startsWith('e1.1'), { what: 'the position' });
  await server.stop();
  await server.start();
  await waitFor(() => server.live.length === 1, { what: 'the reader again' });
  assert.equal(server.asked.at(-1)?.parameters.cursor, 'e1.1');
});

test('what cannot be had any more is told: gap, epoch, too old; and refused to who is strict', async (context) => {
  const server = await ScriptedServer.listen(context);
  const hashes = server.blocks(4);
  server.dropped = 2;
  const late = read(context, { url: server.url, cursor: 'e1.1' });
  await waitFor(() => late.events.length === 3, { what: 'what is kept' });
  assert.deepEqual(late.events[0], { type: 'too_old', text: 'no longer kept', oldest: 'e1.2' });
  assert.deepEqual(late.hashes(), hashes.slice(2));
  const [socket] = server.live;
  socket?.send('{"type":"info","code":"gap","text":"7 are missing","from":5,"to":11,"cursor":"e1.11"}');
  socket?.send('{"type":"info","code":"epoch","text":"anew","epoch":"e2"}');
  await waitFor(() => late.events.length === 5, { what: 'both' });
  assert.deepEqual(late.events.slice(3), [
    { type: 'gap', text: '7 are missing', from: 5, to: 11, cursor: 'e1.11' },
    { type: 'epoch', text: 'anew', epoch: 'e2' },
  ]);
  await assert.rejects(read(context, { url: server.url, cursor: 'e1.1', strict: true }).done, {
    name: 'FeedError',
    code: 'cursor_too_old',
    detail: { oldest: 'e1.2' },
  });
});
