/** `dist/app`, which is what runs: whole, with one copy of each library, and readable where it fails. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
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

/** What this server reaches into, by class or by file; see docs/architecture.md. */
const PATCHED = [
  '@chainsafe/libp2p-gossipsub',
  '@libp2p/yamux',
  '@libp2p/identify',
  '@libp2p/circuit-relay-v2',
  '@libp2p/kad-dht',
  '@libp2p/dcutr',
  'libp2p',
];

test('no library that is reached into is bundled twice, or loaded from its package beside the bundle', async (context) => {
  const bundled = bundledPackages();
  for (const name of PATCHED) assert.equal(bundled.get(name)?.size, 1, name);

  // Every file that a process or thread of a running server loads, from its first module on.
  const directory = temporaryDirectory(context);
  const loaded = join(directory, 'loaded');
  writeFileSync(loaded, '');
  writeFileSync(
    join(directory, 'hooks.mjs'),
    `import { appendFileSync } from 'node:fs';
export async function load(url, context, next) { appendFileSync(${JSON.stringify(loaded)}, url + '\\n'); return next(url, context); }`,
  );
  writeFileSync(
    join(directory, 'register.mjs'),
    `import { register } from 'node:module';\nregister(${JSON.stringify(`file://${join(directory, 'hooks.mjs')}`)});`,
  );
  const run = launchServer(context, {
    env: { NODE_OPTIONS: `--import=file://${join(directory, 'register.mjs')}`, NODE_V8_COVERAGE: '' },
  });
  await run.ready();
  run.child.kill('SIGTERM');
  assert.equal((await within(run.exit, 30_000, 'the end')).code, 0, run.stderr);
  const files = readFileSync(loaded, 'utf8').split('\n');
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
