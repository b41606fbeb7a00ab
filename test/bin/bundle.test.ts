/** `dist/app`, which is what runs: whole, with one copy of each library, and readable where it fails. */

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { PATCHES, type Patch } from '../../src/main/node/patches/index.js';
import { launchServer } from '../support/server-process.js';
import { temporaryDirectory } from '../support/temporary.js';
import { within } from '../support/wait.js';

const APP = resolve('dist/app');
const { NODE_V8_COVERAGE: _, NODE_TEST_CONTEXT: __, ...ENV } = process.env;

interface SourceMap {
  readonly sources: readonly string[];
}

/** Packages by the places from which the bundle took files of theirs. */
function bundledPackages(): Map<string, Set<string>> {
  const places = new Map<string, Set<string>>();
  for (const file of readdirSync(APP, { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.map')) continue;
    const { sources } = JSON.parse(readFileSync(join(APP, file), 'utf8')) as SourceMap;
    for (const source of sources) {
      const [, place, name] = /^(.*node_modules\/)((?:@[^/]+\/)?[^/]+)\//.exec(source) ?? [];
      if (place === undefined || name === undefined) continue;
      const known = places.get(name) ?? new Set();
      places.set(name, known.add(place.slice(place.indexOf('node_modules/'))));
    }
  }
  return places;
}

/** What the patches lean on, but for the cipher, which its library loads from beside itself. */
const PATCHED = [
  ...new Set(Object.values<Patch>(PATCHES).flatMap(({ leansOn }) => Object.keys(leansOn))),
].filter((name) => name !== 'xsalsa20');

/** An environment in which each module that a process or thread loads is written down, and what was. */
function watchLoading(context: TestContext): { readonly env: NodeJS.ProcessEnv; files(): string[] } {
  const directory = temporaryDirectory(context);
  const loaded = join(directory, 'loaded');
  const hooks = join(directory, 'hooks.mjs');
  const register = join(directory, 'register.mjs');
  writeFileSync(loaded, '');
  writeFileSync(
    hooks,
    `import { appendFileSync } from 'node:fs';
export async function load(url, context, next) {
  appendFileSync(${JSON.stringify(loaded)}, url + '\\n');
  return next(url, context);
}
`,
  );
  writeFileSync(
    register,
    `import { register } from 'node:module';\nregister(${JSON.stringify(pathToFileURL(hooks).href)});\n`,
  );
  return {
    env: { NODE_OPTIONS: `--import=${pathToFileURL(register).href}` },
    files: () => readFileSync(loaded, 'utf8').split('\n'),
  };
}

test('no library that is reached into is bundled twice, or loaded from its package beside the bundle', async (context) => {
  const bundled = bundledPackages();
  for (const name of PATCHED) assert.equal(bundled.get(name)?.size, 1, name);

  const { env, files: filesOf } = watchLoading(context);
  const run = launchServer(context, {
    env: { ...env, NODE_V8_COVERAGE: '' },
  });
  await run.ready();
  run.child.kill('SIGTERM');
  assert.equal((await within(run.exit, 30_000, 'the end')).code, 0, run.stderr);
  const files = filesOf();
  assert.ok(
    files.some((file) => file.includes('/dist/app/workers/checker.js')),
    'the hook sees all threads',
  );
  assert.deepEqual(
    files.filter((file) => file.startsWith(pathToFileURL(resolve('dist/src')).href)),
    [],
  );
  const packages = new Set(
    files.flatMap((file) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1] ?? []),
  );
  context.diagnostic(`loaded from node_modules: ${[...packages].join(', ')}`);
  assert.deepEqual(
    [...PATCHED, '@libp2p/interface', 'prom-client', 'pino'].filter((name) => packages.has(name)),
    [],
  );
});

/** Files of the bundle that have something of a package's in them. */
function filesWith(name: RegExp): Set<string> {
  const found = new Set<string>();
  for (const file of readdirSync(APP, { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.map')) continue;
    const { sources } = JSON.parse(readFileSync(join(APP, file), 'utf8')) as SourceMap;
    if (sources.some((source) => name.test(source)))
      found.add(pathToFileURL(join(APP, file.slice(0, -'.map'.length))).href);
  }
  return found;
}

test('nothing of OpenTelemetry is loaded while it is off; where it is on it comes from the bundle, with the exporter that is asked for', async (context) => {
  const ofSdk = filesWith(/node_modules\/@opentelemetry\/sdk-trace/);
  const exporters = {
    grpc: filesWith(/node_modules\/@opentelemetry\/exporter-trace-otlp-grpc\//),
    'http/json': filesWith(/node_modules\/@opentelemetry\/exporter-trace-otlp-http\//),
    'http/protobuf': filesWith(/node_modules\/@opentelemetry\/exporter-trace-otlp-proto\//),
  };
  for (const protocol of [undefined, 'grpc', 'http/json', 'http/protobuf'] as const) {
    const { env, files: filesOf } = watchLoading(context);
    const traces: Record<string, string> =
      protocol === undefined
        ? {}
        : {
            OTEL_TRACES_EXPORTER: 'otlp',
            OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
            // Where nothing listens.
            OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9',
          };
    const run = launchServer(context, { env: { ...env, ...traces, NODE_V8_COVERAGE: '' } });
    await run.ready();
    run.child.kill('SIGTERM');
    assert.equal((await within(run.exit, 30_000, 'the end')).code, 0, run.stderr);
    const files = filesOf();
    const loads = (of: Iterable<string>) => [...of].some((file) => files.includes(file));
    assert.equal(loads(ofSdk), protocol !== undefined, `${protocol}`);
    for (const [name, of] of Object.entries(exporters)) {
      assert.ok(of.size > 0, name);
      assert.equal(loads(of), protocol === name, `${name} with ${protocol}`);
    }
    // prom-client, which is bundled too, has the API alone.
    assert.deepEqual(
      files.filter((file) => file.includes('/node_modules/@opentelemetry/')),
      [],
    );
  }
});

test('it runs wherever the checkout is put, and a stack names the sources', (context) => {
  // A folder of the same name above it.
  const root = join(temporaryDirectory(context), 'app', 'server');
  mkdirSync(root, { recursive: true });
  for (const name of ['bin', 'proto', 'package.json']) cpSync(name, join(root, name), { recursive: true });
  cpSync(APP, join(root, 'dist/app'), { recursive: true });
  symlinkSync(resolve('node_modules'), join(root, 'node_modules'));
  const command = (...args: string[]) =>
    execFileSync(process.execPath, ['--enable-source-maps', join(root, 'bin/teranode-p2p.mjs'), ...args], {
      cwd: root,
      env: ENV,
      encoding: 'utf8',
      stdio: 'pipe',
    });
  assert.match(command('--help'), /P2P server for a Bitcoin SV Teranode/);
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  assert.equal(command('--version').trim(), version);
  assert.throws(
    () => command('--verbose', 'health', '--set', 'health_check_httpListenAddress=127.0.0.1:1'),
    /does not answer[\s\S]*src\/main\/cli\/health\.ts:\d+/,
  );
});

for (const args of [['--help'], ['health', '--set', 'health_check_httpListenAddress=127.0.0.1:1']]) {
  test(`\`${args[0]}\` loads nothing of the server`, (context) => {
    const { env, files } = watchLoading(context);
    spawnSync(process.execPath, [resolve('bin/teranode-p2p.mjs'), ...args], { env: { ...ENV, ...env } });
    const own = new Set(files().filter((file) => file.startsWith(pathToFileURL(APP).href)));
    const bytes = [...own].reduce((sum, file) => sum + statSync(fileURLToPath(file)).size, 0);
    assert.ok(bytes > 100_000, 'it has run');
    // With gRPC it was 1.8 MB; the server is 4.
    assert.ok(bytes < 700_000, `${bytes} bytes in ${own.size} files`);
  });
}

test('a bundling that fails says why, and leaves what was made before', (context) => {
  const folder = temporaryDirectory(context);
  for (const path of ['bin', 'dist/src/workers', 'dist/app'])
    mkdirSync(join(folder, path), { recursive: true });
  cpSync(resolve('bin/bundle.mjs'), join(folder, 'bin/bundle.mjs'));
  symlinkSync(resolve('node_modules'), join(folder, 'node_modules'));
  writeFileSync(join(folder, 'dist/app/made'), 'before');
  const run = spawnSync(process.execPath, ['bin/bundle.mjs'], {
    cwd: folder,
    encoding: 'utf8',
    timeout: 60_000,
  });
  assert.equal(run.status, 1);
  assert.match(run.stderr, /Could not resolve "main\/server\/server\.js"/);
  assert.equal(readFileSync(join(folder, 'dist/app/made'), 'utf8'), 'before');
});
