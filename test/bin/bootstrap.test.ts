import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type TestContext, test } from 'node:test';
import { temporaryDirectory } from '../support/temporary.js';

const { NODE_V8_COVERAGE: _, NODE_TEST_CONTEXT: __, npm_execpath: ___, ...ENV } = process.env;

/** A small project with this one's bin, a "compiler" that copies and an "npm" that installs it. */
function project(
  context: TestContext,
  { npmFails = false, folder = '' } = {},
): { root: string; env: NodeJS.ProcessEnv } {
  const root = join(temporaryDirectory(context), folder);
  cpSync('bin', join(root, 'bin'), { recursive: true });
  mkdirSync(join(root, 'src/main/cli'), { recursive: true });
  mkdirSync(join(root, 'path'));
  // A "bundler" that copies as well.
  const bundler = "import { cpSync } from 'node:fs';\ncpSync('dist/src', 'dist/app', { recursive: true });\n";
  writeFileSync(join(root, 'bin/bundle.mjs'), bundler);
  writeFileSync(join(root, 'bin/client-package.mjs'), '');
  const program = 'console.log(JSON.stringify({ args: process.argv.slice(2), cwd: process.cwd() }));\n';
  writeFileSync(join(root, 'src/main/cli/index.ts'), program);
  writeFileSync(join(root, 'package.json'), '{"type":"module"}');
  const packages = { '': {}, 'node_modules/typescript': { version: '1.0.0' } };
  writeFileSync(join(root, 'package-lock.json'), JSON.stringify({ packages }));
  const npm = npmFails
    ? '#!/bin/sh\necho "npm error network unreachable" >&2\nexit 1\n'
    : `#!/bin/sh
mkdir -p node_modules/typescript/bin node_modules/@bufbuild/buf/bin
echo "$@" >> npm-calls
cp package-lock.json node_modules/.package-lock.json
cat > node_modules/typescript/bin/tsc <<'JS'
const { appendFileSync, cpSync } = require('node:fs');
appendFileSync('builds', process.argv.includes('client') ? 'c' : 's');
cpSync('src', 'dist/src', { recursive: true });
cpSync('src/main/cli/index.ts', 'dist/src/main/cli/index.js');
JS
echo > node_modules/@bufbuild/buf/bin/buf
`;
  writeFileSync(join(root, 'path/npm'), npm, { mode: 0o755 });
  return { root, env: { ...ENV, PATH: `${join(root, 'path')}:${process.env.PATH}` } };
}

const bootstrap = (root: string, env: NodeJS.ProcessEnv, ...args: string[]) =>
  spawnSync(process.execPath, [join(root, 'bin/bootstrap.mjs'), ...args], {
    cwd: root,
    env,
    encoding: 'utf8',
  });

test('a fresh checkout is installed and built once, again only when its lockfile or sources change', (context) => {
  const { root, env } = project(context);
  const first = bootstrap(root, env, 'devnet', '--json');
  assert.equal(first.status, 0, first.stderr);
  assert.deepEqual(JSON.parse(first.stdout).args, ['devnet', '--json']);
  assert.match(first.stderr, /✓ Installing packages.*\n.*\n✓ Building/s);
  assert.match(readFileSync(join(root, 'npm-calls'), 'utf8'), /^ci --include=dev/);

  const second = bootstrap(root, env, 'devnet');
  assert.equal(second.status, 0);
  assert.equal(second.stderr, '', 'nothing to do, nothing to say');

  writeFileSync(join(root, 'src/added.ts'), 'export {};\n');
  assert.match(bootstrap(root, env, 'prepare').stderr, /^Building …\n✓ Building/);
  // The consumers' library, then the server that imports it.
  assert.equal(readFileSync(join(root, 'builds'), 'utf8'), 'cs'.repeat(2));

  const packages = { '': {}, 'node_modules/typescript': { version: '2.0.0' } };
  writeFileSync(join(root, 'package-lock.json'), JSON.stringify({ packages }));
  assert.match(bootstrap(root, env, 'prepare').stderr, /Installing packages/);
});

test('packages that somebody else installed are used as they are', (context) => {
  const { root, env } = project(context);
  execFileSync('npm', ['ci'], { cwd: root, env });
  const { status, stderr } = bootstrap(root, env, 'prepare');
  assert.equal(status, 0, stderr);
  assert.equal(readFileSync(join(root, 'npm-calls'), 'utf8'), 'ci\n');
});

test('a linked node_modules is never touched', (context) => {
  const { root, env } = project(context);
  const other = temporaryDirectory(context);
  symlinkSync(other, join(root, 'node_modules'));
  const { status, stderr } = bootstrap(root, env, 'prepare');
  assert.equal(status, 1);
  assert.match(stderr, /development packages are not installed/);
  assert.equal(existsSync(join(root, 'npm-calls')), false);
});

test('a failed install says what npm said and what to look at, without a stack', (context) => {
  const { root, env } = project(context, { npmFails: true });
  const { status, stderr, stdout } = bootstrap(root, env, 'devnet');
  assert.equal(status, 1);
  assert.equal(stdout, '');
  assert.match(stderr, /npm ci failed\.\n\nnpm error network unreachable\n\nCheck that/);
  assert.doesNotMatch(stderr, /\n {4}at /);
});

test('a Node that is too old is told so in one line', () => {
  const script = "import('./bin/node-version.mjs').then((m) => m.checkNodeVersion('18.19.0'))";
  const { status, stderr } = spawnSync(process.execPath, ['-e', script], {
    cwd: resolve('.'),
    encoding: 'utf8',
  });
  assert.equal(status, 1);
  assert.match(stderr, /^Node 20\.12 or later is needed; this is 18\.19\.0 \(.*\)\.\n$/);
});

test('a checkout may be in a folder of any name', (context) => {
  const { root, env } = project(context, { folder: 'a b#c%20d?e' });
  const { status, stdout, stderr } = bootstrap(root, env, 'devnet', '--json');
  assert.equal(status, 0, stderr);
  assert.deepEqual(JSON.parse(stdout).args, ['devnet', '--json']);
});

test('runs at the same moment install and build once', async (context) => {
  const { root, env } = project(context);
  const codes = await Promise.all(
    [1, 2, 3].map(
      () =>
        new Promise((resolve) => {
          const child = spawn(process.execPath, [join(root, 'bin/bootstrap.mjs'), 'devnet'], {
            env,
            stdio: 'ignore',
          });
          child.once('close', resolve);
        }),
    ),
  );
  assert.deepEqual(codes, [0, 0, 0]);
  assert.equal(readFileSync(join(root, 'npm-calls'), 'utf8').trim().split('\n').length, 1);
  assert.equal(readFileSync(join(root, 'builds'), 'utf8'), 'cs');
  assert.equal(existsSync(join(root, '.preparing')), false);
});

test('the lock of a run that was killed holds nobody up', (context) => {
  const { root, env } = project(context);
  const gone = spawnSync(process.execPath, ['-e', 'console.log(process.pid)'], { encoding: 'utf8' });
  writeFileSync(join(root, '.preparing'), gone.stdout.trim());
  const { status, stderr } = bootstrap(root, env, 'prepare');
  assert.equal(status, 0, stderr);
  assert.equal(existsSync(join(root, '.preparing')), false);
});

test('a build that failed half-way is made again, also when the sources are what they were before it', (context) => {
  const { root, env } = project(context);
  assert.equal(bootstrap(root, env, 'prepare').status, 0);
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const working = readFileSync(tsc, 'utf8');
  writeFileSync(join(root, 'src/added.ts'), 'export {};\n');
  writeFileSync(
    tsc,
    "require('node:fs').writeFileSync('dist/src/main/cli/index.js', 'half'); process.exit(1);",
  );
  assert.equal(bootstrap(root, env, 'prepare').status, 1);
  rmSync(join(root, 'src/added.ts'));
  writeFileSync(tsc, working);
  const { status, stdout, stderr } = bootstrap(root, env, 'devnet');
  assert.equal(status, 0, stderr);
  assert.deepEqual(JSON.parse(stdout).args, ['devnet']);
});
