import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo, Server as NetServer } from 'node:net';
import { join, resolve } from 'node:path';
import { type TestContext, test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { MemoryLevel } from 'memory-level';
import { WebSocketServer } from 'ws';
import { sightingText } from '../../../src/main/cli/devnet-view.js';
import { frameLine } from '../../../src/main/cli/frame-line.js';
import { withoutPeerId } from '../../../src/main/cli/peers.js';
import { createProgram, globalsFirst } from '../../../src/main/cli/program.js';
import { formatBytes, printable, short, Terminal } from '../../../src/main/cli/terminal.js';
import { ControlServer } from '../../../src/main/control/server.js';
import type { Sighting } from '../../../src/main/devnet/sightings.js';
import { HealthServer } from '../../../src/main/health/http.js';
import { UnavailableError } from '../../../src/shared/errors.js';
import { parseTokens } from '../../../src/shared/firehose/tokens.js';
import { KafkaBlockTopicMessage } from '../../../src/shared/generated/kafkamessage.js';
import { parseListenAddress } from '../../../src/shared/net/listen-address.js';
import { writeRunFile } from '../../../src/shared/process/run-file.js';
import { EmbeddedBroker } from '../../../src/shared/sinks/kafka/embedded/broker.js';
import { EmbeddedBrokerServer } from '../../../src/shared/sinks/kafka/embedded/server.js';
import { asPeer } from '../../support/branded.js';
import { makeCertificate } from '../../support/certificates.js';
import { keptLog } from '../../support/logger.js';
import { temporaryDirectory } from '../../support/temporary.js';
import { waitFor, within } from '../../support/wait.js';
import { ADMIN_KEY, startService } from '../grpc/service-fixture.js';

const BIN = resolve('bin/teranode-p2p.mjs');
const { logger } = keptLog();

interface Run {
  readonly child: ChildProcess;
  stdout: string;
  stderr: string;
  readonly code: Promise<number | null>;
}

function launch(
  context: TestContext,
  args: readonly string[],
  cwd: string,
  env: NodeJS.ProcessEnv = {},
): Run {
  const { NODE_TEST_CONTEXT: _, ...inherited } = process.env;
  const child = spawn(process.execPath, [BIN, ...args], {
    cwd,
    env: { ...inherited, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  context.after(() => child.kill('SIGKILL'));
  const run: Run = {
    child,
    stdout: '',
    stderr: '',
    code: new Promise((done) => child.once('close', done)),
  };
  child.stdout.on('data', (data) => (run.stdout += data));
  child.stderr.on('data', (data) => (run.stderr += data));
  return run;
}

async function finish(
  context: TestContext,
  args: readonly string[],
  { cwd = temporaryDirectory(context), env = {} }: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const run = launch(context, args, cwd, env);
  const code = await within(run.code, 60_000, args.join(' '));
  return { code, stdout: run.stdout, stderr: run.stderr };
}

test('help is exit code 0 and has examples for every command', async (context) => {
  const { code, stdout } = await finish(context, ['--help']);
  assert.equal(code, 0);
  for (const command of [
    'start',
    'watch',
    'devnet',
    'peers',
    'ban',
    'unban',
    'bans',
    'tail',
    'records',
    'outbox',
    'keygen',
    'feed-token',
    'settings',
    'check',
    'health',
    'completion',
  ]) {
    assert.match(stdout, new RegExp(`^ {2}${command}\\b`, 'm'));
  }
  assert.ok(!stdout.includes('(default: []'), stdout);
  const devnet = await finish(context, ['devnet', '--help']);
  assert.match(devnet.stdout, /between two blocks \(default: 10s\)/);
  assert.ok(!devnet.stdout.includes('(default: false)'), devnet.stdout);
  const examples = await finish(context, ['ban', '--help']);
  assert.match(examples.stdout, /Examples:\n {2}\$ teranode-p2p ban 203/);
});

test('wrong usage is exit code 2 and one line that says what was meant', async (context) => {
  const unknown = await finish(context, ['bann']);
  assert.equal(unknown.code, 2);
  assert.match(unknown.stderr, /^error: unknown command 'bann'\n\(Did you mean one of ban, bans\?\)\n$/);
  for (const args of [
    ['ban'],
    ['ban', 'x', '--for', 'soon'],
    ['ban', 'x', '--until', '2001-01-01'],
    ['ban', '203.0.113.7', '--until', '+055000-01-01T00:00:00Z'],
    ['ban', '5.6.7.8:99999'],
    ['unban', '[2001:db8::1]:65536'],
    ['ban', '/ip4/5.6.7.8/tcp/99999'],
    ['unban'],
    ['ban', 'not an address'],
    ['unban', '0.0.0.0/0'],
    ['log-level', 'loud'],
    ['tail', '-n', '-1'],
  ]) {
    const { code, stderr } = await finish(context, args);
    assert.equal(code, 2, args.join(' '));
    assert.match(stderr, /^error: /);
  }
  const offset = await finish(context, ['devnet', '--port-offset', '40001']);
  assert.equal(offset.code, 2);
  assert.match(offset.stderr, /--port-offset .*Expected 0 to 40000\.\n$/);
  const kind = await finish(context, ['tail', '-k', 'block,blok']);
  assert.equal(kind.code, 2);
  assert.match(
    kind.stderr,
    /No kind "blok": block, subtree, mining_on, rejected_tx, node_status or PING\.\n$/,
  );
});

test('a failure is exit code 1 and one line; --verbose tells where', async (context) => {
  const cwd = temporaryDirectory(context);
  const plain = await finish(context, ['outbox'], { cwd });
  assert.equal(plain.code, 1);
  assert.match(
    plain.stderr,
    /^error: no server runs on DATADIR .*; name its directory with --set DATADIR=…\n$/,
  );
  const verbose = await finish(context, ['outbox', '--verbose'], { cwd });
  assert.match(verbose.stderr, /\n {4}at /);
  const away = await finish(context, ['peers', '--set', 'p2p_grpcAddress=127.0.0.1:1'], { cwd });
  assert.equal(away.code, 1);
  assert.match(away.stderr, /^error: no server answers at 127\.0\.0\.1:1 \(p2p_grpcAddress\): .*\n$/);
});

test('settings show <key> tells that one, by any of its spellings, and what it is for', async (context) => {
  const one = await finish(context, ['settings', 'show', 'p2p_port', '--set', 'p2p_port=4711']);
  assert.deepEqual(
    [one.code, one.stdout],
    [0, '# libp2p TCP port; 0 takes a free one.\np2p_port = 4711  # --set\n'],
  );
  const two = await finish(context, [
    'settings',
    'show',
    'network',
    'grpc_admin_api_key',
    '--json',
    '--set',
    'grpc_admin_api_key=hunter2hunter2hunter2',
  ]);
  assert.deepEqual(JSON.parse(two.stdout), {
    network: { value: 'mainnet', source: 'default' },
    grpc_admin_api_key: { value: '[secret]', source: '--set' },
  });
  const spelled = await finish(context, ['settings', 'show', 'grpcAdminAPIKey']);
  assert.match(spelled.stdout, /\ngrpc_admin_api_key = \n$/);
  const mistyped = await finish(context, ['settings', 'show', 'p2p_prot']);
  assert.equal(mistyped.code, 2);
  assert.equal(mistyped.stderr, 'error: p2p_prot: no such setting; the nearest is "p2p_port"\n');
});

test('settings show tells values and where they come from, no secrets, and warns on standard error', async (context) => {
  const cwd = temporaryDirectory(context);
  writeFileSync(join(cwd, 'settings.conf'), 'clientName = from the file\np2p_pork = 1\n');
  const env = { p2p_shared_key: 'ab'.repeat(32) };
  const { code, stdout, stderr } = await finish(
    context,
    ['settings', 'show', '--changed', '--set', 'network=regtest'],
    { cwd, env },
  );
  assert.equal(code, 0);
  assert.match(stdout, /^network = regtest {2}# --set$/m);
  assert.match(stdout, /^clientName = from the file {2}# .*settings\.conf$/m);
  assert.match(stdout, /^p2p_shared_key = \[secret\] {2}# environment$/m);
  assert.match(stderr, /^warning: .*p2p_pork.*"p2p_port"$/m);
  assert.equal(stdout.trim().split('\n').length, 3);
  const bad = await finish(context, ['settings', 'show', '--set', 'p2p_port=x', '--set=network=moon'], {
    cwd,
  });
  assert.equal(bad.code, 1);
  assert.match(bad.stderr, /^error: 2 problems:\n {2}network: .*\n {2}p2p_port: .*\n$/);
});

test('settings show tells the variables of OpenTelemetry that are set, without their secrets', async (context) => {
  const env = {
    OTEL_TRACES_EXPORTER: 'otlp',
    OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20hunter2',
    OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'x-key=hunter2',
    OTEL_EXPORTER_OTLP_ENDPOINT: 'https://alice:hunter2@collector:4318',
  };
  const all = await finish(context, ['settings', 'show', '--changed'], { env });
  assert.equal(
    all.stdout,
    [
      'OTEL_EXPORTER_OTLP_ENDPOINT = https://alice:[secret]@collector:4318  # environment',
      'OTEL_EXPORTER_OTLP_HEADERS = [secret]  # environment',
      'OTEL_EXPORTER_OTLP_TRACES_HEADERS = [secret]  # environment',
      'OTEL_TRACES_EXPORTER = otlp  # environment',
      '',
    ].join('\n'),
  );
  const one = await finish(context, ['settings', 'show', 'OTEL_EXPORTER_OTLP_HEADERS', '--json'], { env });
  assert.deepEqual(JSON.parse(one.stdout), {
    OTEL_EXPORTER_OTLP_HEADERS: { value: '[secret]', source: 'environment' },
  });
  const none = await finish(context, ['settings', 'show', 'OTEL_SERVICE_NAME'], { env });
  assert.deepEqual([none.code, none.stderr], [2, 'error: OTEL_SERVICE_NAME: not set in the environment\n']);
});

test('output that nobody reads any more ends the command without an error', async (context) => {
  const run = launch(context, ['settings', 'show'], temporaryDirectory(context));
  run.child.stdout?.destroy();
  assert.equal(await within(run.code, 60_000, 'settings show'), 0);
  assert.equal(run.stderr, '');
});

test('keygen makes keys that the server reads, and never writes over one', async (context) => {
  const cwd = temporaryDirectory(context);
  const { stdout } = await finish(context, ['keygen', '--json'], { cwd });
  const { p2p_private_key: key, peerId } = JSON.parse(stdout);
  assert.match(key, /^[0-9a-f]{192}$/);
  assert.match(peerId, /^12D3KooW/);
  const shown = await finish(context, ['settings', 'show', '--changed', '--set', `p2p_private_key=${key}`], {
    cwd,
  });
  assert.equal(shown.code, 0, shown.stderr);
  assert.match(
    (await finish(context, ['keygen', '--shared'], { cwd })).stdout,
    /^p2p_shared_key = [0-9a-f]{64}\n$/,
  );
  const first = await finish(context, ['keygen', '--out', 'p2p.key'], { cwd });
  assert.equal(first.code, 0);
  const kept = readFileSync(join(cwd, 'p2p.key'), 'utf8');
  assert.equal(statSync(join(cwd, 'p2p.key')).mode & 0o777, 0o600);
  assert.ok(!first.stdout.includes(kept));
  assert.equal((await finish(context, ['keygen', '--out', 'p2p.key'], { cwd })).code, 1);
  assert.equal(readFileSync(join(cwd, 'p2p.key'), 'utf8'), kept);
});

test('feed-token makes tokens whose lines the server reads, and adds none to a file that it would refuse', async (context) => {
  const cwd = temporaryDirectory(context);
  const limits = ['--connections', '5', '--kinds', 'subtree,block', '--no-replay', '--json'];
  const { stdout } = await finish(context, ['feed-token', 'explorer', ...limits], { cwd });
  const { token, line } = JSON.parse(stdout);
  const hash = createHash('sha256').update(token).digest('hex');
  assert.equal(line, `explorer:${hash}:connections=5 kinds=block,subtree replay=no`);
  for (const name of ['one', 'two']) {
    const { code, stderr } = await finish(context, ['feed-token', name, '--add', 'tokens'], { cwd });
    assert.equal(code, 0, stderr);
  }
  const kept = readFileSync(join(cwd, 'tokens'), 'utf8');
  assert.deepEqual(
    parseTokens(kept).map(({ name }) => name),
    ['one', 'two'],
  );
  assert.equal(statSync(join(cwd, 'tokens')).mode & 0o777, 0o600);
  for (const [wrong, says] of [
    [['one', '--add', 'tokens'], /tokens: line 3 has the name of line 1/],
    [['three', '--add', 'tokens', '--kinds', 'everything'], /kinds must be some of block, /],
    [['a b'], /is not name:hash:limits/],
  ] as const) {
    const { code, stderr } = await finish(context, ['feed-token', ...wrong], { cwd });
    assert.equal(code, 1);
    assert.match(stderr, says);
  }
  assert.equal(readFileSync(join(cwd, 'tokens'), 'utf8'), kept);
});

test('bans are made with the key of DATADIR, listed, and taken back', async (context) => {
  const { address, list } = await startService(context);
  const cwd = temporaryDirectory(context);
  writeFileSync(join(cwd, 'admin.key'), `${ADMIN_KEY}\n`);
  const run = (...args: string[]) =>
    finish(context, [...args, '--set', `p2p_grpcAddress=${address}`, '--set', `DATADIR=${cwd}`], { cwd });
  assert.equal((await run('unban', '203.0.113.9')).stdout, '203.0.113.9 was not banned\n');
  const banned = await run('ban', '203.0.113.7', '--for', '7d', '--reason', 'sent \u001b[31mnonsense');
  assert.equal(banned.code, 0, banned.stderr);
  assert.match(banned.stdout, /^203\.0\.113\.7 is banned until 20/);
  const told = /^203\.0\.113\.7 is banned until (\S+)\n$/.exec(banned.stdout)?.[1] ?? '';
  const end = new Date(Math.ceil(Date.parse(told) / 1000) * 1000).toISOString();
  const [head, row] = (await run('bans')).stdout.split('\n');
  assert.match(head ?? '', /^BANNED +UNTIL +BY +WITH +REASON$/);
  assert.equal(
    row?.replaceAll(/ {2,}/g, '  '),
    `203.0.113.7  ${end.replace('.000Z', 'Z')}  operator  –  sent [31mnonsense`,
  );
  assert.deepEqual(JSON.parse((await run('bans', '--json')).stdout), [
    { subject: '203.0.113.7', until: end, by: 'operator', reason: 'sent [31mnonsense' },
  ]);
  assert.equal((await run('unban', '203.0.113.7')).stdout, '203.0.113.7 is not banned any more\n');
  const nobody = await run('bans');
  assert.deepEqual([nobody.stdout, nobody.stderr], ['', 'nobody is banned\n']);
  assert.match((await run('ban', '203.0.113.8')).stdout, /^203\.0\.113\.8 is banned for 24h, until 20/);
  const peer = '12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp';
  const until = Date.now() + 3_600_000;
  await list.add(peer, until, 'score');
  await list.add('203.0.113.10', until, 'score', {
    peer: asPeer(peer),
    reason: 'score 100, the last for spam',
  });
  const byScore = new RegExp(
    `^203\\.0\\.113\\.10 +20\\S+Z +score +${peer}  score 100, the last for spam$`,
    'm',
  );
  assert.match((await run('bans')).stdout, byScore);
  assert.equal((await run('unban', peer)).stdout, `${peer} is not banned any more; with it 203.0.113.10\n`);
  assert.equal((await run('unban', '--all')).code, 0);
  assert.equal((await run('bans')).stdout, '');
  assert.match((await run('peers')).stdout, /^PEER +NAME +ADDRESS +DIRECTION +HEIGHT +REPUTATION +SCORE/);
  writeFileSync(join(cwd, 'admin.key'), 'f'.repeat(64));
  assert.equal((await run('ban', '203.0.113.7')).code, 1, 'a wrong key is refused');
  rmSync(join(cwd, 'admin.key'));
  const keyless = await run('unban', '203.0.113.7');
  assert.equal(keyless.code, 1);
  assert.equal(
    keyless.stderr,
    `error: no admin key: ${join(cwd, 'admin.key')} does not exist; set grpc_admin_api_key or DATADIR\n`,
  );
});

test('a command that goes by port says so where another server than that of DATADIR is asked', async (context) => {
  const { server, address } = await startService(context);
  const cwd = temporaryDirectory(context);
  const peerId = '12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp';
  const ask = (grpc: number) => {
    const ports = { p2p: 1, http: 1, grpc };
    writeRunFile(cwd, { pid: process.pid, startedAt: 0, peerId, controlSocket: '', ports });
    return finish(context, ['bans', '--set', `p2p_grpcAddress=${address}`, '--set', `DATADIR=${cwd}`], {
      cwd,
    });
  };
  const port = server.port ?? 0;
  assert.equal((await ask(port)).stderr, 'nobody is banned\n');
  assert.equal(
    (await ask(port + 1)).stderr,
    `note: port ${port} (p2p_grpcAddress) is asked, not ${port + 1}, where the server of ${cwd} is, ${peerId}\n` +
      'nobody is banned\n',
  );
});

test('tail shows the kinds asked for, cleaned of what could steer a terminal, and follows a feed that returns', async (context) => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  context.after(() => server.close());
  await waitFor(() => server.address() !== null);
  const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/p2p-ws`;
  const frames = [
    { type: 'node_status', peer_id: 'p', best_height: 3, tx_count: 5 },
    { type: 'block', hash: 'ab'.repeat(32), height: 7, peer_id: 'p', base_url: 'http://x/\u001b[31m\u202e' },
    { type: 'subtree', hash: 'cd'.repeat(32), peer_id: 'p' },
    { type: 'PING', base_url: 'x' },
  ];
  server.on('connection', (socket) => {
    for (const frame of frames) {
      socket.send(JSON.stringify(frame).replace('"tx_count":5', '\n"tx_count":18446744073709551615'));
    }
    socket.send('garbage');
    socket.close();
  });
  const cwd = temporaryDirectory(context);
  const text = await finish(context, ['tail', '--url', url, '-k', 'block', '-n', '2'], { cwd });
  assert.equal(text.code, 0);
  const lines = text.stdout.trim().split('\n');
  assert.equal(lines.length, 2, 'one a connection');
  assert.match(lines[0] ?? '', / block {6} {1}abababab…ababab #7 .*http:\/\/x\/\ufffd\[31m\ufffd$/);
  assert.match(text.stderr, /went away, trying again/);
  const json = await finish(context, ['tail', '--url', url, '--json', '-n', '3'], { cwd });
  assert.match(json.stdout, /"tx_count":18446744073709551615/, '64-bit numbers are not rounded');
  assert.deepEqual(
    json.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line)),
    [{ ...frames[0], tx_count: 2 ** 64 }, ...frames.slice(1, 3)],
  );
});

test('records reads the embedded broker of a running server: decoded, in hex, from an offset, live', async (context) => {
  const cwd = temporaryDirectory(context);
  const socketPath = join(cwd, 'broker.sock');
  const level = new MemoryLevel<string, Buffer>({ keyEncoding: 'utf8', valueEncoding: 'buffer' });
  const broker = new EmbeddedBroker({ level, logger });
  const server = new EmbeddedBrokerServer({ broker, logger }, { socketPath });
  await broker.start();
  await server.start();
  context.after(async () => {
    await server.stop();
    await broker.stop();
  });
  writeRunFile(cwd, {
    pid: process.pid,
    startedAt: 1,
    peerId: 'p',
    controlSocket: 'x',
    brokerSocket: socketPath,
    ports: { p2p: 1, http: 2 },
  });
  const hash = (n: number) => n.toString(16).padStart(64, '0');
  const record = (n: number) => ({
    key: Buffer.from(hash(n)),
    value: KafkaBlockTopicMessage.encode({ hash: hash(n), URL: `http://h/${n}`, peer_id: 'p' }).finish(),
  });
  await broker.createTopic({ topic: 'blocks', partitions: 1, retentionMs: -1 });
  await broker.produce('blocks', [1, 2, 3].map(record));

  const run = (...args: string[]) =>
    finish(context, ['records', ...args, '--set', `DATADIR=${cwd}`], { cwd });
  const rows = (stdout: string) =>
    stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
  const all = rows((await run('blocks', '--json')).stdout);
  assert.deepEqual(
    all.map(({ offset, key, value }) => [offset, key, value.URL]),
    [1, 2, 3].map((n, i) => [i, hash(n), `http://h/${n}`]),
  );
  const none = await run('blocks', '--from', '3');
  assert.deepEqual(
    [none.stdout, none.stderr],
    ['', "no records in blocks from 3 on (a node's own are not in it)\n"],
  );
  await broker.createTopic({ topic: 'empty', partitions: 1, retentionMs: -1 });
  assert.equal((await run('empty')).stderr, 'no records in empty\n');
  const [hex] = rows((await run('blocks', '--json', '--hex', '--from', '2')).stdout);
  assert.equal(Buffer.from(hex.key, 'hex').toString(), hash(3));
  assert.equal(KafkaBlockTopicMessage.decode(Buffer.from(hex.value, 'hex')).URL, 'http://h/3');
  assert.equal((await run('blocks', '-n', '2')).stdout.trim().split('\n').length, 2);
  const early = Buffer.concat([
    Buffer.from([0x0a, 32]),
    Buffer.alloc(32, 0xab),
    Buffer.from('12026869', 'hex'),
  ]);
  await broker.createTopic({ topic: 'subtrees', partitions: 1, retentionMs: -1 });
  await broker.produce('subtrees', [{ key: Buffer.alloc(0), value: early }]);
  const [bytes] = rows(
    (await run('subtrees', '--json', '--set', 'kafka_record_format=protobuf-bytes')).stdout,
  );
  assert.deepEqual(bytes.value, { hash: 'ab'.repeat(32), URL: 'hi' });

  const live = launch(
    context,
    ['records', 'blocks', '--from', 'newest', '-f', '--json', '--set', `DATADIR=${cwd}`],
    cwd,
  );
  // The reader is there once it has asked; what is produced before that it may miss, so produce until it shows.
  await waitFor(
    async () => {
      await broker.produce('blocks', [record(9)]);
      return live.stdout.includes('http://h/9');
    },
    { everyMs: 100, what: 'a new record to be shown', timeoutMs: 60_000 },
  );
  live.child.kill('SIGINT');
  assert.equal(await within(live.code, 60_000, 'records --follow'), 0);

  const missing = await run('nothing');
  assert.equal(missing.code, 1);
  assert.match(missing.stderr, /^error: no topic nothing; there are blocks, empty, subtrees\n$/);
});

test('outbox, dead letters and log level are asked of the running server', async (context) => {
  const cwd = temporaryDirectory(context);
  const controlSocket = join(cwd, 'control.sock');
  const levels: string[] = [];
  const accepted: string[] = [];
  let waiting: () => number = () => 3;
  const control = new ControlServer(
    {
      logger,
      handlers: {
        outbox: () => [
          { topic: 'blocks', waiting: waiting(), oldest: 0, state: 'broker_down', error: 'refused' },
          { topic: 'subtrees', waiting: 0, oldest: 0, state: 'flowing', error: '' },
        ],
        deadLetters: ({ limit }) =>
          limit === 7 ? [] : [{ id: `of ${limit}`, topic: 'blocks', reason: 'too large', at: 0, hash: '' }],
        replayDeadLetters: () => ({ replayed: 4 }),
        acceptLoss: ({ topic }) => {
          accepted.push(topic);
          return null;
        },
        backup: ({ path }) => ({ path, files: 1, bytes: 2 }),
        handOver: () => ({ granted: false, refusal: 'off', message: '' }),
        forget: ({ cursor }) => {
          throw new UnavailableError(`there is no cursor ${cursor}`);
        },
        level: ({ level }) => {
          levels.push(level);
          return { level };
        },
      },
    },
    { socketPath: controlSocket },
  );
  await control.start();
  context.after(() => control.stop());
  writeRunFile(cwd, {
    pid: process.pid,
    startedAt: 1,
    peerId: 'p',
    controlSocket,
    ports: { p2p: 1, http: 2 },
  });
  const run = async (...args: string[]) => {
    const result = await finish(context, [...args, '--set', `DATADIR=${cwd}`], { cwd });
    assert.equal(result.code, 0, result.stderr);
    return result.stdout;
  };
  assert.match(
    await run('outbox'),
    /^TOPIC .*\nblocks +3 +– +broker_down +refused\nsubtrees +0 +– +flowing *\n$/,
  );
  assert.equal(JSON.parse((await run('outbox', '--json')).split('\n', 1)[0] ?? '').waiting, 3);
  const late = await finish(context, ['outbox', '--wait', '600ms', '--set', `DATADIR=${cwd}`], { cwd });
  assert.deepEqual([late.code, late.stderr], [1, 'error: not empty in time: blocks\n']);
  assert.match(late.stdout, /\nblocks +3 /);
  let left = 2;
  waiting = () => Math.max(0, left--);
  assert.match(await run('outbox', '--wait', '10m'), /\nblocks +0 /);
  assert.match(await run('outbox', 'dead-letter', 'list', '--limit', '5'), /of 5 +blocks .*too large/);
  assert.match(await run('dead-letter', 'list'), /of 100/);
  assert.equal(JSON.parse(await run('dead-letter', 'list', '--json')).reason, 'too large');
  const none = await finish(context, ['dead-letter', 'list', '-n', '7', '--set', `DATADIR=${cwd}`], { cwd });
  assert.deepEqual([none.code, none.stdout, none.stderr], [0, '', 'no dead letters\n']);
  assert.equal(await run('outbox', 'dead-letter', 'replay'), '4 put back\n');
  assert.equal(await run('outbox', 'accept-loss', 'blocks'), 'blocks goes on\n');
  assert.deepEqual(accepted, ['blocks']);
  const args = ['outbox', 'forget', 'kafka.blocks', '--set', `DATADIR=${cwd}`];
  const refused = await finish(context, args, { cwd });
  assert.deepEqual([refused.code, refused.stderr], [1, 'error: there is no cursor kafka.blocks\n']);
  assert.equal(await run('log-level', 'debug'), 'the level is debug\n');
  assert.deepEqual(levels, ['debug']);
});

test('health is exit code 0 when the server is well, else 1', async (context) => {
  let status: 200 | 503 = 200;
  const report = async () => ({
    status,
    dependencies: [{ resource: 'Kafka', status, message: 'm' }] as const,
  });
  const server = new HealthServer(
    { logger, readiness: report, liveness: report },
    { address: parseListenAddress('127.0.0.1:0') },
  );
  await server.start();
  context.after(() => server.stop());
  const at = ['--set', `health_check_httpListenAddress=127.0.0.1:${server.port}`];
  const well = await finish(context, ['health', ...at]);
  assert.equal(well.code, 0);
  assert.match(well.stdout, /✓ +Kafka +m/);
  status = 503;
  const ill = await finish(context, ['health', '--liveness', '--json', ...at]);
  assert.equal(ill.code, 1);
  assert.equal(JSON.parse(ill.stdout).status, '503');
});

test('text of others cannot steer the terminal; numbers and hashes are short', () => {
  assert.equal(printable('a\u001b[2Jb\nc\u202ed\u200b'), 'a\ufffd[2Jb\ufffdc\ufffdd\ufffd');
  assert.equal(short('0123456789abcdef'), '01234567…abcdef');
  assert.equal(short('0123'), '0123');
  assert.equal(formatBytes(2n ** 60n), '1048576.0 TiB');
  assert.equal(formatBytes(1536), '1.5 KiB');
});

test('an address in the table of peers goes without the peer ID at its end', () => {
  assert.equal(withoutPeerId('/ip4/127.0.0.1/tcp/9905/p2p/12D3KooW'), '/ip4/127.0.0.1/tcp/9905');
  assert.equal(withoutPeerId('/ip4/1.2.3.4/tcp/1/p2p/a/p2p-circuit'), '/ip4/1.2.3.4/tcp/1/p2p/a/p2p-circuit');
});

test('in a window no line is wider than it or broken in a word, elsewhere lines are whole', () => {
  const shown = (columns: number | undefined, show: (terminal: Terminal) => void): string[] => {
    const written: string[] = [];
    const write = (text: string) => written.push(text) > 0;
    const stream = { isTTY: columns !== undefined, columns, write } as unknown as NodeJS.WriteStream;
    show(new Terminal(stream, stream, {}));
    const text = written.join('').replaceAll(/\d\d:\d\d:\d\d\.\d{3}/g, '12:00:00.000');
    return text.trimEnd().split('\n');
  };
  const id = '12D3KooWQYV9dGMFoRzNStwpXztXaBUjtPqi6aU76ZgUriHhKust';
  const reason = 'the transaction spends an output that is spent already, says the validator of the node';
  const event: Sighting = {
    ...{
      kind: 'rejected_tx',
      hash: 'ab'.repeat(32),
      origin: 'node1',
      height: '',
      firstAt: 0,
      remark: reason,
    },
    heard: ['node1', 'node2', 'node3'].map((node, ms) => ({ node, ms })),
  };
  const things: Record<string, (terminal: Terminal) => void> = {
    event: (terminal) => terminal.line(`12:00:00 node1  ${sightingText(event, terminal)}`, 16),
    note: (terminal) => terminal.note(`error: ${reason}; ${reason}`),
    table: (terminal) =>
      terminal.table(
        ['PEER', 'ADDRESS', 'REPUTATION', 'AGENT'],
        [
          [id, '/ip4/203.0.113.255/tcp/9905', '50', 'teranode-p2p/0.1.0'],
          [id, '/ip4/203.0.113.254/tcp/9905', '', reason],
        ],
      ),
    help: (terminal) =>
      createProgram(terminal)
        .commands.find((command) => command.name() === 'tail')
        ?.outputHelp(),
    frame: (terminal) =>
      terminal.line(
        frameLine(
          {
            type: 'node_status',
            best_block_hash: 'cd'.repeat(32),
            peer_id: id,
            base_url: 'https://hub.example/api/v1',
            client_name: 'a name',
          },
          terminal,
        ),
      ),
  };
  for (const [what, show] of Object.entries(things)) {
    const whole = shown(undefined, show);
    const words = new Set(whole.join(' ').trim().split(/\s+/));
    for (const columns of [60, 72, 80, 200]) {
      const lines = shown(columns, show).map(stripVTControlCharacters);
      for (const line of lines) {
        assert.ok(line.length <= columns, `${what} at ${columns}: ${line}`);
        for (const word of line.split(/\s+/).filter((part) => part !== ''))
          assert.ok(words.has(word), `${what} at ${columns}: ${word}`);
      }
      const told = new Set(lines.join(' ').split(/\s+/));
      for (const word of words) assert.ok(told.has(word), `${what} at ${columns}: no ${word}`);
    }
  }
  // What there is room for stands in one line, as many columns as there are.
  assert.equal(shown(200, (terminal) => things.event?.(terminal)).length, 1);
  assert.equal(shown(200, (terminal) => things.table?.(terminal)).length, 3);
  const json = { reason, id, more: reason };
  assert.deepEqual(
    shown(60, (terminal) => terminal.json(json)),
    [JSON.stringify(json)],
  );
});

test('a feed that is not to be had is told with what to type', async (context) => {
  const directory = temporaryDirectory(context);
  const { certificate, key } = await makeCertificate(directory, 'feed');
  const secure = createHttpsServer({ cert: certificate, key });
  const plain = createHttpServer((_request, response) => response.end('a page'));
  for (const server of [secure, plain]) {
    const feeds = new WebSocketServer({ noServer: true });
    server.on('upgrade', (request, socket, head) => {
      if (request.url !== '/p2p-ws') socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
      else
        feeds.handleUpgrade(request, socket, head, (client) => client.send('{"type":"block","hash":"00"}'));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    context.after(() => {
      server.closeAllConnections();
      server.close();
    });
  }
  const at = (server: NetServer): string => `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const tail = (url: string, ...more: string[]) =>
    finish(context, ['tail', '-n', '1', '--url', url, ...more]);
  const cases: readonly (readonly [string, string, readonly string[]])[] = [
    [`http://${at(plain)}`, `ws://${at(plain)}/p2p-ws`, []],
    [`http://${at(plain)}/`, `ws://${at(plain)}/p2p-ws`, []],
    [at(plain), `ws://${at(plain)}/p2p-ws`, []],
    [`${at(plain)}/p2p-ws`, `ws://${at(plain)}/p2p-ws`, []],
    [`ws://${at(plain)}/p2p-ws#top`, `ws://${at(plain)}/p2p-ws`, []],
    [`ws://${at(plain)}/feed`, `ws://${at(plain)}/p2p-ws`, []],
    [`wss://${at(plain)}/p2p-ws`, `ws://${at(plain)}/p2p-ws`, []],
    [`https://${at(secure)}`, `wss://${at(secure)}/p2p-ws`, ['--insecure']],
    [`ws://${at(secure)}/p2p-ws`, `wss://${at(secure)}/p2p-ws`, ['--insecure']],
  ];
  for (const [typed, wanted, more] of cases) {
    const failed = await tail(typed, ...more);
    assert.ok(failed.code === 1 || failed.code === 2, `${typed}: ${failed.code}`);
    const advice = failed.stderr.trim().split(' --url ').at(-1) ?? '';
    assert.equal(advice, wanted, `${typed}: ${failed.stderr}`);
    // What is advised works as it stands.
    const advised = await tail(advice, ...more);
    assert.equal(advised.code, 0, `${advice}: ${advised.stderr}`);
  }
  const untrusted = await tail(`wss://${at(secure)}/p2p-ws`);
  assert.equal(untrusted.code, 1);
  assert.match(untrusted.stderr, /self-signed certificate\n.*NODE_EXTRA_CA_CERTS=<file>.* --insecure\.\n$/);
  for (const nonsense of ['ftp://127.0.0.1/', 'ws://', '::']) {
    const { code, stderr } = await tail(nonsense);
    assert.equal(code, 2, nonsense);
    assert.match(stderr, /Type a URL such as --url ws:\/\/localhost:9906\/p2p-ws\n$/);
  }
});

test('a height of 0 is none', () => {
  const written: string[] = [];
  const stream = { write: (text: string) => written.push(text) > 0 } as unknown as NodeJS.WriteStream;
  const terminal = new Terminal(stream, stream);
  assert.ok(!frameLine({ type: 'node_status', best_height: 0 }, terminal).includes('#'));
  assert.match(frameLine({ type: 'block', height: 10 }, terminal), /#10$/);
});

test('colour is for terminals alone, and JSON keeps 64-bit numbers whole', () => {
  const written: string[] = [];
  const stream = (isTTY: boolean) =>
    ({ isTTY, write: (text: string) => written.push(text) > 0 }) as unknown as NodeJS.WriteStream;
  const colours = (isTTY: boolean, env: NodeJS.ProcessEnv) =>
    new Terminal(stream(isTTY), stream(isTTY), env).colour;
  assert.deepEqual(
    [
      colours(true, {}),
      colours(false, {}),
      colours(true, { NO_COLOR: '1' }),
      colours(true, { TERM: 'dumb' }),
    ],
    [true, false, false, false],
  );
  new Terminal(stream(false)).json({ bytes: 2n ** 64n - 1n, key: null, list: [1n], absent: undefined });
  assert.deepEqual(written, ['{"bytes":18446744073709551615,"key":null,"list":[1]}\n']);
});

test('--set and --verbose may stand anywhere before --', () => {
  assert.deepEqual(globalsFirst(['ban', 'x', '--set', 'a=b', '--verbose', '--', '--set', 'c']), [
    '--set',
    'a=b',
    '--verbose',
    'ban',
    'x',
    '--',
    '--set',
    'c',
  ]);
});
