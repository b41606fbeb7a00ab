import assert from 'node:assert/strict';
import { test } from 'node:test';
import { feed } from '#feed';
import { waitFor, within } from '../support/wait.js';
import { read } from './reading.js';
import { ScriptedServer } from './scripted-server.js';
import { BareWebSocket, EACH } from './sockets.js';

const PROBLEM = 'application/problem+json';
const problem = (status: number, code: string, detail: string, extra: object = {}) => ({
  status,
  headers: { 'content-type': PROBLEM },
  body: JSON.stringify({ type: 'about:blank', title: code, status, detail, code, ...extra }),
});

for (const [code, said] of [
  [4400, 'bad_parameter'],
  [4401, 'token_unknown'],
  [4403, 'not_allowed'],
  [4410, 'cursor_too_old'],
] as const)
  test(`close code ${code} ends the feed, with what the server said before`, async (context) => {
    const server = await ScriptedServer.listen(context);
    server.instead = (socket) => {
      socket.send(JSON.stringify({ type: 'error', code: said, text: 'because', oldest: 'e1.3' }));
      socket.close(code);
      return true;
    };
    const { done, failures } = read(context, { url: server.url });
    await assert.rejects(within(done, 20_000, 'the end'), {
      name: 'FeedError',
      code: said,
      message: `${server.url}: because`,
      detail: { oldest: 'e1.3' },
    });
    assert.deepEqual(failures, []);
    assert.equal(server.asked.length, 1);
  });

for (const code of [1001, 1008, 1011, 1012, 1013])
  test(`close code ${code} is tried again after a pause`, async (context) => {
    const server = await ScriptedServer.listen(context);
    let times = 0;
    server.instead = (socket, asked) => {
      if (times++ > 1) return false;
      server.serve(socket, asked);
      socket.send(
        JSON.stringify({ type: 'error', code: 'too_slow', text: 'too far behind', cursor: 'e1.0' }),
      );
      socket.close(code);
      return true;
    };
    const { hashes, failures } = read(context, { url: server.url });
    await waitFor(() => server.asked.length === 3 && server.live.length === 1, {
      what: 'the third connection',
    });
    const [hash] = server.blocks(1);
    await waitFor(() => hashes().length > 0, { what: 'a frame' });
    assert.deepEqual(hashes(), [hash]);
    assert.deepEqual(
      failures.map(({ reason, problem, attempt, opened, ...failure }) => [
        reason,
        failure.code,
        problem,
        attempt,
        opened,
      ]),
      [
        ['closed', code, 'too_slow', 1, true],
        ['closed', code, 'too_slow', 2, true],
      ],
    );
    assert.match(String(failures[0]?.text), /too far behind/);
  });

test('a refusal before the upgrade ends the feed where the server says what is wrong, whatever the WebSocket shows', async (context) => {
  const server = await ScriptedServer.listen(context);
  server.refusal = problem(400, 'unknown_kind', 'kinds: "blok" is none of block', { kinds: ['block'] });
  for (const [, WebSocket] of EACH) {
    const { done } = read(context, { url: server.url, WebSocket });
    await assert.rejects(done, {
      name: 'FeedError',
      code: 'unknown_kind',
      message: `${server.url}: kinds: "blok" is none of block`,
      detail: { kinds: ['block'] },
    });
  }
});

test('who is told to come later does', async (context) => {
  const server = await ScriptedServer.listen(context);
  const { body, headers } = problem(503, 'too_many_connections', 'full');
  server.refusal = { status: 503, headers: { ...headers, 'retry-after': '1' }, body };
  for (const [, WebSocket] of EACH) {
    const { failures, stop } = read(context, { url: server.url, WebSocket });
    await waitFor(() => failures.length > 0, { what: 'a failure' });
    const [{ status, reason, problem: said, retryInMs, text } = {}] = failures;
    assert.deepEqual([status, reason, said, retryInMs], [503, 'refused', 'too_many_connections', 1000]);
    assert.match(String(text), /503.*full/);
    stop();
  }
});

test('a wrong path ends the feed at once, unless it had begun before or another server is there', async (context) => {
  const [server, other] = [await ScriptedServer.listen(context), await ScriptedServer.listen(context)];
  server.refusal = { status: 404 };
  await assert.rejects(read(context, { url: server.url }).done, {
    name: 'FeedError',
    code: 'refused',
    detail: { status: 404 },
  });
  const both = read(context, { url: [server.url, other.url] });
  await waitFor(() => other.live.length === 1, { what: 'a reader at the other' });
  assert.deepEqual(
    both.failures.map(({ status }) => status),
    [404],
  );
  // As while a proxy is set up anew.
  server.refusal = undefined;
  const one = read(context, { url: server.url });
  await waitFor(() => server.live.length === 1, { what: 'a reader' });
  server.refusal = { status: 404 };
  server.live[0]?.close(1012);
  await waitFor(() => one.failures.length > 2, { what: 'failures' });
  server.refusal = undefined;
  await waitFor(() => server.live.length === 1, { what: 'the reader again' });
});

test('a token goes as a header where the WebSocket takes one, else in the URL', async (context) => {
  const server = await ScriptedServer.listen(context);
  for (const [name, WebSocket] of EACH) {
    const bare = WebSocket === BareWebSocket;
    const webSocketOptions = { headers: { 'x-mine': 'kept' } };
    const options = { url: server.url, token: 'secret', WebSocket };
    const { stop } = read(context, bare ? options : { ...options, webSocketOptions });
    await waitFor(() => server.live.length === 1, { what: `a reader over ${name}` });
    const { headers, parameters } = server.asked.at(-1) ?? {};
    assert.equal(headers?.authorization, bare ? undefined : 'Bearer secret', name);
    assert.equal(headers?.['x-mine'], bare ? undefined : 'kept', name);
    assert.deepEqual(parameters, bare ? { meta: 'true', token: 'secret' } : { meta: 'true' }, name);
    stop();
    await waitFor(() => server.live.length === 0, { what: 'its end' });
  }
});

test('a token goes along where a feed is followed plainly, too', async (context) => {
  const server = await ScriptedServer.listen(context);
  for (const [name, WebSocket] of EACH) {
    const bare = WebSocket === BareWebSocket;
    const stopping = new AbortController();
    const events = feed({
      url: server.url,
      plain: true,
      token: 'secret',
      WebSocket,
      signal: stopping.signal,
    });
    const first = events.next();
    await waitFor(() => server.live.length === 1, { what: `a reader over ${name}` });
    const { headers, parameters } = server.asked.at(-1) ?? {};
    assert.equal(headers?.authorization, bare ? undefined : 'Bearer secret', name);
    assert.deepEqual(parameters, bare ? { token: 'secret' } : {}, name);
    stopping.abort();
    await first;
    await waitFor(() => server.live.length === 0, { what: 'its end' });
  }
});

test('with a token that allows no history a feed goes on from now, and tells that something is missing', async (context) => {
  const server = await ScriptedServer.listen(context);
  server.limits = { kinds: ['block'] };
  server.instead = (socket, { parameters }) => {
    if (parameters.cursor === undefined) return false;
    socket.send('{"type":"error","code":"not_allowed","text":"the token has no history"}');
    socket.close(4403);
    return true;
  };
  const allowed: unknown[] = [];
  const { events, hashes, failures } = read(context, {
    url: server.url,
    onOpen: ({ kinds }) => allowed.push(kinds),
  });
  await waitFor(() => server.live.length === 1, { what: 'a reader' });
  server.blocks(1);
  await waitFor(() => events.length === 1, { what: 'a frame' });
  server.live[0]?.close(1012);
  await waitFor(() => server.live.length === 0, { what: 'the end of the connection' });
  server.blocks(1);
  await waitFor(() => server.live.length === 1, { what: 'the reader again' });
  server.blocks(1);
  await waitFor(() => hashes().length === 2, { what: 'what came later' });
  assert.deepEqual(
    events.map((event) => ('seq' in event ? event.seq : event.type)),
    [1, 'gap', 3],
  );
  assert.deepEqual(
    server.asked.map(({ parameters }) => parameters.cursor),
    [undefined, 'e1.1', undefined],
  );
  assert.equal(failures.length, 1);
  assert.deepEqual(allowed, [['block'], ['block']]);
  // Who asks for what was before is told that it is not to be had.
  for (const cursor of ['oldest', 'e1.1'])
    await assert.rejects(read(context, { url: server.url, cursor }).done, { code: 'not_allowed' });
});

test('a server that knows no parameters is named as such, and followed plainly on request', async (context) => {
  const server = await ScriptedServer.listen(context);
  server.instead = (socket) => {
    socket.send('{"type":"node_status","peer_id":"me"}');
    return true;
  };
  await assert.rejects(read(context, { url: server.url }).done, { name: 'FeedError', code: 'no_position' });
});

test('what is no URL, no time or no WebSocket is refused before anything is asked', async (context) => {
  const failing = (options: Parameters<typeof read>[1]) => read(context, options).done;
  await assert.rejects(failing({ url: 'not a url' }), TypeError);
  await assert.rejects(failing({ url: 'ftp://host/' }), /ftp:\/\/host\/ is no URL of ws:/);
  await assert.rejects(failing({ url: [] }), TypeError);
  await assert.rejects(failing({ url: 'ws://127.0.0.1:1', since: new Date(Number.NaN) }), RangeError);
});
