import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FeedError } from '#feed';
import { freePorts } from '../support/ports.js';
import { waitFor, within } from '../support/wait.js';
import { memoryStore, read } from './reading.js';
import { ScriptedServer } from './scripted-server.js';

const refusalOf = (code: string, status: number) => ({
  status,
  headers: { 'content-type': 'application/problem+json' },
  body: JSON.stringify({ type: 'about:blank', status, detail: 'cursor must be', code, parameter: 'cursor' }),
});

test('a server that does not know the cursor is asked by time, a minute back, and what came already does not come again', async (context) => {
  const [first, second] = [
    await ScriptedServer.listen(context, 'e1'),
    await ScriptedServer.listen(context, 'e2'),
  ];
  const block = (server: ScriptedServer, seconds: number) =>
    server.announce(
      { type: 'block', hash: String(seconds).padStart(64, '0'), base_url: 'u', peer_id: 'p' },
      server.startMs + seconds * 1000,
    );
  const status = (server: ScriptedServer, seconds: number, late = 0) =>
    server.announce(
      { type: 'node_status', peer_id: 'p', uptime: seconds },
      server.startMs + seconds * 1000 + late,
    );
  const { events, notices, failures } = read(context, { url: [first.url, second.url], since: first.startMs });
  await waitFor(() => first.live.length === 1, { what: 'a reader' });
  for (const seconds of [0, 100, 200]) block(first, seconds);
  status(first, 200);
  await waitFor(() => events.length === 4, { what: 'what the first has' });
  // The second heard the same, in part a little later, and more.
  for (const seconds of [0, 100, 150, 200]) block(second, seconds);
  status(second, 200, 700);
  status(second, 201);
  block(second, 230);
  await first.stop();
  await waitFor(() => events.length === 8, { what: 'what the second has besides' });
  assert.deepEqual(notices(), ['switched']);
  const [switched, ...more] = events.slice(4);
  assert.deepEqual(switched, {
    type: 'switched',
    text: (switched as { text: string }).text,
    url: second.url,
    since: '2026-11-30T01:02:20.000Z',
  });
  assert.deepEqual(
    more.map((event) => ('received_at' in event ? event.received_at : '')),
    ['2026-11-30T01:02:30.000Z', '2026-11-30T01:03:21.000Z', '2026-11-30T01:03:50.000Z'],
  );
  assert.deepEqual(
    second.asked.map(({ parameters: { cursor, since } }) => cursor ?? since),
    ['e1.4', '2026-11-30T01:02:20.000Z'],
  );
  // From there on by the cursors of the second; a second announcement of the same is none that came already.
  block(second, 500);
  block(second, 501);
  await waitFor(() => events.length === 10, { what: 'what comes now' });
  await first.start();
  await second.stop();
  await waitFor(() => first.live.length === 1, { what: 'the reader at the first' });
  assert.deepEqual(failures.map(({ url }) => url).slice(0, 2), [first.url, second.url]);
});

test('a cursor of a store, of a server that is gone, is good for another: by the time that is kept with it', async (context) => {
  const server = await ScriptedServer.listen(context, 'e2');
  const hashes = server.blocks(100);
  const { events } = read(context, { url: server.url, cursor: memoryStore('e1.7~2026-11-30T01:01:30.000Z') });
  await waitFor(() => events.length === 71, { what: 'what is a minute older and later' });
  assert.equal(events[0]?.type, 'switched');
  assert.equal((events[1] as { hash?: string }).hash, hashes[30]);
  // Where no time is known there is nothing for it but all that is kept, or the time that the program names.
  const whole = read(context, { url: server.url, cursor: 'e1.7' });
  await waitFor(() => whole.events.length === 101, { what: 'all that is kept' });
  assert.deepEqual(whole.events[0], { type: 'switched', text: 'not of this history', url: server.url });
  const named = read(context, { url: server.url, cursor: 'e1.7', since: '2026-11-30T01:01:39Z' });
  await waitFor(() => named.events.length === 2, { what: 'what came since the time' });
  assert.equal(named.hashes()[0], hashes[99]);
});

test('a cursor that a server takes for none is another server’s: by time', async (context) => {
  const server = await ScriptedServer.listen(context, 'e2');
  server.blocks(3);
  const refusal = refusalOf('bad_parameter', 400);
  server.refusal = { ...refusal, times: 1 };
  const options = { url: server.url, cursor: '17.0a1b2c3d~2026-11-30T01:00:02.000Z' };
  const { events } = read(context, options);
  await waitFor(() => events.length === 4, { what: 'what is a minute older and later' });
  assert.equal(events[0]?.type, 'switched');
  server.refusal = refusal;
  await assert.rejects(read(context, { url: server.url, cursor: 'nonsense' }).done, {
    name: 'FeedError',
    code: 'bad_parameter',
    detail: { parameter: 'cursor' },
  });
});

/** Tells more than it was asked for: from a time before. */
const from =
  (server: ScriptedServer, since: string): ScriptedServer['instead'] =>
  (socket, asked) => {
    if (asked.parameters.since === undefined) return false;
    server.serve(socket, { ...asked, parameters: { ...asked.parameters, since } });
    return true;
  };

for (const [clock, status, expected] of [
  ['right', 390, [350, 400]],
  // All that it announces from now on would be older.
  ['minutes slow', 300, [0, 200, 350, 400]],
] as const)
  test(`what another server received before the time that it was asked for is left out, if its clock is ${clock}`, async (context) => {
    const [first, second] = [
      await ScriptedServer.listen(context, 'e1'),
      await ScriptedServer.listen(context, 'e2'),
    ];
    const block = (server: ScriptedServer, seconds: number) =>
      server.announce(
        { type: 'block', hash: `${server.epoch}${seconds}`, base_url: 'u', peer_id: 'p' },
        server.startMs + seconds * 1000,
      );
    const { events, hashes } = read(context, { url: [first.url, second.url], since: first.startMs });
    for (const seconds of [0, 390]) block(first, seconds);
    await waitFor(() => events.length === 2, { what: 'what the first has' });
    for (const seconds of [0, 200, 350, 400]) block(second, seconds);
    second.statusMs = second.startMs + status * 1000;
    second.instead = from(second, new Date(second.startMs).toISOString());
    await first.stop();
    await waitFor(() => hashes().includes('e2400'), { what: 'the newest of the second' });
    assert.deepEqual(
      hashes().slice(2),
      expected.map((seconds) => `e2${seconds}`),
    );
    assert.equal(second.asked.at(-1)?.parameters.since, '2026-11-30T01:05:30.000Z');
  });

for (const [why, refuse] of [
  ['a cursor of another history', () => {}],
  [
    'what is no cursor to the server',
    (server: ScriptedServer) => {
      server.refusal = refusalOf('bad_parameter', 400);
    },
  ],
] as const)
  for (const kept of ['e1.7', 'e1.7~2026-11-30T01:00:01.000Z'])
    test(`strictly ${why} ends the feed, with a time beside it as without: ${kept}`, async (context) => {
      const server = await ScriptedServer.listen(context, 'e2');
      server.blocks(3);
      refuse(server);
      const options = { url: server.url, strict: true, since: server.startMs };
      const { events, done } = read(context, { ...options, cursor: memoryStore(kept) });
      await assert.rejects(within(done, 20_000, 'the end'), (error: FeedError) => {
        assert.equal(error.name, 'FeedError');
        assert.match(error.code, /^(cursor_unknown|bad_parameter)$/);
        assert.match(error.message, /; the cursor is what load of the store gave$/);
        return true;
      });
      assert.deepEqual(events, []);
    });

test('a stored cursor that is none is an error that names the store', async (context) => {
  const server = await ScriptedServer.listen(context, 'e2');
  server.refusal = refusalOf('bad_parameter', 400);
  await assert.rejects(read(context, { url: server.url, cursor: memoryStore('nonsense') }).done, {
    name: 'FeedError',
    code: 'bad_parameter',
    message: `${server.url}: cursor must be; the cursor is what load of the store gave`,
  });
  // One of its own is no fault of the store's.
  const given = read(context, { url: server.url, cursor: 'nonsense' });
  await assert.rejects(given.done, { message: `${server.url}: cursor must be` });
});

test('of several servers those that are down are passed over, and each failure is told with its reason', async (context) => {
  const [port = 0] = await freePorts(1);
  const server = await ScriptedServer.listen(context);
  const nobody = `ws://127.0.0.1:${port}`;
  const { events, failures } = read(context, { url: [nobody, server.url], cursor: 'oldest' });
  server.blocks(1);
  await waitFor(() => events.length === 1, { what: 'a frame of the one that is up' });
  const [failure, ...more] = failures;
  assert.deepEqual(more, []);
  assert.equal(failure?.url, nobody);
  assert.equal(failure?.reason, 'unreachable');
  assert.match(String(failure?.text), /ECONNREFUSED/);
  assert.match(String(failure?.cause), /ECONNREFUSED/);
  assert.equal(failure?.opened, false);
  assert.equal(failure?.attempt, 1);
});
