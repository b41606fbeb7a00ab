/** What keeps a server from starting: exit code 1 and one clear line that names the setting, without a stack. */

import assert from 'node:assert/strict';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { initServer, serverSettings, startServer } from '../support/server.js';
import { type ProcessOptions, refusedStart } from '../support/server-process.js';
import { temporaryDirectory } from '../support/temporary.js';
import { waitFor } from '../support/wait.js';

/** Asserts one line on standard error that matches, exit code 1, and no stack. */
async function refuses(context: TestContext, options: ProcessOptions, line: RegExp): Promise<void> {
  const { code, stderr, stdout } = await refusedStart(context, options);
  assert.match(stderr, line, stdout);
  assert.equal(stderr.trimEnd().split('\n').length, 1, stderr);
  assert.equal(code, 1);
}

const PORTS = {
  p2p_port: (port: number) => ({ p2p_port: port }),
  p2p_grpcListenAddress: (port: number) => ({ p2p_grpcListenAddress: `127.0.0.1:${port}` }),
  p2p_httpListenAddress: (port: number) => ({ p2p_httpListenAddress: `127.0.0.1:${port}` }),
  health_check_httpListenAddress: (port: number) => ({ health_check_httpListenAddress: `127.0.0.1:${port}` }),
  profilerAddr: (port: number) => ({ profilerAddr: `127.0.0.1:${port}` }),
};

/** A port of loopback that somebody else listens on until the test ends. */
async function takenPort(context: TestContext): Promise<number> {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  context.after(() => other.close());
  return (other.address() as AddressInfo).port;
}

for (const [key, changes] of Object.entries(PORTS)) {
  test(`a port that is taken is an error that names ${key}, and nothing is left open`, async (context) => {
    const port = await takenPort(context);
    const settings = serverSettings(context, {
      p2p_notification_servers: 1,
      p2p_checkers: 1,
      ...changes(port),
    });
    const pattern = new RegExp(`^ConfigurationError: ${key}: .*\\b${port}\\b.*(in use|taken)`);
    await assert.rejects(startServer(context, settings), pattern);
    // Another server finds the directory free.
    if (key === 'p2p_port') await startServer(context, { ...settings, p2p_port: 0 });
  });
}

test('the command line says it in one line and exits with 1', async (context) => {
  const port = await takenPort(context);
  const set = { p2p_grpcListenAddress: `127.0.0.1:${port}` };
  await refuses(context, { set }, /^error: p2p_grpcListenAddress: .* is in use$/m);
});

test('the log says it as well, of which nobody may keep standard error', async (context) => {
  const port = await takenPort(context);
  for (const set of [{ p2p_grpcListenAddress: `127.0.0.1:${port}` }, { p2p_grpcListenAddress: 'nonsense' }]) {
    const { stdout } = await refusedStart(context, { set });
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    const [said, ...others] = lines.filter(({ msg }) => msg === 'did not start');
    assert.equal(said?.level, 60, stdout);
    assert.match(String(said?.problems), /^p2p_grpcListenAddress: /);
    assert.deepEqual(others, []);
  }
});

test('everything that is wrong with the settings is told at once, before the network is touched', async (context) => {
  const garbage = join(temporaryDirectory(context), 'garbage.pem');
  writeFileSync(garbage, 'nonsense');
  const set = {
    // Of their types:
    p2p_checkers: 'three',
    p2p_ban_duration: '1 day',
    // Formats:
    p2p_bootstrap_peers: '/ip4/203.0.113.7/tcp/9905|/dnsaddr/bootstrap.example.org',
    p2p_static_peers: '/ip4/203.0.113.7/tcp/9905|nonsense',
    p2p_advertise_addresses: '203.0.113.8',
    asset_httpAddress: 'http://hub.example.org/\u202e',
    asset_httpPublicAddress: 'ftp://hub.example.org',
    grpc_admin_api_key: 'two words',
    p2p_private_key: 'ab'.repeat(64),
    // How they fit together:
    network: 'mainnet',
    p2p_embedded_mining_interval: '1s',
    security_level_grpc: '3',
    securityLevelHTTP: '1',
    server_keyFile: garbage,
    server_certFile: join(garbage, 'none'),
    grpc_ca_file: '/nowhere/ca.pem',
    grpc_cert_file: '/nowhere/cert.pem',
    grpc_key_file: garbage,
    blockvalidation_grpcAddress: ':8088',
    kafka_blocksConfig: 'kafka://localhost:9092/blocks',
    KAFKA_ENABLE_TLS: 'true',
    KAFKA_TLS_CA_FILE: '/nowhere/kafka.pem',
  };
  const { code, stderr } = await refusedStart(context, { set });
  assert.equal(code, 1);
  const told = stderr
    .trimEnd()
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(':', 1)[0]);
  // Not the network that they hang on, nor the list's good entry.
  const wrong = Object.keys(set).filter((key) => !['network', 'kafka_blocksConfig'].includes(key));
  const silent = ['security_level_grpc', 'securityLevelHTTP', 'KAFKA_ENABLE_TLS'];
  const expected = [...wrong.filter((key) => !silent.includes(key)), 'p2p_static_peers'];
  assert.deepEqual(told.toSorted(), expected.toSorted(), stderr);
});

test('a server that could not offer gRPC does not join the network first', async (context) => {
  const settings = serverSettings(context, { security_level_grpc: 1 });
  await assert.rejects(initServer(context, settings), (error: Error) => {
    assert.match(error.message, /server_certFile: needed at security_level_grpc 1/);
    assert.match(error.message, /server_keyFile: needed at security_level_grpc 1/);
    return error.name === 'ConfigurationError';
  });
});

test('an address to listen on that is not this machine’s is named', async (context) => {
  const settings = serverSettings(context, { p2p_listen_addresses: ['192.0.2.1'] });
  const { server } = await initServer(context, settings);
  await assert.rejects(
    server.start(),
    /^ConfigurationError: p2p_listen_addresses: 192\.0\.2\.1 is no address/,
  );
});

test('DATADIR in use by another server is refused, and that one goes on', async (context) => {
  const { server, settings } = await startServer(context, serverSettings(context));
  const directory = settings.DATADIR;
  await refuses(context, { directory }, /^error: DATADIR: .* is in use by another server$/m);
  await waitFor(async () => (await server.health(false)).status === 200, { what: 'readiness' });
});

test('DATADIR that cannot be is refused: a file in its place or above it, a place that takes none', async (context) => {
  const file = join(temporaryDirectory(context), 'file');
  writeFileSync(file, 'mine');
  // Nobody makes directories in /proc, with whatever privileges.
  for (const DATADIR of [file, join(file, 'below'), '/proc/teranode-p2p']) {
    const refusal = initServer(context, serverSettings(context, { DATADIR }));
    await assert.rejects(refusal, /^ConfigurationError: DATADIR: .* cannot be written: E/, DATADIR);
  }
  assert.equal(readFileSync(file, 'utf8'), 'mine');
});

test('DATADIR whose files an ordinary user may read and not write is refused', async (context) => {
  const directory = temporaryDirectory(context);
  chmodSync(directory, 0o555);
  // Root may write everywhere: then somebody else tries.
  const uid = process.getuid?.() === 0 ? 65_534 : undefined;
  const options = { directory, ...(uid === undefined ? {} : { uid }) };
  await refuses(context, options, /^error: DATADIR: .* cannot be written: .*EACCES/);
});

/** Overwrites what LevelDB finds its tables by. */
function corrupt(path: string): void {
  for (const name of readdirSync(path)) {
    if (name.startsWith('MANIFEST')) writeFileSync(join(path, name), 'nonsense\n'.repeat(20));
  }
}

test('what is corrupt in DATADIR is told with its path and what to do', async (context) => {
  const settings = serverSettings(context, { p2p_notification_servers: 1, p2p_checkers: 1 });
  const directory = settings.DATADIR;
  const { server } = await startServer(context, settings);
  await server.stop();
  const at = (name: string) => join(directory, name);
  const good = new Map(['p2p.key', 'admin.key'].map((name) => [name, readFileSync(at(name))]));
  for (const name of good.keys()) assert.equal(statSync(at(name)).mode & 0o777, 0o600, name);

  writeFileSync(at('p2p.key'), 'f'.repeat(191));
  const key =
    /^ConfigurationError: p2p_peer_cache_dir: .*p2p\.key .*; restore it from a backup, or move it away/;
  await assert.rejects(startServer(context, settings), key);
  writeFileSync(at('p2p.key'), good.get('p2p.key') ?? '');

  writeFileSync(at('admin.key'), '');
  const admin = /^ConfigurationError: DATADIR: .*admin\.key holds no key; remove it/;
  await assert.rejects(startServer(context, settings), admin);
  writeFileSync(at('admin.key'), good.get('admin.key') ?? '');

  renameSync(at('journal'), at('aside'));
  writeFileSync(at('journal'), '');
  await refuses(context, { directory }, /^error: DATADIR: the journal .*journal cannot be opened: /);
  rmSync(at('journal'));

  cpSync('test/fixtures/released-outbox', at('outbox'), { recursive: true });
  corrupt(at('outbox'));
  const outbox = /^error: DATADIR: the outbox .*outbox cannot be taken over: .* move it away/;
  await refuses(context, { directory }, outbox);
  rmSync(at('outbox'), { recursive: true });
  renameSync(at('aside'), at('journal'));

  corrupt(at('store'));
  const store = /^ConfigurationError: DATADIR: the store in .* is corrupt .*; move .*store away/;
  await assert.rejects(startServer(context, settings), store);
});

test('a corrupt peer cache is set aside with a warning, and the server starts', async (context) => {
  const settings = serverSettings(context);
  mkdirSync(settings.DATADIR, { recursive: true });
  const cache = join(settings.DATADIR, 'teranode_peers.json');
  writeFileSync(cache, '{"peers": [');
  const { server, log } = await startServer(context, settings);
  await waitFor(async () => (await server.health(false)).status === 200, { what: 'readiness' });
  assert.ok(log.lines.some(({ level, msg }) => level === 40 && /peer cache/.test(String(msg))));
  assert.ok(existsSync(cache) === false || readFileSync(cache, 'utf8') !== '{"peers": [');
});
