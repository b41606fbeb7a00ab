/** `teranode-p2p check`, held to what `start` does on the same settings. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { EmbeddedValidationService } from '../../../src/main/devnet/validation-service.js';
import type { Finding } from '../../../src/main/preflight/start.js';
import { makeCertificate } from '../../support/certificates.js';
import { keptLog } from '../../support/logger.js';
import { freePorts } from '../../support/ports.js';
import { launchServer, type ProcessOptions, refusedStart } from '../../support/server-process.js';
import { temporaryDirectory } from '../../support/temporary.js';
import { within } from '../../support/wait.js';

async function checked(context: TestContext, options: ProcessOptions, ...more: string[]) {
  const run = launchServer(context, { ...options, command: ['check', '--json', ...more] });
  const { code } = await within(run.exit, 60_000, 'the check');
  const findings = JSON.parse(run.stdout) as Finding[];
  const of = (state: Finding['state']) =>
    findings.filter((one) => one.state === state).map(({ message }) => message);
  return { code, well: of('well'), warnings: of('warning'), faults: of('fault'), stderr: run.stderr };
}

test('where a check finds nothing a server starts, and the check has left nothing behind', async (context) => {
  const parent = temporaryDirectory(context);
  const directory = join(parent, 'data');
  const [p2p, grpc] = await freePorts(2);
  const set = { p2p_port: String(p2p), p2p_grpcListenAddress: `localhost:${grpc}` };
  const { code, well, faults, stderr } = await checked(context, { directory, set });
  assert.deepEqual([code, faults, stderr], [0, [], '']);
  assert.ok(well.includes(`p2p_port: port ${p2p} of 127.0.0.1 is free`), well.join('\n'));
  assert.ok(well.includes(`p2p_grpcListenAddress: port ${grpc} of ::1 is free`), well.join('\n'));
  assert.deepEqual(readdirSync(parent), []);
  const { peerId } = await launchServer(context, { directory, set }).ready();
  // Now it is taken, and the key is there.
  const again = await checked(context, { directory, set });
  assert.equal(again.code, 1);
  assert.ok(again.well.includes(peerId), again.well.join('\n'));
  const settings = again.faults.map((fault) => fault.split(':', 1)[0]);
  assert.deepEqual(settings, ['DATADIR', 'p2p_port', 'p2p_grpcListenAddress', 'p2p_grpcListenAddress']);
  assert.match(again.faults[0] ?? '', /is in use by another server$/);
  assert.match(again.stderr, /^error: 4 things are at fault\n$/);
});

test('what a check finds at fault is what a start fails of', async (context) => {
  const directory = temporaryDirectory(context);
  const file = join(directory, 'file');
  writeFileSync(file, 'mine');
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
  context.after(() => holder.close());
  const { port } = holder.address() as AddressInfo;
  const { certificateFile } = await makeCertificate(directory, 'server');
  const withKey = (name: string, text: string): string => {
    const made = join(directory, name);
    mkdirSync(made);
    writeFileSync(join(made, name), text, { mode: 0o600 });
    return made;
  };
  const pipe = join(directory, 'pipe');
  const withPipe = join(directory, 'with-pipe');
  mkdirSync(withPipe);
  // Whoever reads one waits for a writer, and there is none.
  execFileSync('mkfifo', [pipe, join(withPipe, 'admin.key')]);
  const cases: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    'of a type': { p2p_checkers: 'three' },
    'Kafka URL': { kafka_blocksConfig: 'kafka:/nowhere' },
    'TLS without a key': { securityLevelHTTP: '1', server_certFile: certificateFile },
    'a node key in the settings': { p2p_private_key: 'ab'.repeat(64) },
    'a node key in its file': { DATADIR: withKey('p2p.key', 'f'.repeat(191)) },
    'an admin key in its file': { DATADIR: withKey('admin.key', '') },
    'a pipe for a TLS key': {
      securityLevelHTTP: '1',
      server_certFile: certificateFile,
      server_keyFile: pipe,
    },
    'a pipe for an admin key': { DATADIR: withPipe },
    'a file for a directory': { DATADIR: file },
    'below a file': { DATADIR: join(file, 'below') },
    'where nobody makes files': { DATADIR: '/proc/teranode-p2p' },
    'p2p port': { p2p_port: String(port) },
    'gRPC port': { p2p_grpcListenAddress: `127.0.0.1:${port}` },
    'WebSocket port': { p2p_httpListenAddress: `127.0.0.1:${port}` },
    'health port': { health_check_httpListenAddress: `127.0.0.1:${port}` },
    'metrics port': { profilerAddr: `127.0.0.1:${port}` },
    'another machine’s address': { p2p_listen_addresses: '192.0.2.1' },
  };
  for (const [what, set] of Object.entries(cases)) {
    const own = set.DATADIR ?? temporaryDirectory(context);
    const { code, faults } = await checked(context, { directory: own, set });
    const started = await refusedStart(context, { directory: own, set });
    assert.deepEqual([code, started.code], [1, 1], `${what}: ${started.stderr}`);
    const told = started.stderr.replace(/^error: (?:\d+ problems:)?\s*/, '').split(/\n\s*/);
    const keyOf = (line: string) => line.split(':', 1)[0];
    const asked = told.filter((line) => line !== '').map(keyOf);
    assert.deepEqual(faults.map(keyOf), asked, `${what}: ${faults.join()} / ${started.stderr}`);
  }
  assert.equal(readFileSync(file, 'utf8'), 'mine');
});

test('of a certificate is told until when it is, and one that has expired is warned of', async (context) => {
  const directory = temporaryDirectory(context);
  const good = await makeCertificate(directory, 'good');
  const old = await makeCertificate(directory, 'old', { expired: true });
  for (const { certificateFile, keyFile } of [good, old]) {
    const set = { securityLevelHTTP: '1', server_certFile: certificateFile, server_keyFile: keyFile };
    const { code, well, warnings } = await checked(context, { set });
    assert.equal(code, 0);
    const [told] =
      certificateFile === good.certificateFile ? well.filter((one) => one.startsWith('server_')) : warnings;
    const expected = certificateFile === good.certificateFile ? 'until 20' : 'expired 20';
    assert.ok(told?.startsWith(`server_certFile: ${certificateFile}, ${expected}`), String(told));
  }
});

test('services, brokers and databases are asked with --network alone', async (context) => {
  const called: string[] = [];
  const holder = createServer((socket) => {
    called.push('called');
    socket.destroy();
  });
  await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
  context.after(() => holder.close());
  const dead = `127.0.0.1:${(holder.address() as AddressInfo).port}`;
  const validation = new EmbeddedValidationService({ logger: keptLog().logger });
  await validation.start();
  context.after(() => validation.stop());
  const set = {
    blockvalidation_grpcAddress: `127.0.0.1:${validation.port}`,
    blockassembly_grpcAddress: dead,
    kafka_blocksConfig: `kafka://${dead}/blocks`,
    blockchain_store: `postgres://someone:hunter2@${dead}/bans`,
  };
  assert.equal((await checked(context, { set })).code, 0);
  assert.deepEqual(called, []);
  const { code, well, faults, stderr } = await checked(context, { set }, '--network');
  assert.equal(code, 1);
  assert.ok(
    well.includes(`blockvalidation_grpcAddress: serving at 127.0.0.1:${validation.port}`),
    well.join('\n'),
  );
  const named = ['blockassembly_grpcAddress', 'kafka_blocksConfig', 'blockchain_store'];
  assert.deepEqual(
    faults.map((fault) => fault.split(':', 1)[0]),
    named,
  );
  assert.ok(!`${faults.join()}${stderr}`.includes('hunter2'));
});

const TOPIC = 'kafka://127.0.0.1:1/notifications';
const GATEWAY_FAULTS: readonly (readonly [set: Readonly<Record<string, string>>, fault: RegExp])[] = [
  [{}, /^kafka_notificationsConfig: must not be empty/],
  [
    { kafka_notificationsConfig: 'memory://embedded/notifications' },
    /^kafka_notificationsConfig: must be a kafka:\/\/ URL/,
  ],
  [
    { kafka_notificationsConfig: TOPIC, p2p_httpListenAddress: ':9906', profilerAddr: '127.0.0.1:9906' },
    /^profilerAddr: port 9906 is that of p2p_httpListenAddress$/,
  ],
  [{ kafka_notificationsConfig: TOPIC, p2p_gateway_node: 'nobody' }, /^p2p_gateway_node: is not a peer ID$/],
  [{ kafka_notificationsConfig: TOPIC, KAFKA_SASL_USERNAME: 'me' }, /^KAFKA_SASL_MECHANISM: /],
];

test('what a check finds at fault of a gateway is what its start fails of', async (context) => {
  for (const [set, fault] of GATEWAY_FAULTS) {
    const { code, faults } = await checked(context, { set }, '--gateway');
    assert.equal(code, 1);
    assert.equal(faults.length, 1, faults.join('\n'));
    assert.match(faults[0] ?? '', fault);
    const started = await refusedStart(context, { set, command: ['gateway'] });
    assert.equal(started.code, 1);
    assert.ok(started.stderr.includes(faults[0] ?? ''), started.stderr);
  }
});

test('where a check finds nothing a gateway starts, the broker away, and needs neither key nor libp2p', async (context) => {
  const directory = temporaryDirectory(context);
  // A server would not: the port of libp2p is taken.
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
  context.after(() => holder.close());
  const { port } = holder.address() as AddressInfo;
  const set = { kafka_notificationsConfig: TOPIC, p2p_port: String(port) };
  const { code, faults, well } = await checked(context, { directory, set }, '--gateway');
  assert.deepEqual([code, faults], [0, []]);
  assert.ok(!well.some((line) => line.startsWith('p2p_port')), well.join('\n'));
  const asked = await checked(context, { directory, set }, '--gateway', '--network');
  assert.match(asked.faults[0] ?? '', /^kafka_notificationsConfig: topic notifications does not answer/);
  const gateway = launchServer(context, { directory, set, command: ['gateway'] });
  await gateway.ready();
  assert.deepEqual(
    readdirSync(directory).filter((name) => /key/.test(name)),
    [],
  );
  gateway.child.kill('SIGTERM');
  assert.equal((await gateway.exit).code, 0);
});
