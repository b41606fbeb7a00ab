/** Every command of the operators' pages runs, in the order of its page, beside a real Kafka, services over gRPC and a peer that announces blocks. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { multiaddr } from '@multiformats/multiaddr';
import { genesisHeader } from '../../src/main/chain/genesis.js';
import { EmbeddedValidationService } from '../../src/main/devnet/validation-service.js';
import type { HashHex } from '../../src/shared/bitcoin/hash.js';
import { headerHash } from '../../src/shared/bitcoin/header.js';
import { BlockchainService } from '../support/blockchain-service.js';
import { minedChain, minedHeader } from '../support/headers.js';
import { type KafkaCluster, startKafka } from '../support/kafka/index.js';
import { keptLog } from '../support/logger.js';
import { createPeer } from '../support/peer.js';
import { freePorts } from '../support/ports.js';
import { sampleData } from '../support/sample-messages.js';
import { SharedByTests, temporaryDirectory } from '../support/temporary.js';
import { within } from '../support/wait.js';
import { namedCommands, PATHS, type Page, readPage } from './pages.js';
import { makeRoot, type Place, placed } from './place.js';
import { PATH_WITH_TOOLS, run } from './tools.js';

const { version: VERSION } = JSON.parse(
  readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'),
) as { version: string };
/** What needs an engine or a cluster: not run, and each of them is in a page. */
const NOT_HERE = [
  'docker compose up --build',
  'docker compose exec server teranode-p2p peers',
  'docker compose exec server teranode-p2p outbox',
  'docker compose exec kafka /opt/kafka/bin/kafka-console-consumer.sh --bootstrap-server localhost:9092 --topic blocks --from-beginning',
  'docker compose -f docker-compose.yml -f deploy/gateway/compose.yml up --build',
  'kubectl apply -k deploy/kubernetes/gateway',
  `docker build --tag teranode-p2p:${VERSION} .`,
  './start.sh',
  'docker compose up -d --no-deps peer',
  'docker compose exec peer teranode-p2p health',
  'docker compose exec peer teranode-p2p outbox --wait 10m',
  'kubectl -n teranode patch cluster teranode-cluster --type merge --patch {"spec":{"peer":{"enabled":false}}}',
  'kubectl -n teranode patch cluster teranode-cluster --type merge --patch {"spec":{"peer":{"enabled":true}}}',
  'kubectl -n teranode exec deployment/peer -- cat /data/teranode/p2p.key',
  'kubectl apply -f /etc/teranode-p2p/peer-keys.yaml',
  'kubectl apply -f /etc/teranode-p2p/namespace.yaml',
  'kubectl -n teranode wait --for=delete deployment/peer --timeout=2m',
  'kubectl -n teranode get cluster teranode-cluster --output jsonpath={.spec.configMapName} {.spec.envFrom[*].secretRef.name}',
  `docker build --tag registry.example.com/teranode-p2p:${VERSION} .`,
  `docker push registry.example.com/teranode-p2p:${VERSION}`,
  'kubectl -n teranode apply -f /etc/teranode-p2p/peer.yaml',
  'kubectl -n teranode rollout status deployment/peer --timeout=5m',
  'kubectl -n teranode exec deployment/peer -- teranode-p2p health',
  'kubectl -n teranode exec deployment/peer -- teranode-p2p peers',
  'kubectl -n teranode exec deployment/peer -- teranode-p2p outbox --wait 10m',
  'kubectl -n teranode logs deployment/peer --since=10m',
  'kubectl -n teranode delete peer teranode-p2p',
  'kubectl apply -k /etc/teranode-p2p/kubernetes',
  'kubectl apply -k deploy/kubernetes/standalone',
  'helm -n teranode upgrade --install peer deploy/helm/teranode-p2p -f deploy/helm/teranode-p2p/values-operator.yaml --set image.repository=registry.example.com/teranode-p2p',
  'helm -n teranode-p2p upgrade --install peer deploy/helm/teranode-p2p -f deploy/helm/teranode-p2p/values-standalone.yaml',
];
const PAGE_MS = 400_000;
const TOPIC = 'teranode/bitcoin/1.0.0/regtest-block';
const SHOWN = 6_000;

const shared = new SharedByTests();
let kafka: KafkaCluster;
let chain: BlockchainService;
let validation: EmbeddedValidationService;
/** `npm pack`ed, and installed, as whoever installs it has it. */
let tarball = '';
let installed = '';

before(async () => {
  kafka = await startKafka(shared);
  chain = new BlockchainService();
  for (const header of minedChain(3)) chain.add(header, { height: chain.headers.size + 1 });
  await chain.start();
  shared.after(() => chain.stop());
  validation = new EmbeddedValidationService({ logger: keptLog().logger });
  await validation.start();
  shared.after(() => validation.stop());
  const folder = temporaryDirectory(shared);
  const name = run('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', folder]).trim();
  tarball = join(folder, name);
  installed = join(folder, 'installed');
  run('npm', [
    'install',
    '--global',
    '--silent',
    '--prefer-offline',
    '--no-audit',
    '--no-fund',
    '--prefix',
    installed,
    tarball,
  ]);
});
after(() => shared.clean());

interface Machine {
  readonly place: Place;
  readonly env: Readonly<Record<string, string>>;
}

/** A machine for one page: its folders, its ports, the commands that operators have, and a neighbour on the network. */
async function machine(context: TestContext): Promise<Machine> {
  const root = temporaryDirectory(context);
  makeRoot(root);
  // A service's user gets through.
  chmodSync(root, 0o755);
  // Of the server, and of two gateways beside it.
  const documented = [9904, 9905, 9906, 8000, 9091, 9916, 8010, 9101, 9926, 8020, 9111];
  const free = await freePorts(documented.length);
  const [grpc = 0, p2p = 0, http = 0, health = 0, metrics = 0] = free;
  const ports = {
    ...Object.fromEntries(documented.map((port, index) => [port, free[index] ?? 0])),
    8087: Number(chain.address.split(':')[1]),
    8088: validation.port,
    9092: Number(kafka.brokers.split(':')[1]),
  };
  const place: Place = { root, ports };
  // The test's, on loopback: they beat the files that a page makes.
  const settings = {
    network: 'regtest',
    p2p_port: String(p2p),
    p2p_listen_addresses: '127.0.0.1',
    p2p_bootstrap_peers: '',
    p2p_allow_private_ips: 'true',
    p2p_heartbeat_interval: '200ms',
    p2p_checkers: '2',
    p2p_grpcListenAddress: `localhost:${grpc}`,
    p2p_grpcAddress: `localhost:${grpc}`,
    p2p_httpListenAddress: `127.0.0.1:${http}`,
    p2p_httpAddress: `127.0.0.1:${http}`,
    health_check_httpListenAddress: `127.0.0.1:${health}`,
    profilerAddr: `127.0.0.1:${metrics}`,
  };
  const here = (module: string) => `exec ${process.execPath} ${resolve('dist/test/operators', module)}`;
  // Users that `systemd-sysusers` has made there are known by their numbers outside.
  const withUsers = (name: string): string =>
    `args=()
for arg; do
  number=$(sed -n "s/^$arg:x:\\([0-9]*\\):.*/\\1/p" ${root}/etc/passwd 2> /dev/null || true)
  args+=("\${number:-$arg}")
done
exec /usr/bin/${name} "\${args[@]}"`;
  const commands: Readonly<Record<string, string>> = {
    install: withUsers('install'),
    systemctl: `${here('service-manager.js')} systemctl "$@"`,
    journalctl: `${here('service-manager.js')} journalctl "$@"`,
    'systemd-sysusers': `exec /usr/bin/systemd-sysusers --root=${root} "$@"`,
    docker: `${here('not-here.js')} docker "$@"`,
    kubectl: `${here('not-here.js')} kubectl "$@"`,
    helm: `${here('not-here.js')} helm "$@"`,
  };
  const program = (path: string, code: string): void =>
    writeFileSync(join(root, path), `#!/bin/bash\n${code}\n`, { mode: 0o755 });
  for (const [name, code] of Object.entries(commands)) program(join('bin', name), code);
  // The folder of a quickstart is the same, to a page.
  program('checkout/start.sh', `${here('not-here.js')} ./start.sh "$@"`);
  writeFileSync(join(root, 'checkout/.env'), 'network=regtest\n');
  cpSync('deploy', join(root, 'checkout', 'deploy'), { recursive: true });
  cpSync(tarball, join(root, `teranode-p2p-${version()}.tgz`));
  const { NODE_TEST_CONTEXT: _, ...inherited } = process.env;
  const env = {
    ...(inherited as Record<string, string>),
    ...settings,
    HOME: root,
    PATH: [join(root, 'bin'), join(root, 'usr/local/bin'), PATH_WITH_TOOLS].join(':'),
    PLACE: JSON.stringify(place),
    SERVICE_ENVIRONMENT: JSON.stringify(settings),
    NOT_HERE: JSON.stringify(NOT_HERE),
    npm_config_prefix: join(root, 'usr/local'),
    npm_config_cache: npmCache(),
    npm_config_loglevel: 'error',
    npm_config_prefer_offline: 'true',
    npm_config_audit: 'false',
    npm_config_fund: 'false',
    // Written at a process's end, which takes seconds.
    NODE_V8_COVERAGE: '',
  };
  await announcing(context, p2p);
  context.after(() => endServices(place));
  return { place, env };
}

const version = (): string =>
  (JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }).version;
const npmCache = (): string => run('npm', ['config', 'get', 'cache']).trim();

/** A peer that calls whoever listens on `port`, and announces a block a quarter of a second. */
async function announcing(context: TestContext, port: number): Promise<void> {
  const peer = await createPeer({ context, topics: [TOPIC] });
  let previous: HashHex = headerHash(genesisHeader('regtest'));
  let height = 0;
  const turn = async (): Promise<void> => {
    if (peer.libp2p.getConnections().length === 0)
      await peer.libp2p.dial(multiaddr(`/ip4/127.0.0.1/tcp/${port}`)).catch(() => undefined);
    const header = minedHeader(previous, height++);
    previous = headerHash(header);
    const fields = { hash: previous, header: Buffer.from(header).toString('hex'), height, peerId: peer.id };
    await peer.publish(TOPIC, sampleData('block', fields, 'message-bus', peer.id)).catch(() => undefined);
  };
  const timer = setInterval(() => void turn(), 250);
  context.after(() => clearInterval(timer));
}

async function endServices({ root }: Place): Promise<void> {
  for (const name of ['teranode-p2p', 'teranode-p2p-gateway', 'teranode-peer']) {
    const path = join(root, 'run', `${name}.pid`);
    if (!existsSync(path)) continue;
    const pid = Number(readFileSync(path, 'utf8'));
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      // It has ended.
    }
  }
}

/** Runs a script of bash as a page's reader would, and fails with what it said. */
async function bash({ place, env }: Machine, script: string, what: string): Promise<string> {
  const file = join(place.root, 'run', 'page.sh');
  writeFileSync(file, `set -euo pipefail\ntrap 'echo "failed: $BASH_COMMAND" >&2' ERR\n${script}\n`);
  const child = spawn('bash', [file], {
    cwd: join(place.root, 'checkout'),
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (said += text));
  const end = new Promise<number | null>((done) => child.once('close', (code) => done(code)));
  try {
    assert.equal(await within(end, PAGE_MS, what), 0);
  } catch (error) {
    try {
      process.kill(-(child.pid ?? 0), 'SIGKILL');
    } catch {
      // It has ended.
    }
    const log = join(place.root, 'run', 'teranode-p2p.log');
    const lines = existsSync(log) ? readFileSync(log, 'utf8').slice(-SHOWN) : '';
    throw new Error(`${what}: ${(error as Error).message}\n${said.slice(-SHOWN)}\n${lines}`);
  }
  return said;
}

const scriptOf = ({ path, blocks }: Page, place: Place): string =>
  blocks.map(({ line, code }) => `echo "== ${path}:${line}" >&2\n${placed(code, place)}`).join('\n');

/** What `needs` of a page names. */
async function provide(on: Machine, needs: readonly string[]): Promise<void> {
  const { root } = on.place;
  const machinePage = readPage('docs/operators/machine.md');
  if (needs.length > 0) {
    const upTo = machinePage.blocks.findIndex(({ code }) => code.includes('settings.conf'));
    // Installing takes its time, and is done for real where a page says it.
    const blocks = machinePage.blocks.slice(0, upTo + 1).map(({ line, code }) => ({
      line,
      code: code.replace(/^npm install .*$/m, `cp -al ${installed}/. /usr/local/`),
    }));
    await bash(on, scriptOf({ ...machinePage, blocks }, on.place), 'installing');
  }
  if (needs.includes('predecessor')) {
    // Played by another server of this kind, on data of its own: its feed, gRPC, ports and key are the Go service's.
    mkdirSync(join(root, 'var/lib/teranode'));
    writeFileSync(
      join(root, 'etc/systemd/system/teranode-peer.service'),
      `[Service]\nWorkingDirectory=/etc/teranode-p2p\nEnvironment=DATADIR=/var/lib/teranode\nExecStart=/usr/local/bin/teranode-p2p start\n`,
    );
    await bash(
      on,
      placed(
        'cd /etc/teranode-p2p\nsystemctl start teranode-peer\nuntil DATADIR=/var/lib/teranode teranode-p2p health > /dev/null; do sleep 1; done',
        on.place,
      ),
      'a predecessor',
    );
  }
  if (needs.includes('server')) {
    await bash(
      on,
      placed(
        'cd /etc/teranode-p2p\nsystemctl start teranode-p2p\nuntil teranode-p2p health > /dev/null; do sleep 1; done',
        on.place,
      ),
      'a server',
    );
  }
}

describe('the operators’ pages', () => {
  const asked = new Set<string>();

  for (const path of PATHS) {
    const page = readPage(path);
    if (page.blocks.length === 0) continue;
    it(`every command of ${path} runs`, async (context) => {
      const on = await machine(context);
      await provide(on, page.needs);
      const said = await bash(on, scriptOf(page, on.place), path);
      context.diagnostic(said.slice(-SHOWN));
      const log = join(on.place.root, 'run', 'not-here.log');
      for (const command of existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : [])
        asked.add(command);
      if (path.endsWith('swap.md')) {
        // The same node before, meanwhile and after: what its feed's first frame says.
        const of = (name: string): unknown =>
          (
            JSON.parse(
              readFileSync(join(on.place.root, 'var/lib/teranode', name), 'utf8').split('\n', 1)[0] ?? '',
            ) as { peer_id: string }
          ).peer_id;
        assert.match(String(of('before.json')), /^12D3KooW/);
        assert.deepEqual(of('after.json'), of('before.json'));
      }
    });
  }

  it('what is not run is in a page, word for word', () => {
    assert.deepEqual([...asked].sort(), [...NOT_HERE].sort());
  });

  it('every command of the server that a page names in passing is one, with those options', async () => {
    const known = new Map<string, string>();
    const help = (words: readonly string[]): string => {
      const key = words.join(' ');
      const found = known.get(key) ?? run(process.execPath, ['bin/teranode-p2p.mjs', ...words, '--help']);
      known.set(key, found);
      return found;
    };
    let count = 0;
    for (const path of PATHS) {
      for (const command of namedCommands(readPage(path))) {
        const words = command.split(/\s+/).filter((word) => /^[a-z][a-z0-9-]*$|^--?[a-z]/.test(word));
        const names: string[] = [];
        for (const word of words.filter((each) => !each.startsWith('-'))) {
          if (!new RegExp(`^ +${word}\\b`, 'm').test(help(names))) break;
          names.push(word);
        }
        assert.ok(names.length > 0, `${path}: ${command}`);
        for (const option of words.filter((each) => each.startsWith('-')))
          assert.ok(help(names).includes(option.split('=', 1)[0] ?? ''), `${path}: ${command}: ${option}`);
        count++;
      }
    }
    assert.ok(count > 10, `${count}`);
  });

  it('no page has a command in another form, where it would not run', () => {
    for (const path of PATHS) {
      const { text } = readPage(path);
      const indented = text
        .replace(/```[\s\S]*?```/g, '')
        .match(/^ {4,}(teranode-p2p|docker|kubectl|helm|systemctl|curl|npx|npm) .*/gm);
      assert.equal(indented, null, path);
    }
  });
});
