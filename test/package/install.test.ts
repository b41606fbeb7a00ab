/** The packed packages as a newcomer first meets them: the server from a registry, with what the lockfile says and nothing else; the client from its tarball. */

import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { type handleUnaryCall, Server, ServerCredentials } from '@grpc/grpc-js';
import { PeerServiceClient } from '../../src/shared/client.js';
import { startCollector } from '../support/collector.js';
import { readmeBlocks } from '../support/readme.js';
import { launchServer, type ServerProcess } from '../support/server-process.js';
import { SharedByTests, temporaryDirectory } from '../support/temporary.js';
import { waitFor, within } from '../support/wait.js';
import { startRegistry } from './registry.js';

const { NODE_V8_COVERAGE: _, NODE_TEST_CONTEXT: __, ...ENV } = process.env;
const run = promisify(execFile);

interface Installed {
  readonly name: string;
  readonly version: string;
  /** Below the folder's `node_modules`. */
  readonly path: string;
}
interface Lock {
  readonly packages: Readonly<Record<string, { readonly version?: string; readonly dev?: boolean }>>;
}

const shared = new SharedByTests();
const own = JSON.parse(readFileSync('package.json', 'utf8')) as {
  name: string;
  version: string;
  dependencies: Record<string, string>;
};
const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as Lock;
/** What npm said while it installed. */
let said = '';
let node: string;
let client: string;
let packageRoot: string;

/** Packs and installs, each into a folder of its own. */
before(async () => {
  const packed = temporaryDirectory(shared);
  await run('npm', ['pack', '--pack-destination', packed], { env: ENV });
  await run('npm', ['pack', './dist/client', '--pack-destination', packed], { env: ENV });
  const tarball = (name: string) => join(packed, `${name}-${own.version}.tgz`);
  [node, client] = [temporaryDirectory(shared), temporaryDirectory(shared)];
  const install = (folder: string, what: string, ...options: string[]) =>
    run('npm', ['install', what, ...options], { cwd: folder, env: ENV });
  const upstream = (await run('npm', ['config', 'get', 'registry'], { env: ENV })).stdout.trim();
  const registry = await startRegistry(shared, { manifest: own, tarball: tarball('teranode-p2p'), upstream });
  // A cache of its own: what this registry says is of this run.
  const cache = ['--registry', registry, '--cache', temporaryDirectory(shared)];
  const { stdout, stderr } = await install(node, 'teranode-p2p', ...cache);
  said = stdout + stderr;
  await install(client, tarball('teranode-p2p-client'));
  packageRoot = join(node, 'node_modules/teranode-p2p');
  const mb = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
  for (const [name, folder] of [
    ['teranode-p2p', node],
    ['teranode-p2p-client', client],
  ] as const) {
    const size = statSync(tarball(name)).size;
    process.stdout.write(
      `# ${name}: packed ${mb(size)}, installed ${installed(folder).length} packages of ${mb(bytesOf(folder))}\n`,
    );
  }
});
after(() => shared.clean());

/** Every package in a folder, however deep. */
function installed(folder: string): readonly Installed[] {
  return readdirSync(join(folder, 'node_modules'), { recursive: true, encoding: 'utf8' })
    .filter(
      (path) =>
        /(?:^|[\\/]node_modules[\\/])(?:@[^\\/]+[\\/])?[^\\/@.][^\\/]*[\\/]package\.json$/.test(path) ||
        /^(?:@[^\\/]+[\\/])?[^\\/@.][^\\/]*[\\/]package\.json$/.test(path),
    )
    .map((path) => {
      const { name, version } = JSON.parse(
        readFileSync(join(folder, 'node_modules', path), 'utf8'),
      ) as Installed;
      return { name, version, path: dirname(path) };
    });
}

function bytesOf(folder: string): number {
  return Number(execFileSync('du', ['-sb', folder], { encoding: 'utf8' }).split('\t', 1)[0]);
}

/** Where the lockfile has what is installed at a path. */
const lockPath = (path: string) =>
  path.replace(/^teranode-p2p[\\/]/, '').replace(/^(?!node_modules)/, 'node_modules/');

test('what is installed is what was tested: each package in the version of the lockfile, no tool of development', () => {
  const others = installed(node).filter(({ name }) => name !== 'teranode-p2p');
  assert.ok(others.length > 100, String(others.length));
  for (const { name, version, path } of others) {
    const locked = lock.packages[lockPath(path)];
    assert.equal(locked?.version, version, `${name} at ${path}`);
    assert.notEqual(locked?.dev, true, name);
  }
});

test('npm warns of no version of Node and of nothing that is deprecated', () => {
  assert.doesNotMatch(said, /EBADENGINE|deprecated/);
});

test('no `ws` is installed or bundled but the mended one, and one WebSocket package', () => {
  const mended = own.dependencies.ws;
  for (const { version, path } of installed(node).filter(({ name }) => name === 'ws'))
    assert.equal(version, mended, path);
  const components = billOfMaterials().components.map(({ purl }) => purl);
  assert.deepEqual(
    components.filter((purl) => purl.startsWith('pkg:npm/ws@')),
    [`pkg:npm/ws@${mended}`],
  );
  assert.deepEqual(
    installed(node).flatMap(({ name }) => (/uws|uwebsockets/i.test(name) ? name : [])),
    ['@btc-vision/uwebsockets.js'],
  );
});

interface BillOfMaterials {
  readonly bomFormat: string;
  readonly specVersion: string;
  readonly metadata: { readonly component: { readonly name: string; readonly version: string } };
  readonly components: readonly { readonly purl: string; readonly licenses?: readonly object[] }[];
}

function billOfMaterials(): BillOfMaterials {
  return JSON.parse(readFileSync(join(packageRoot, 'dist/release/sbom.cdx.json'), 'utf8')) as BillOfMaterials;
}

test('the notices and the bill of materials name every package that is installed', () => {
  const notices = readFileSync(join(packageRoot, 'dist/release/THIRD-PARTY-NOTICES.txt'), 'utf8');
  const titles = new Set(notices.split('\n'));
  const sbom = billOfMaterials();
  assert.equal(sbom.bomFormat, 'CycloneDX');
  assert.deepEqual(
    [sbom.metadata.component.name, sbom.metadata.component.version],
    ['teranode-p2p', own.version],
  );
  const purls = new Set(sbom.components.map(({ purl }) => purl.split('?')[0]));
  for (const { name, version } of installed(node).filter((each) => each.name !== 'teranode-p2p')) {
    assert.ok(titles.has(`${name} ${version}`), `no notice of ${name} ${version}`);
    assert.ok(purls.has(`pkg:npm/${name.replace('@', '%40')}@${version}`), `no component ${name} ${version}`);
  }
  for (const { purl, licenses } of sbom.components) assert.ok((licenses ?? []).length > 0, purl);
  for (const bundled of ['libp2p', 'gossipsub'])
    assert.match(JSON.stringify(sbom), new RegExp(`"name":"[^"]*${bundled}"`));
  assert.doesNotMatch(JSON.stringify(sbom), /typescript|esbuild/);
});

test('what the README leads to is in the package, and help comes from it', async () => {
  const readme = readFileSync(join(packageRoot, 'README.md'), 'utf8');
  const links = [...readme.matchAll(/\]\(((?!https?:|#)[^)#]+)/g)].map(([, path = '']) => path);
  assert.ok(links.length > 5);
  for (const path of links) assert.ok(existsSync(join(packageRoot, path)), path);
  const { stdout } = await run(join(node, 'node_modules/.bin/teranode-p2p'), ['--help'], {
    cwd: node,
    env: ENV,
  });
  assert.match(stdout, /^Usage: teranode-p2p /);
});

test('the installed server becomes ready, serves a program of the client’s package, and stops', async (context) => {
  const server: ServerProcess = launchServer(context, {
    root: packageRoot,
    directory: temporaryDirectory(context),
  });
  const { ports } = await server.ready();

  const names = installed(client).map(({ name }) => name);
  assert.deepEqual(
    names.filter((name) => /libp2p|kafka|uws|uwebsockets|level|sodium|pino/i.test(name)),
    [],
  );
  const program = readmeBlocks('js').find((code) => code.includes('PeerServiceClient')) ?? '';
  assert.match(program, /from 'teranode-p2p-client'/);
  writeFileSync(join(client, 'operator.mjs'), program.replace('localhost:9904', `127.0.0.1:${ports.grpc}`));
  copyFileSync(join(server.directory, 'admin.key'), join(client, 'admin.key'));
  const { stdout } = await run(process.execPath, ['operator.mjs'], { cwd: client, env: ENV });
  assert.match(stdout, /^203\.0\.113\.7 until 20\S+Z by operator$/m);

  writeFileSync(
    join(client, 'program.ts'),
    `import { type Peer, PeerServiceClient } from 'teranode-p2p-client';
const peers: readonly Peer[] = await new PeerServiceClient('x:1').getPeers();
// @ts-expect-error: a subject is text.
const wrong = () => new PeerServiceClient('x:1').banPeer(peers.length);
console.log(wrong);
`,
  );
  writeFileSync(
    join(client, 'package.json'),
    JSON.stringify({ ...JSON.parse(readFileSync(join(client, 'package.json'), 'utf8')), type: 'module' }),
  );
  const types = ['--types', 'node', '--typeRoots', resolve('node_modules/@types')];
  const options = ['--strict', '--noEmit', '--target', 'es2023', '--module', 'nodenext', ...types];
  await run(process.execPath, [resolve('node_modules/typescript/bin/tsc'), ...options, 'program.ts'], {
    cwd: client,
    env: ENV,
  });

  server.child.kill('SIGTERM');
  assert.deepEqual(await within(server.exit, 60_000, 'a stop'), { code: 0, signal: null });
});

/** A collector that takes OTLP over gRPC, and counts what it took; `env` sends it everything, at once. */
async function startGrpcCollector(
  context: TestContext,
): Promise<{ env: Readonly<Record<string, string>>; taken: () => number }> {
  let taken = 0;
  const server = new Server();
  const bytes = (value: Buffer) => value;
  server.addService(
    {
      Export: {
        path: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
        requestStream: false,
        responseStream: false,
        requestSerialize: bytes,
        requestDeserialize: bytes,
        responseSerialize: bytes,
        responseDeserialize: bytes,
      },
    },
    {
      Export: (({ request }, answer) => {
        if (request.includes('p2p_api.PeerService/GetPeers')) taken++;
        answer(null, Buffer.alloc(0));
      }) as handleUnaryCall<Buffer, Buffer>,
    },
  );
  const port = await new Promise<number>((done, fail) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? done(bound) : fail(error),
    );
  });
  context.after(() => server.forceShutdown());
  return {
    env: {
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
      OTEL_BSP_SCHEDULE_DELAY: '100',
    },
    taken: () => taken,
  };
}

/** Calls PeerService of an installed server with `env`, and waits until a collector has the span of the call. */
async function callTraced(
  context: TestContext,
  env: Readonly<Record<string, string>>,
  taken: () => boolean,
): Promise<void> {
  const server = launchServer(context, { root: packageRoot, directory: temporaryDirectory(context), env });
  const { ports } = await server.ready();
  const caller = new PeerServiceClient(`127.0.0.1:${ports.grpc}`);
  context.after(() => caller.close());
  await caller.getPeers();
  await waitFor(taken, { what: 'the span of a call', timeoutMs: 60_000 });
  server.child.kill('SIGTERM');
  assert.deepEqual(await within(server.exit, 60_000, 'a stop'), { code: 0, signal: null });
}

for (const protocol of ['http/json', 'http/protobuf'])
  test(`the installed server tells a collector of its calls, as ${protocol}`, async (context) => {
    const collector = await startCollector(context);
    await callTraced(context, { ...collector.env, OTEL_EXPORTER_OTLP_PROTOCOL: protocol }, () =>
      collector.bodies.some((body) => body.includes('p2p_api.PeerService/GetPeers')),
    );
  });

test('the installed server tells a collector of its calls, over gRPC', async (context) => {
  const collector = await startGrpcCollector(context);
  await callTraced(context, collector.env, () => collector.taken() > 0);
});
