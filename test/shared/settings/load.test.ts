import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ConfigurationError } from '../../../src/shared/errors.js';
import { type LoadedSettings, loadSettings } from '../../../src/shared/settings/load.js';
import { temporaryDirectory } from '../../support/temporary.js';

interface Given {
  conf?: string | Uint8Array;
  local?: string | Uint8Array;
  env?: Record<string, string>;
  sets?: string[];
}

function load(context: TestContext, { conf, local, env = {}, sets = [] }: Given): LoadedSettings {
  const directory = temporaryDirectory(context);
  if (conf !== undefined) writeFileSync(join(directory, 'settings.conf'), conf);
  if (local !== undefined) writeFileSync(join(directory, 'settings_local.conf'), local);
  return loadSettings({ sets, env, cwd: directory, programDirectory: directory });
}

function problemsOf(context: TestContext, given: Given): readonly string[] {
  try {
    load(context, given);
  } catch (error) {
    assert.ok(error instanceof ConfigurationError, String(error));
    return error.problems;
  }
  return [];
}

const FIRST = {
  p2p_generation: 'first',
  p2p_ip: '0.0.0.0',
  p2p_topic_prefix: 'bitcoin/regtest',
  p2p_shared_key: 'ab'.repeat(32),
};

test('without files and environment the defaults are those of the current generation', (context) => {
  const { settings, warnings, sources } = load(context, {});
  assert.equal(settings.p2p_payload_framing, 'message-bus');
  assert.equal(settings.p2p_dht_mode, 'off');
  assert.equal(settings.p2p_ban_duration, 86_400_000);
  assert.equal(sources.p2p_port, 'default');
  assert.deepEqual(warnings, []);
  assert.ok(Object.isFrozen(settings));
});

test('the first generation has its own defaults, each of which a setting of its own beats', (context) => {
  const { settings } = load(context, { env: { ...FIRST, p2p_payload_framing: 'message-bus' } });
  assert.equal(settings.kafka_record_format, 'raw');
  assert.equal(settings.p2p_dht_use_private, true);
  assert.equal(settings.p2p_dht_protocol_id, '/teranode');
  assert.equal(settings.p2p_payload_framing, 'message-bus');
});

test('a hash cuts a line anywhere, quotes around a value go, a line without = is nothing', (context) => {
  const { settings } = load(context, {
    conf: [
      '\uFEFFclientName = "a name" # who',
      'asset_httpAddress=http://x.example/#fragment',
      '# network = regtest',
      'nonsense',
      'version = "1.2',
      'commit = a=b=c\r',
      'profilerAddr = ""',
    ].join('\n'),
  });
  assert.equal(settings.clientName, 'a name');
  assert.equal(settings.asset_httpAddress, 'http://x.example/');
  assert.equal(settings.network, 'mainnet');
  assert.equal(settings.version, '"1.2');
  assert.equal(settings.commit, 'a=b=c');
  assert.equal(settings.profilerAddr, undefined);
});

test('the longest context wins, then the shorter, then the plain key', (context) => {
  const conf =
    'p2p_port = 1\np2p_port.docker = 2\np2p_port.docker.m = 3\nclientName.docker = d\nversion = v\n';
  const at = (SETTINGS_CONTEXT: string) => load(context, { conf, env: { SETTINGS_CONTEXT } });
  const deep = at('docker.m');
  assert.deepEqual([deep.settings.p2p_port, deep.settings.clientName, deep.settings.version], [3, 'd', 'v']);
  assert.match(deep.sources.p2p_port, /settings\.conf \(p2p_port\.docker\.m\)$/);
  assert.equal(at('docker.other').settings.p2p_port, 2);
  assert.equal(at('operator').settings.p2p_port, 1);
  assert.equal(at('docker.m.deeper').settings.p2p_port, 3);
});

test('the context is dev where none is told', (context) => {
  const conf = 'p2p_port = 1\np2p_port.dev = 2\n';
  assert.equal(load(context, { conf }).settings.p2p_port, 2);
  assert.equal(load(context, { conf, env: { SETTINGS_CONTEXT: '' } }).settings.p2p_port, 2);
});

test('the local file replaces identical full keys alone: a plain key there does not beat a contexted one', (context) => {
  const conf = 'p2p_port = 1\np2p_port.dev = 2\nclientName = a\nversion.dev = c\n';
  const { settings } = load(context, { conf, local: 'p2p_port = 3\nclientName = b\nversion.dev = d\n' });
  assert.equal(settings.p2p_port, 2);
  assert.equal(settings.clientName, 'b');
  assert.equal(settings.version, 'd');
});

test('the environment beats the files, --set beats the environment', (context) => {
  const given = { conf: 'p2p_port = 1\nclientName.dev = x\n', env: { p2p_port: '2', clientName: '' } };
  const byEnv = load(context, given);
  assert.equal(byEnv.settings.p2p_port, 2);
  assert.equal(byEnv.sources.p2p_port, 'environment');
  assert.equal(byEnv.settings.clientName, '', 'an empty text counts as set');
  const bySet = load(context, { ...given, sets: ['p2p_port = 3', 'clientName=a=b'] });
  assert.equal(bySet.settings.p2p_port, 3);
  assert.equal(bySet.sources.p2p_port, '--set');
  assert.equal(bySet.settings.clientName, 'a=b');
});

test('references are replaced, nested, with contexts, in environment values too, and see the environment', (context) => {
  const { settings } = load(context, {
    conf: [
      'PREFIX = 1',
      'PREFIX.dev = 2',
      'P2P_PORT = ${PREFIX}9905',
      'p2p_port = ${P2P_PORT}',
      'clientName = ${HOST}-${HOST}',
      'HOST = file',
    ].join('\n'),
    env: { HOST: 'env', version: 'v${P2P_PORT}' },
  });
  assert.equal(settings.p2p_port, 29_905);
  assert.equal(settings.clientName, 'env-env');
  assert.equal(settings.version, 'v29905');
});

test('an unknown reference stays visible and is warned of', (context) => {
  const { settings, warnings } = load(context, { conf: 'clientName = a-${nowhere}-b' });
  assert.equal(settings.clientName, 'a-${nowhere}-b');
  assert.deepEqual(warnings, ['${nowhere} is referred to and nowhere set']);
});

test('references in a circle or growing without bound are an error, not a hang', (context) => {
  assert.deepEqual(problemsOf(context, { conf: 'clientName = ${a}\na = ${b}\nb = ${a}' }), [
    'clientName: references go in a circle: clientName → a → b → a',
  ]);
  const doubling = Array.from({ length: 30 }, (_, i) => `k${i} = \${k${i + 1}}\${k${i + 1}}`).join('\n');
  for (const [leaf, expected] of [
    ['0123456789'.repeat(100), /^version: longer than 65536 characters after substitution$/],
    ['', /^version: more than 10000 references$/],
  ] as const) {
    const [problem] = problemsOf(context, { conf: `version = \${k0}\n${doubling}\nk30 = ${leaf}` });
    assert.match(problem ?? '', expected);
  }
});

test('lists are separated by |, trimmed; empty lists, numbers, durations and booleans count as absent', (context) => {
  const { settings } = load(context, {
    conf: [
      'subtreevalidation_blacklisted_baseurls = http://a | http://b |',
      'p2p_static_peers =',
      'p2p_ban_threshold =',
      'p2p_ban_duration =',
      'p2p_share_private_addresses =',
      'network =',
    ].join('\n'),
  });
  assert.deepEqual(settings.subtreevalidation_blacklisted_baseurls, ['http://a', 'http://b']);
  assert.deepEqual(settings.p2p_static_peers, []);
  assert.equal(settings.p2p_ban_threshold, 100);
  assert.equal(settings.p2p_ban_duration, 86_400_000);
  assert.equal(settings.p2p_share_private_addresses, true);
  assert.equal(settings.network, 'mainnet');
});

test('files are looked for from the program upward, then from the working directory', (context) => {
  const root = temporaryDirectory(context);
  const [program, cwd] = [join(root, 'a/program/bin'), join(root, 'b/work/here')];
  for (const folder of [program, cwd]) mkdirSync(folder, { recursive: true });
  writeFileSync(join(root, 'b/settings.conf'), 'clientName = by the working directory\n');
  writeFileSync(join(root, 'a/settings_local.conf'), 'version = by the program\n');
  const options = { env: {}, cwd, programDirectory: program };
  const both = loadSettings(options);
  assert.equal(both.settings.clientName, 'by the working directory');
  assert.equal(both.settings.version, 'by the program');
  writeFileSync(join(root, 'a/program/settings.conf'), 'clientName = by the program\n');
  assert.equal(loadSettings(options).settings.clientName, 'by the program');
});

test('another spelling is accepted, the key itself beats it; levels are Go’s or pino’s', (context) => {
  assert.equal(load(context, { env: { grpcAdminAPIKey: 'k' } }).settings.grpc_admin_api_key, 'k');
  const both = { grpcAdminAPIKey: 'k', grpc_admin_api_key: 'l' };
  assert.equal(load(context, { env: both }).settings.grpc_admin_api_key, 'l');
  assert.equal(load(context, { sets: ['grpcAdminAPIKey=m'], env: both }).settings.grpc_admin_api_key, 'm');
  assert.equal(load(context, { conf: 'logLevel = INFO' }).settings.logLevel, 'info');
});

test('unknown keys warn with the nearest known one; other services’ keys are left alone', (context) => {
  const { warnings } = load(context, {
    conf: [
      'p2p_pork = 1',
      'clientname = x',
      'P2P_PORT = 9905',
      'p2p_port = ${P2P_PORT}',
      'legacy_listen_addresses = x',
      'kafka_txmetaConfig = kafka://x/y',
      'asset_httpListenAddress = :8090',
      'blockchain_grpcListenAddress = :8087',
    ].join('\n'),
    env: { p2p_checker: '4', PATH: '/bin' },
  });
  assert.equal(warnings.length, 3, warnings.join('\n'));
  assert.match(warnings[0] ?? '', /settings\.conf: p2p_pork: no such setting; the nearest is "p2p_port"$/);
  assert.match(warnings[1] ?? '', /clientname: no such setting; the nearest is "clientName"$/);
  assert.match(warnings[2] ?? '', /^environment: p2p_checker: .*"p2p_checkers"$/);
});

test('what a file says otherwise than its writer may have meant is warned of by line, without values', (context) => {
  const secret = 'hunter2hunter2';
  const { warnings, settings } = load(context, {
    conf: [
      '# p2p_port = 1, a comment',
      'p2p_port = 1',
      'p2p_port.docker = 2 # another key',
      'p2p_port = 3',
      `grpc_admin_api_key = ${secret}#${secret}`,
      'clientName = "alice # bob"',
      'version = 1.2"',
      'commit = abc # a comment',
      'p2p_shared_key = # none needed',
      `KAFKA_SASL_PASSWORD = #${secret}`,
      `p2p_private_key: ${secret}`,
      '[p2p]',
      'asset_httpAddress=http://x.example/#fragment',
      'KAFKA_PORT = "9092',
      'version.docker = ${KAFKA_PORT}',
      // Of other services:
      'alert_topic_name = "x',
      'alert_topic_name = y',
      '',
    ].join('\n'),
    local: 'p2p_port = 4',
  });
  assert.equal(settings.p2p_port, 4);
  const told = warnings.map((warning) => warning.replace(/^.*\/settings\.conf: /, ''));
  const sharp = 'is cut at #, which ends a value wherever it stands, in quotes too';
  const quote = 'has a quote at one end alone, which stays part of the value';
  assert.deepEqual(told, [
    'line 4: p2p_port is there already in line 2; the last one counts',
    `line 5: grpc_admin_api_key ${sharp}`,
    `line 6: clientName ${sharp}`,
    `line 7: version ${quote}`,
    `line 10: KAFKA_SASL_PASSWORD ${sharp}`,
    `line 13: asset_httpAddress ${sharp}`,
    `line 14: KAFKA_PORT ${quote}`,
    'lines 11, 12: each is no key = value, and is not read',
  ]);
  assert.ok(!warnings.join().includes(secret));
});

test('a file without any sense in it makes one warning, not a flood', (context) => {
  const { warnings } = load(context, { conf: 'nonsense\n'.repeat(10_000) });
  assert.deepEqual(
    warnings.map((warning) => warning.replace(/^.*: line/, 'line')),
    ['lines 1, 2, 3, 4, 5 and 9995 more: each is no key = value, and is not read'],
  );
});

test('a file in UTF-16, or with carriage returns alone, is refused by name; bytes of Latin-1 are warned of', (context) => {
  const conf = 'p2p_port = 1\nnetwork = regtest\n';
  const swapped = (text: string) => Buffer.from(text, 'utf16le').swap16();
  for (const bytes of [
    Buffer.from(`\uFEFF${conf}`, 'utf16le'),
    Buffer.from(conf, 'utf16le'),
    swapped(`\uFEFF${conf}`),
    swapped(conf),
    Buffer.from(conf.replaceAll('\n', '\r')),
  ]) {
    const [problem = 'none', ...others] = problemsOf(context, { conf: bytes });
    assert.match(
      problem,
      /^settings\.conf: cannot be read: .*\/settings\.conf (is UTF-16|ends its lines with carriage)/,
    );
    assert.deepEqual(others, []);
  }
  const { warnings } = load(context, { local: Buffer.from('# für\nclientName = Jürgen\n', 'latin1') });
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? '', /settings_local\.conf: line 2: clientName has bytes that are no UTF-8$/);
});

test('a context of which no file has a key is warned of, with the one that was meant', (context) => {
  const conf = 'clientName = x\nblockstore.docker.m = y\nclientName.operator = z\n';
  const warned = (SETTINGS_CONTEXT: string, given: Given = { conf }) =>
    load(context, { ...given, env: { SETTINGS_CONTEXT } }).warnings;
  for (const known of ['', 'docker.m', 'docker', 'operator']) assert.deepEqual(warned(known), []);
  assert.deepEqual(warned('docker.n'), [
    'SETTINGS_CONTEXT: no settings file has a key of "docker.n"; the nearest is "docker.m"',
  ]);
  assert.deepEqual(warned('live'), ['SETTINGS_CONTEXT: no settings file has a key of "live"']);
  assert.deepEqual(warned('docker.m', {}), [], 'no file, no context in it');
});

test('keys that Teranode ships and none of its services reads are not warned of', (context) => {
  // As its settings.conf of October 2025 and later has them.
  const conf = [
    'p2p_enable_hole_punching = true',
    'p2p_enable_nat_port_map = true',
    'p2p_enable_nat_service = true',
    'p2p_enable_relay = true',
    'p2p_peer_id.docker.ss.teranode1 = 12D3KooWAFXWuxgdJoRsaA4J4RRRr8yu6WCrAPf8FaS7UfZg3ceG',
    'p2p_port_coinbase = 9907',
    'p2p_sync_stuck_retry_threshold = 1',
  ].join('\n');
  assert.deepEqual(load(context, { conf }).warnings, []);
});

test('an unknown key in --set is an error, as is one without =', (context) => {
  assert.deepEqual(problemsOf(context, { sets: ['p2p_prot=1', 'wholly_other_thing=1', 'network'] }), [
    'p2p_prot: no such setting; the nearest is "p2p_port"',
    'wholly_other_thing: no such setting',
    'network: --set takes key=value',
  ]);
});

test('all problems come in one error, each beginning with its key', (context) => {
  const problems = problemsOf(context, {
    env: {
      p2p_port: '70000',
      network: 'moon',
      p2p_ban_duration: '1 day',
      p2p_enable_nat: 'maybe',
      p2p_checkers: '1.5',
      p2p_max_connections: '99999999999999999999',
      p2p_static_peers: '/ip4/127.0.0.1/tcp/1|garbage',
      p2p_httpListenAddress: '',
    },
  });
  const keys = problems.map((line) => line.split(':', 1)[0]);
  assert.deepEqual(keys.sort(), [
    'network',
    'p2p_ban_duration',
    'p2p_checkers',
    'p2p_enable_nat',
    'p2p_httpListenAddress',
    'p2p_max_connections',
    'p2p_port',
    'p2p_static_peers',
    'p2p_static_peers',
  ]);
});

for (const key of [
  'p2p_ip',
  'p2p_port',
  'p2p_topic_prefix',
  'p2p_bestblock_topic',
  'p2p_block_topic',
  'p2p_subtree_topic',
  'p2p_mining_on_topic',
  'p2p_rejected_tx_topic',
  'p2p_shared_key',
]) {
  test(`the first generation requires ${key}`, (context) => {
    const problems = problemsOf(context, { env: { ...FIRST, [key]: '' } });
    assert.deepEqual(problems, [`${key}: is required in the first generation and must not be empty`]);
  });
}

for (const key of ['DATADIR', 'p2p_httpListenAddress']) {
  test(`every generation requires ${key}`, (context) => {
    assert.deepEqual(problemsOf(context, { env: { [key]: '' } }), [
      `${key}: is required and must not be empty`,
    ]);
  });
}

test('a settings file that cannot be read is reported by name', (context) => {
  const directory = temporaryDirectory(context);
  writeFileSync(join(directory, 'settings.conf'), Buffer.alloc(5 * 1024 * 1024, 'x'));
  assert.throws(
    () => loadSettings({ env: {}, cwd: directory, programDirectory: directory }),
    (error) =>
      error instanceof ConfigurationError && /^settings\.conf: cannot be read/.test(error.problems[0] ?? ''),
  );
});

test('no error quotes a secret', (context) => {
  const secret = 'hunter2hunter2';
  const problems = problemsOf(context, {
    env: {
      p2p_private_network: 'true',
      p2p_shared_key: secret,
      p2p_private_key: secret,
      blockchain_store: `postgres://user:${secret}@:::/x`,
      asset_httpAddress: `http://user:${secret}@host/`,
    },
  });
  assert.equal(problems.length, 4);
  assert.ok(!problems.join().includes(secret), problems.join('\n'));
});

test('settings of 2025 that the current generation does not follow are warned of, and never shown', (context) => {
  const secret = 'ab'.repeat(32);
  const env = {
    p2p_dht_use_private: 'true',
    p2p_shared_key: secret,
    p2p_dht_protocol_id: '/teranode',
    p2p_ip: '127.0.0.1',
    p2p_bootstrapAddresses:
      '/dns4/boot.example/tcp/9901/p2p/12D3KooWGRUVh6ccszaFZJ1qmuuFHVhxvSqXCPd3JXGqiXMDzTqt',
  };
  const { warnings } = load(context, { env });
  assert.deepEqual(warnings.map((line) => line.split(':', 1)[0]).sort(), Object.keys(env).sort());
  assert.ok(warnings.every((line) => !line.includes(secret)));
  for (const followed of [
    { ...env, p2p_bootstrapAddresses: '', p2p_ip: '', p2p_private_network: 'true' },
    { ...env, ...FIRST },
    { p2p_dht_use_private: 'false' },
  ]) {
    assert.deepEqual(load(context, { env: followed }).warnings, []);
  }
});

test('the bootstrap peers are those that Teranode ships for the network, unless the setting is there, empty or not', (context) => {
  const bootstrap = (env: Record<string, string>) => load(context, { env }).settings.p2p_bootstrap_peers;
  assert.deepEqual(bootstrap({}), ['/dnsaddr/mainnet.bootstrap.teranode.bsvb.tech']);
  assert.deepEqual(bootstrap({ network: 'teratestnet' }), [
    '/dnsaddr/teratestnet.bootstrap.teranode.bsvb.tech',
  ]);
  assert.deepEqual(bootstrap({ network: 'regtest' }), [], 'a network of one’s own has no public names');
  assert.deepEqual(bootstrap({ p2p_bootstrap_peers: '' }), []);
  assert.deepEqual(bootstrap(FIRST), []);
  const shipped = '/dnsaddr/${network}.bootstrap.teranode.bsvb.tech';
  assert.deepEqual(bootstrap({ network: 'stn', p2p_bootstrap_peers: shipped }), [
    '/dnsaddr/stn.bootstrap.teranode.bsvb.tech',
  ]);
});

test('in the contexts of Teranode’s containers PeerService listens where others reach it', (context) => {
  const listens = (SETTINGS_CONTEXT: string, env = {}) =>
    load(context, { env: { ...env, SETTINGS_CONTEXT } }).settings.p2p_grpcListenAddress?.text;
  for (const name of ['docker.m', 'docker.ss', 'operator', 'docker.m.mine'])
    assert.equal(listens(name), ':9904', name);
  for (const name of ['', 'dev', 'docker', 'docker.mm']) assert.equal(listens(name), 'localhost:9904', name);
  assert.equal(listens('operator', { p2p_grpcListenAddress: '' }), undefined, 'what is set is what counts');
});
