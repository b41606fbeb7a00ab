/** The image as Teranode's quickstart and operator start theirs. Each test has the fixed ports of a network namespace to itself (`.ci/image`). */

import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { multiaddr } from '@multiformats/multiaddr';
import { parse } from 'yaml';
import { genesisHeader } from '../../src/main/chain/genesis.js';
import { generateKeyHex, parseKeyHex } from '../../src/main/node/identity/keys.js';
import { BlockchainService } from '../support/blockchain-service.js';
import { sumOf } from '../support/gossip.js';
import { createPeer } from '../support/peer.js';
import { sampleData } from '../support/sample-messages.js';
import { temporaryDirectory } from '../support/temporary.js';
import { waitFor, within } from '../support/wait.js';
import {
  CONFIG,
  type Container,
  type ContainerOptions,
  ENTRYPOINT,
  powersOf,
  ROOT,
  start,
} from './container.js';

/** Where the quickstart's own environment file says something to this service. */
const QUICKSTART = {
  SETTINGS_CONTEXT: 'docker.m',
  network: 'regtest',
  clientName: 'teranode-ab12',
  listen_mode: 'listen_only',
  logLevel: 'INFO',
  asset_httpPublicAddress: '',
  p2p_advertise_addresses: '',
  p2p_health_check_enabled: 'false',
  p2p_dht_mode: 'off',
  GOGC: '200',
};
/** Its health check, word for word a shell's: an answer of 503 is an answer. */
const QUICKSTART_CHECK =
  'wget -qO /dev/null --tries=1 --timeout=5 http://localhost:8000/health || [ $? = 8 ]';
/** What engines give a container to end in, unless told otherwise. */
const ENGINE_MS = 10_000;
/** No Kafka and no database in these tests, which are about how the program is started. */
const ALONE = {
  blockchain_store: '',
  blockvalidation_grpcAddress: '',
  blockassembly_grpcAddress: '',
  kafka_blocksConfig: 'memory://embedded/blocks',
  kafka_subtreesConfig: 'memory://embedded/subtrees',
  kafka_rejectedTxConfig: 'memory://embedded/rejectedtx',
  kafka_invalidBlocksConfig: '',
  kafka_invalidSubtreesConfig: '',
  p2p_bootstrap_peers: '',
};

/** Packages of which the image carries a part built for its machine. */
const NATIVE = ['classic-level', 'sodium-native', 'snappy', 'lz4-napi', 'uWebSockets.js'];

/** A volume as another service of the node left it: root's, with a folder of that service's own and the P2P service's key. */
async function usedVolume(
  context: TestContext,
  ...below: string[]
): Promise<{ volume: string; peerId: string; key: string }> {
  const volume = temporaryDirectory(context);
  chmodSync(volume, 0o755);
  const cache = join(volume, ...below);
  mkdirSync(join(cache, 'blockstore'), { recursive: true });
  writeFileSync(join(cache, 'blockstore', 'block'), 'theirs', { mode: 0o600 });
  const key = await generateKeyHex();
  writeFileSync(join(cache, 'p2p.key'), key, { mode: 0o600 });
  return { volume, key, peerId: (await parseKeyHex(key)).publicKey.toString() };
}

/** Names of the node's services, as the engine's or the cluster's name service answers for them. */
function hosts(context: TestContext, ...names: string[]): Record<string, string> {
  const file = join(temporaryDirectory(context), 'hosts');
  writeFileSync(file, ['localhost', ...names].map((name) => `127.0.0.1 ${name}\n`).join(''));
  return { [file]: '/etc/hosts' };
}

async function service(context: TestContext): Promise<BlockchainService> {
  const chain = new BlockchainService(8087);
  chain.add(genesisHeader('regtest'));
  await chain.start();
  context.after(() => chain.stop());
  return chain;
}

async function answers(path: string): Promise<number> {
  return waitFor(
    () =>
      fetch(`http://127.0.0.1:8000${path}`).then(
        ({ status }) => status,
        () => 0,
      ),
    { what: path, timeoutMs: 60_000 },
  );
}

async function ready(container: Container): Promise<void> {
  await waitFor(async () => (await answers('/health/readiness')) === 200, {
    what: 'readiness',
    timeoutMs: 60_000,
  }).catch(async (error) => {
    const report = await fetch('http://127.0.0.1:8000/health').then((answer) => answer.text(), String);
    throw new Error(`${report}\n${container.stderr}\n${container.stdout.slice(-4000)}`, { cause: error });
  });
}

async function refused(
  context: TestContext,
  options: ContainerOptions,
): Promise<{ code: number | null; stderr: string; stdout: string }> {
  const container = start(context, options);
  const code = await within(container.code, 60_000, 'a refusal');
  return { code, stderr: container.stderr, stdout: container.stdout };
}

/** The server's process and all it started: who they are. */
function everybody(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return [pid, ...(children === '' ? [] : children.split(' ').flatMap((child) => everybody(Number(child))))];
}

function assertPowerless(pid: number): void {
  const all = everybody(pid);
  assert.ok(all.length > 1, 'the notification server is a process of its own');
  for (const each of all) {
    const { uids, gids, groups, capabilities, noNewPrivileges } = powersOf(each);
    assert.deepEqual(
      [uids, gids, groups, noNewPrivileges],
      ['1000 1000 1000 1000', '1000 1000 1000 1000', '', true],
    );
    assert.deepEqual(capabilities, [0n, 0n, 0n, 0n]);
  }
}

test('its configuration is that of Teranode’s image: program, folder, ports, no user', () => {
  assert.deepEqual(CONFIG.Entrypoint, ['/app/teranode.run']);
  assert.equal(CONFIG.WorkingDir, '/app');
  assert.equal(CONFIG.User ?? '', '');
  assert.equal(CONFIG.StopSignal, 'SIGTERM');
  assert.deepEqual(Object.keys(CONFIG.ExposedPorts ?? {}).sort(), [
    '8000/tcp',
    '9091/tcp',
    '9904/tcp',
    '9905/tcp',
    '9906/tcp',
  ]);
  for (const path of [
    'app/teranode.run',
    'app/settings.conf',
    'app/data',
    'data',
    'app/THIRD-PARTY-NOTICES.txt',
    'app/sbom.cdx.json',
    'app/LICENSE',
  ])
    assert.ok(existsSync(join(ROOT, path)), path);
  assert.ok((statSync(join(ROOT, 'app/teranode.run')).mode & 0o111) === 0o111);
});

test('native parts load, and of the WebSocket builds the one that is there', async (context) => {
  const builds = readdirSync(join(ROOT, 'app/node_modules'), { recursive: true, encoding: 'utf8' }).filter(
    (path) => /uws_.*\.node$/.test(path),
  );
  assert.equal(builds.length, 1, builds.join(' '));
  const server = start(context, { env: { ...ALONE, network: 'regtest' } });
  await ready(server);
  const load = `for (const name of ${JSON.stringify(NATIVE)}) await import(name);`;
  const loaded = await server.exec('node', '--input-type=module', '--eval', load);
  assert.equal(loaded.code, 0, loaded.stderr);
  const metrics = await (await fetch('http://127.0.0.1:9091/metrics')).text();
  assert.match(metrics, /^teranode_p2p_websocket_transport_info\{[^}]*uWebSockets\.js 20\.57[^}]*\} 1$/m);
});

test('as the quickstart starts it: its script, its volume of root’s, its health check inside', async (context) => {
  const chain = await service(context);
  const { volume, peerId, key } = await usedVolume(context);
  const script = join(temporaryDirectory(context), 'entrypoint.sh');
  writeFileSync(script, ENTRYPOINT, { mode: 0o755 });
  const container = start(context, {
    entrypoint: ['/app/entrypoint.sh'],
    args: ['-p2p=1'],
    env: { ...ALONE, ...QUICKSTART },
    volumes: {
      [volume]: '/app/data',
      [script]: '/app/entrypoint.sh',
      ...hosts(context, 'blockchain', 'postgres', 'kafka-shared'),
    },
  });
  await ready(container);
  assert.ok((chain.calls.get('subscribe') ?? 0) > 0, 'it found the blockchain service by its name');
  assertPowerless(await container.pid());
  assert.equal(readRunFileOf(join(volume, 'p2p')).peerId, peerId, 'it is who the node was');

  for (const check of [
    QUICKSTART_CHECK,
    'wget -q --spider http://localhost:8000/health',
    'netstat -ltn | grep -c 9905',
  ])
    assert.equal((await container.exec('sh', '-c', check)).code, 0, check);
  const [kind, ...command] = CONFIG.Healthcheck?.Test ?? [];
  assert.equal(kind, 'CMD');
  assert.equal((await container.exec(...command)).code, 0);
  const health = await container.exec('teranode-p2p', 'health');
  assert.equal(health.code, 0, health.stderr);

  // What is not this server's is as it was.
  assert.equal(readFileSync(join(volume, 'p2p.key'), 'utf8'), key);
  assert.equal(statSync(join(volume, 'p2p.key')).mode & 0o777, 0o600);
  for (const path of ['.', 'blockstore', 'blockstore/block'])
    assert.equal(statSync(join(volume, path)).uid, 0, path);
  assert.equal(statSync(join(volume, 'blockstore/block')).gid, 0);

  await container.stop();
  assert.equal(await container.code, 0);
  assert.equal(existsSync(join(volume, 'p2p', 'run.json')), false, 'it was the server that was told to stop');
});

/** Told by hand: its process is one of the container's. */
function readRunFileOf(directory: string): { readonly peerId: string } {
  return JSON.parse(readFileSync(join(directory, 'run.json'), 'utf8')) as { peerId: string };
}

test('as Teranode’s compose files of several nodes start it: its own wait.sh, what is off besides, nc as its health check', async (context) => {
  for (const port of [5432, 9092]) {
    const listener = createServer((socket) => socket.destroy()).listen(port, '127.0.0.1');
    context.after(() => listener.close());
  }
  const chain = await service(context);
  const names = ['blockchain-1', 'blockvalidation-1', 'blockassembly-1', 'postgres', 'kafka-shared'];
  const container = start(context, {
    entrypoint: [
      ...['/app/wait.sh', 'postgres', '5432', '0', '--'],
      ...['/app/wait.sh', 'kafka-shared', '9092', '0', '--'],
      ...['/app/teranode.run', '-all=0', '-p2p=1', '-localTestStartFromState=RUNNING'],
    ],
    args: [],
    env: { ...ALONE, SETTINGS_CONTEXT: 'docker.ss.teranode1' },
    volumes: { [temporaryDirectory(context)]: '/app/data', ...hosts(context, ...names) },
  });
  await ready(container);
  assert.ok((chain.calls.get('subscribe') ?? 0) > 0, 'it found the blockchain service by its name');
  assert.match(container.stderr, /^-localTestStartFromState=RUNNING means nothing/m);
  assert.equal((await container.exec('sh', '-c', 'nc -z localhost 9905')).code, 0);
  await container.stop();
  assert.equal(await container.code, 0);
});

test('with Kafka away it ends within the ten seconds after which an engine kills', async (context) => {
  const container = start(context, {
    env: { ...ALONE, network: 'regtest', kafka_subtreesConfig: 'kafka://127.0.0.1:9092/subtrees' },
  });
  const topic = 'teranode/bitcoin/1.0.0/regtest-subtree';
  const peer = await createPeer({ context, topics: [topic] });
  assert.equal(await answers('/health/liveness'), 200);
  await waitFor(
    () =>
      peer.libp2p.dial(multiaddr('/ip4/127.0.0.1/tcp/9905')).then(
        () => true,
        () => false,
      ),
    { what: 'a connection', timeoutMs: 60_000 },
  );
  // Something for which a stop has to ask Kafka.
  await waitFor(
    async () => {
      await peer.publish(topic, sampleData('subtree', { peerId: peer.id }, 'message-bus', peer.id));
      const metrics = await (await fetch('http://127.0.0.1:9091/metrics')).text();
      return sumOf(metrics, 'teranode_p2p_outbox_depth') > 0;
    },
    { what: 'an announcement in the outbox', timeoutMs: 60_000, everyMs: 500 },
  );
  await container.stop(ENGINE_MS);
  assert.equal(await container.code, 0, container.stdout.slice(-4000));
});

test('as the operator starts it: an argument, the cluster’s volume of root’s, probes', async (context) => {
  const chain = await service(context);
  const clientName = 'node-1';
  const { volume, peerId } = await usedVolume(context, clientName);
  const container = start(context, {
    args: ['-p2p=1'],
    env: {
      ...ALONE,
      SETTINGS_CONTEXT: 'operator',
      SERVICE_NAME: 'p2p-service',
      network: 'regtest',
      clientName,
    },
    volumes: { [volume]: '/data', ...hosts(context, `blockchain.${clientName}.svc.cluster.local`) },
  });
  await ready(container);
  assert.ok((chain.calls.get('subscribe') ?? 0) > 0, 'k8s:/// names are found');
  assert.equal(await answers('/health/liveness'), 200);
  assertPowerless(await container.pid());
  assert.equal(readRunFileOf(join(volume, clientName, 'p2p')).peerId, peerId);
  assert.deepEqual(
    readdirSync(volume),
    [clientName],
    'nothing else in the root of a volume that is everybody’s',
  );
  await container.stop();
  assert.equal(await container.code, 0);

  // A second time: what the first left is this user's.
  const again = start(context, {
    env: { ...ALONE, SETTINGS_CONTEXT: 'operator', network: 'regtest', clientName },
    volumes: { [volume]: '/data', ...hosts(context, `blockchain.${clientName}.svc.cluster.local`) },
  });
  await ready(again);
});

test('as the manifests start it on the operator’s volume: root with the few capabilities that they leave it, nothing else writable', async (context) => {
  const manifest = parse(
    readFileSync('deploy/kubernetes/components/cluster-storage/volume.yaml', 'utf8'),
  ) as {
    spec: {
      template: {
        spec: { containers: [{ securityContext: { capabilities: { add: string[] } } }] };
      };
    };
  };
  const [{ securityContext }] = manifest.spec.template.spec.containers;
  const { volume, peerId } = await usedVolume(context, 'node-1');
  const container = start(context, {
    args: ['-p2p=1'],
    env: { ...ALONE, SETTINGS_CONTEXT: 'operator', network: 'regtest', clientName: 'node-1' },
    volumes: { [volume]: '/data', ...hosts(context, 'blockchain.node-1.svc.cluster.local') },
    capabilities: securityContext.capabilities.add,
    readOnly: true,
  });
  await service(context);
  await ready(container);
  assertPowerless(await container.pid());
  assert.equal(readRunFileOf(join(volume, 'node-1', 'p2p')).peerId, peerId);
  const health = await container.exec('teranode-p2p', 'health');
  assert.equal(health.code, 0, health.stderr);
});

test('started as user 1000 on root’s volume it says whose that is and what to do, and does as well as told', async (context) => {
  const volume = temporaryDirectory(context);
  chmodSync(volume, 0o755);
  const options = {
    user: 1000,
    env: { ...ALONE, network: 'regtest' },
    volumes: { [volume]: '/data' },
    readOnly: true,
  };
  const { code, stderr } = await refused(context, options);
  assert.equal(code, 1);
  assert.match(
    stderr,
    /^error: .*\/data belongs to 0:0 with mode 755, and this server runs as 1000:1000; give it to that user \(chown -R 1000:1000 \/data\)/m,
  );
  chownSync(volume, 1000, 1000);
  const container = start(context, options);
  await ready(container);
  for (const each of everybody(await container.pid()))
    assert.deepEqual(powersOf(each).capabilities, [0n, 0n, 0n, 0n]);
});

test('root without the right to become another user is told so, before anything is touched', async (context) => {
  const volume = temporaryDirectory(context);
  const { code, stderr } = await refused(context, { capabilities: [], volumes: { [volume]: '/data' } });
  assert.equal(code, 1);
  assert.match(
    stderr,
    /^error: started as root without the capabilities SETUID and SETGID.*start it as that user \(user: "1000:1000", runAsUser: 1000\)/m,
  );
  assert.deepEqual(readdirSync(volume), []);
});

test('without a context it stands alone, and a file of settings beside its own counts', async (context) => {
  const local = join(temporaryDirectory(context), 'settings_local.conf');
  writeFileSync(local, 'network.standalone = testnet\np2p_bootstrap_peers =\nclientName = local\n');
  const container = start(context, { volumes: { [local]: '/app/settings_local.conf' } });
  await ready(container);
  const shown = await container.exec('teranode-p2p', 'settings', 'show', 'network');
  assert.match(shown.stdout, /testnet/);
  await container.stop();
  assert.equal(await container.code, 0);
});

test('another service’s flag is refused in a sentence that says what this image is, and help is to be had', async (context) => {
  for (const args of [['-blockchain=1'], ['-p2p=1', '-asset=1'], ['--all'], ['-p2p=0'], []]) {
    const { code, stderr, stdout } = await refused(context, { args });
    assert.equal(code, 2, args.join(' '));
    assert.match(stderr, /^error: .*-p2p=1/, args.join(' '));
    assert.equal(stdout, '');
  }
  for (const args of [['-help=1'], ['-help'], ['--help']]) {
    const { code, stdout } = await refused(context, { args });
    assert.equal(code, 0);
    assert.match(stdout, /^Usage: teranode\.run -p2p=1$/m);
  }
});
