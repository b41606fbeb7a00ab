import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ScriptedServer } from '../../client/scripted-server.js';
import { AUTHOR, OTHER_PEER } from '../../support/sample-messages.js';
import { temporaryDirectory } from '../../support/temporary.js';
import { waitFor, within } from '../../support/wait.js';

const THIRD_PEER = '12D3KooWP8MLSnTrajkaVMjSArLTRrYNTUDwLwaeoaS2FwXzV3hk';
const BIN = resolve('bin/teranode-p2p.mjs');

function tail(context: TestContext, url: string, ...args: readonly string[]) {
  return tailWith(context, {}, url, ...args);
}

function tailWith(context: TestContext, more: NodeJS.ProcessEnv, url: string, ...args: readonly string[]) {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const child = spawn(process.execPath, [BIN, 'tail', '--url', url, ...args], {
    cwd: temporaryDirectory(context),
    env: { ...env, ...more },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  context.after(() => child.kill('SIGKILL'));
  const run = {
    stdout: '',
    stderr: '',
    frames: () =>
      run.stdout
        .trim()
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Record<string, unknown>),
    end: async () => {
      child.kill('SIGTERM');
      return within(code, 30_000, 'an end');
    },
    code: () => within(code, 60_000, args.join(' ')),
  };
  const code = new Promise<number | null>((done) => child.once('close', done));
  child.stdout.setEncoding('utf8').on('data', (text: string) => (run.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (run.stderr += text));
  return run;
}

test('tail --since shows what is kept from there on, of the kinds and peers asked for, and what the server kept meanwhile', async (context) => {
  const server = await ScriptedServer.listen(context, 'e1', Date.now() - 3_600_000);
  server.announce({ type: 'block', hash: 'aa', tx_count: 1, peer_id: AUTHOR }, Date.now() - 7_200_000);
  const hashes = server.blocks(3);
  const run = tail(
    context,
    server.url,
    '--since',
    '90m',
    '-k',
    'block,subtree',
    '--peer',
    AUTHOR,
    '--peer',
    `${OTHER_PEER},${THIRD_PEER}`,
    '--json',
  );
  await waitFor(() => run.frames().length === 3, { what: 'what is kept' });
  const { since = '', ...parameters } = server.asked[0]?.parameters ?? {};
  assert.deepEqual(parameters, {
    meta: 'true',
    kinds: 'block,subtree',
    peers: [AUTHOR, OTHER_PEER, THIRD_PEER].join(),
  });
  const ago = Date.now() - Date.parse(since);
  assert.ok(ago >= 5_400_000 && ago < 5_460_000, since);
  await server.stop();
  hashes.push(...server.blocks(2));
  await server.start();
  await waitFor(() => run.frames().length === 5, { what: 'what was said while it was away' });
  assert.deepEqual(
    run.frames().map(({ hash }) => hash),
    hashes,
  );
  assert.equal(run.stdout.trim().split('\n')[0], JSON.stringify(server.frames[1]), 'as it came');
  assert.match(run.stderr, /went away, trying again\n/);
  assert.doesNotMatch(run.stderr, /gap/);
  assert.equal(await run.end(), 0);
});

test('tail --cursor goes on behind a frame, by its lines of when they were received, and tells what is missing', async (context) => {
  const server = await ScriptedServer.listen(context);
  server.blocks(5);
  server.dropped = 3;
  const run = tail(context, server.url, '--cursor', 'e1.2', '--count', '3');
  await waitFor(() => server.live.length === 1, { what: 'a reader' });
  server.live[0]?.send('{"type":"info","code":"gap","text":"4 frames are missing","from":6,"to":9}');
  server.blocks(1);
  assert.equal(await run.code(), 0);
  const lines = run.stdout.trim().split('\n');
  assert.match(String(lines[0]), /^01:00:03\.000 block/);
  assert.equal(lines.length, 3);
  assert.match(run.stderr, /^too old: no longer kept\ngap: 4 frames are missing\n$/);
  const meta = tail(context, server.url, '--meta', '--json', '-n', '1');
  await waitFor(() => server.asked.length === 2 && server.live.length === 1, { what: 'a reader' });
  server.blocks(1);
  assert.equal(await meta.code(), 0);
  assert.equal(meta.frames()[0]?.cursor, 'e1.7');
});

test('tail without a position asks for nothing, as ever', async (context) => {
  const server = await ScriptedServer.listen(context);
  server.instead = (socket) => {
    socket.send('{"type":"node_status","peer_id":"me"}');
    socket.send('{"type":"subtree","hash":"aa"}');
    socket.send('{"type":"block","hash":"bb"}');
    return true;
  };
  const run = tail(context, server.url, '-k', 'block', '--json', '-n', '1');
  assert.equal(await run.code(), 0);
  assert.deepEqual(run.frames(), [{ type: 'block', hash: 'bb' }]);
  assert.deepEqual(
    server.asked.map(({ parameters }) => parameters),
    [{}],
  );
});

test('a server that knows no parameters is followed all the same, and that it has no position is said', async (context) => {
  const server = await ScriptedServer.listen(context);
  const socketsBefore = () => server.asked.length;
  server.instead = (socket) => {
    socket.send('{"type":"node_status","peer_id":"me"}');
    socket.send('{"type":"block","hash":"aa","peer_id":"p"}');
    socket.send('{"type":"block","hash":"bb","peer_id":"OTHER"}'.replace('OTHER', OTHER_PEER));
    if (socketsBefore() === 2) socket.close(1012);
    return true;
  };
  const run = tail(
    context,
    server.url,
    '--since',
    '1h',
    '--kind',
    'block',
    '--peer',
    OTHER_PEER,
    '--json',
    '-n',
    '2',
  );
  assert.equal(await run.code(), 0);
  assert.deepEqual(run.frames(), Array(2).fill({ type: 'block', hash: 'bb', peer_id: OTHER_PEER }));
  assert.match(
    run.stderr,
    /knows no position: what comes from now on is shown, and what comes while it is away is missed\n/,
  );
  assert.match(
    run.stderr,
    /went away, trying again\ngap: the connection was lost, and this server has no history\n/,
  );
});

test('what the server refuses is said in its words; what makes no sense, before it is asked', async (context) => {
  const server = await ScriptedServer.listen(context);
  server.refusal = {
    status: 400,
    headers: { 'content-type': 'application/problem+json' },
    body: JSON.stringify({
      status: 400,
      code: 'bad_parameter',
      detail: 'cursor: "x" is none',
      parameter: 'cursor',
    }),
  };
  const refused = tail(context, server.url, '--cursor', 'x');
  assert.equal(await refused.code(), 1);
  assert.match(refused.stderr, /^error: ws:\S+: cursor: "x" is none\n$/);
  for (const [args, said] of [
    [['--since', 'yesterday'], /Expected how long ago, such as 10m, 1h or 7d, or a time such as/],
    [['--since', '1h', '--cursor', 'oldest'], /cannot be used with option/],
    [['--peer', `${AUTHOR},abc`], /^error: "abc" is no peer ID \(--peer\)\n$/],
  ] as const) {
    const run = tail(context, server.url, ...args);
    assert.equal(await run.code(), 2);
    assert.match(run.stderr, said);
  }
  const ping = tail(context, server.url, '--meta', '-k', 'PING');
  assert.equal(await ping.code(), 1);
  assert.match(ping.stderr, /PING has no place/);
});

test('tail gives a token that it is told or that the environment has, and says what that allows', async (context) => {
  const server = await ScriptedServer.listen(context);
  server.limits = { kinds: ['block', 'subtree'] };
  const follow = async (env: NodeJS.ProcessEnv, ...args: readonly string[]) => {
    const run = tailWith(context, env, server.url, '--json', '-n', '1', ...args);
    await waitFor(() => server.live.length === 1, { what: 'a reader' });
    server.blocks(1);
    assert.equal(await run.code(), 0, run.stderr);
    await waitFor(() => server.live.length === 0, { what: 'its end' });
    const { headers, parameters } = server.asked.at(-1) ?? {};
    return { ...run, authorization: headers?.authorization, parameters };
  };
  const told = await follow({ P2P_FEED_TOKEN: 'another' }, '--token', 'secret');
  assert.deepEqual([told.authorization, told.parameters], ['Bearer secret', { meta: 'true' }]);
  assert.equal(told.stderr, 'note: block, subtree alone: no other kind is allowed\n');
  const found = await follow({ P2P_FEED_TOKEN: 'secret\n' }, '-k', 'block');
  assert.deepEqual(
    [found.authorization, found.parameters],
    ['Bearer secret', { meta: 'true', kinds: 'block' }],
  );
  assert.equal(found.stderr, '');
  const none = await follow({ P2P_FEED_TOKEN: '' }, '-k', 'block');
  assert.deepEqual([none.authorization, none.parameters], [undefined, {}]);
});

test('where the feed wants a token, or another, that is said with what to do; help says how', async (context) => {
  const server = await ScriptedServer.listen(context);
  for (const [status, code, detail, args, advice] of [
    [
      401,
      'token_missing',
      'This server wants a token.',
      [],
      /Give one with --token, or as P2P_FEED_TOKEN in the/,
    ],
    [
      401,
      'token_unknown',
      'No such token.',
      ['--token', 'wrong-one'],
      /Whoever runs the server has others\./,
    ],
    [403, 'not_allowed', 'the token allows block alone', ['--token', 'one', '-k', 'subtree'], undefined],
  ] as const) {
    const headers = { 'content-type': 'application/problem+json' };
    server.refusal = { status, headers, body: JSON.stringify({ status, code, detail }) };
    const run = tail(context, server.url, ...args);
    assert.equal(await run.code(), 1);
    const [error, told = '', ...rest] = run.stderr.split('\n');
    assert.equal(error, `error: ${server.url}: ${detail}`);
    if (advice === undefined) assert.equal(told, '');
    else assert.match([told, ...rest].join(' '), advice);
    assert.ok(!run.stderr.includes('wrong-one'));
  }
  const before = server.asked.length;
  const none = tail(context, server.url, '--token', 'two words');
  assert.equal(await none.code(), 1);
  assert.match(none.stderr, /^error: that is no token: /);
  assert.ok(!none.stderr.includes('two words'));
  assert.equal(server.asked.length, before);
  const help = tail(context, server.url, '--help');
  assert.equal(await help.code(), 0);
  assert.match(help.stdout, /--token <token>[^-]*\(env:\s+P2P_FEED_TOKEN\)/);
});
