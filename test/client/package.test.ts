/** The library as it is published: what is in it, for whom its types are good, how it loads and how small it bundles. */

import assert from 'node:assert/strict';
import { execFile, execFileSync, spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { SharedByTests, temporaryDirectory } from '../support/temporary.js';
import { waitFor } from '../support/wait.js';
import { ScriptedServer } from './scripted-server.js';

const { NODE_V8_COVERAGE: _, NODE_TEST_CONTEXT: __, ...ENV } = process.env;
const NAME = 'teranode-p2p-feed';
const run = (file: string, args: readonly string[], cwd: string) =>
  execFileSync(file, args, { cwd, env: ENV, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

interface Manifest {
  readonly version: string;
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>;
  readonly dependencies?: object;
}
const manifestAt = (path: string) => JSON.parse(readFileSync(path, 'utf8')) as Manifest;

const shared = new SharedByTests();
let root: string;
let unpacked: string;
let packed: string[];

/** Packed, and unpacked into the `node_modules` of an empty folder, without anything beside it. */
before(() => {
  root = temporaryDirectory(shared);
  run('npm', ['pack', './client', '--ignore-scripts', '--pack-destination', root], process.cwd());
  const tarball = readdirSync(root).find((name) => name.endsWith('.tgz')) ?? '';
  packed = run('tar', ['-xvzf', tarball], root).trim().split('\n');
  unpacked = join(root, 'node_modules', NAME);
  mkdirSync(join(root, 'node_modules'));
  renameSync(join(root, 'package'), unpacked);
  writeFileSync(join(root, 'package.json'), '{"type":"module"}');
});
after(() => shared.clean());

test('there is in it what it needs and nothing else, and it is of the server’s version', () => {
  const sources = readdirSync('client/src').map((name) => name.replace(/\.ts$/, ''));
  const examples = readdirSync('client/examples');
  assert.deepEqual(
    packed.map((path) => path.replace('package/', '')).sort(),
    [
      'LICENSE',
      'README.md',
      'package.json',
      ...examples.map((name) => `examples/${name}`),
      ...sources.flatMap((name) => [
        `src/${name}.ts`,
        ...['.js', '.js.map', '.d.ts', '.d.ts.map'].map((ending) => `dist/${name}${ending}`),
      ]),
    ].sort(),
  );
  const manifest = manifestAt(join(unpacked, 'package.json'));
  assert.equal(manifest.version, manifestAt('package.json').version);
  assert.equal(manifest.dependencies, undefined);
  for (const target of Object.values(manifest.exports).flatMap((each) =>
    typeof each === 'string' ? each : Object.values(each),
  ))
    assert.ok(packed.includes(join('package', target)), target);
  assert.equal(readFileSync('client/LICENSE', 'utf8'), readFileSync('LICENSE', 'utf8'));
  for (const [, link = ''] of readFileSync('client/README.md', 'utf8').matchAll(/\]\((examples[^)]*)\)/g))
    assert.ok(
      packed.some((path) => path.startsWith(`package/${link}`)),
      link,
    );
});

const PROGRAM = `
import { type BlockFrame, type CursorStore, feed, FeedError, type FeedEvent, type FrameEvent } from '${NAME}';
const store: CursorStore = { load: () => null, save: async () => {} };
const stop = { aborted: false, addEventListener() {}, removeEventListener() {} };
for await (const event of feed({ url: ['ws://a', 'ws://b'], kinds: ['block', 'rejected_tx'], cursor: store, since: new Date(0), signal: stop })) {
  if (event.type === 'block') {
    const hash: string = event.hash;
    const height: number | undefined = event.height;
    const cursor: string = event.cursor;
    const header: string | undefined = event.header;
    const block: BlockFrame = event;
    void [hash, height, cursor, header, block];
  } else if (event.type === 'gap') {
    const from: number | undefined = event.from;
    void from;
  } else if (event.type === 'switched') {
    const url: string = event.url;
    void url;
  }
  // @ts-expect-error: subtrees were not asked for.
  if (event.type === 'subtree') break;
}
for await (const event of feed({ url: 'ws://a', plain: true })) {
  // @ts-expect-error: there is no position without parameters.
  if (event.type === 'block') event.cursor;
}
const all: AsyncIterable<FeedEvent> = feed({ url: 'ws://a' });
const statuses: AsyncIterable<FrameEvent<'node_status'> | { type: 'gap' | 'epoch' | 'too_old' | 'switched' }> = feed({ url: 'ws://a', kinds: ['node_status'] });
// @ts-expect-error: no such kind.
feed({ url: 'ws://a', kinds: ['blok'] });
// @ts-expect-error: no such batch.
feed({ url: 'ws://a', batch: 70 });
const code: string = new FeedError('refused', 'no').code;
void [all, statuses, code];
`;

/** How programs are compiled that use it: the compiler's options, and what they hand in besides. */
const CONSUMERS: readonly (readonly [string, readonly string[], string])[] = [
  [
    'on Node',
    ['--module', 'nodenext', '--lib', 'es2023', '--types', 'node,ws'],
    "import { WebSocket } from 'ws';\nvoid feed({ url: '', WebSocket });",
  ],
  ['on Node 16’s rules', ['--module', 'node16', '--lib', 'es2022', '--types', 'node'], ''],
  [
    'in a browser, by a bundler',
    ['--module', 'esnext', '--moduleResolution', 'bundler', '--lib', 'es2022,dom', '--types', ''],
    'void feed({ url: location.href, WebSocket, signal: new AbortController().signal });',
  ],
  [
    'with nothing but the language',
    ['--module', 'esnext', '--moduleResolution', 'bundler', '--lib', 'es2022', '--types', ''],
    '',
  ],
];
for (const [who, options, more] of CONSUMERS)
  test(`its types are good ${who}, libraries checked too`, () => {
    const folder = temporaryDirectory(shared);
    mkdirSync(join(folder, 'node_modules', '@types'), { recursive: true });
    symlinkSync(unpacked, join(folder, 'node_modules', NAME));
    symlinkSync(resolve('node_modules/ws'), join(folder, 'node_modules', 'ws'));
    for (const name of ['node', 'ws'])
      symlinkSync(resolve('node_modules/@types', name), join(folder, 'node_modules/@types', name));
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
    writeFileSync(join(folder, 'program.ts'), PROGRAM + more);
    const common = [
      '--noEmit',
      '--strict',
      '--exactOptionalPropertyTypes',
      '--target',
      'es2022',
      '--skipLibCheck',
      String(who.startsWith('on Node')),
    ];
    const compiler = resolve('node_modules/typescript/bin/tsc');
    try {
      run(process.execPath, [compiler, ...common, ...options, 'program.ts'], folder);
    } catch (error) {
      assert.fail((error as { stdout: string }).stdout);
    }
  });

test('it loads by its name and follows a server, with nothing installed beside it but a WebSocket', async (context) => {
  const server = await ScriptedServer.listen(context);
  server.blocks(3);
  writeFileSync(
    join(root, 'program.mjs'),
    `import { feed } from '${NAME}';
const { WebSocket } = 'WebSocket' in globalThis ? globalThis : await import(${JSON.stringify(import.meta.resolve('ws'))});
let blocks = 0;
for await (const event of feed({ url: '${server.url}', cursor: 'oldest', WebSocket })) if (event.type === 'block' && ++blocks === 3) break;
console.log('blocks', blocks);
`,
  );
  const { stdout } = await promisify(execFile)(process.execPath, ['program.mjs'], { cwd: root, env: ENV });
  assert.equal(stdout, 'blocks 3\n');
});

test('the README’s program runs as it stands, and goes on where it was when it is started again', async (context) => {
  const server = await ScriptedServer.listen(context);
  const [, program = ''] = /```js\n([\s\S]*?)```/.exec(readFileSync('client/README.md', 'utf8')) ?? [];
  assert.ok(readFileSync('README.md', 'utf8').includes(program), 'the server’s README has the same');
  const folder = temporaryDirectory(context);
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(unpacked, join(folder, 'node_modules', NAME));
  symlinkSync(resolve('node_modules/ws'), join(folder, 'node_modules', 'ws'));
  // The one thing that is the test's: a port of its own.
  writeFileSync(join(folder, 'feed.mjs'), program.replace('localhost:9906', `127.0.0.1:${server.port}`));
  const start = () => {
    const child = spawn(process.execPath, ['feed.mjs'], {
      cwd: folder,
      env: ENV,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    context.after(() => child.kill('SIGKILL'));
    const said = { text: '', child };
    child.stdout.setEncoding('utf8').on('data', (text: string) => (said.text += text));
    return said;
  };
  const line = (hash: string, second: number) => `2026-11-30T01:00:0${second}.000Z block undefined ${hash}\n`;
  const first = start();
  await waitFor(() => server.live.length === 1, { what: 'the program', timeoutMs: 60_000 });
  const [one = '', two = ''] = server.blocks(2);
  await waitFor(() => first.text === line(one, 0) + line(two, 1), { what: 'both blocks' });
  const kept = join(folder, 'feed.cursor');
  await waitFor(() => existsSync(kept) && readFileSync(kept, 'utf8').startsWith('e1.2~'), {
    what: 'the cursor',
  });
  first.child.kill('SIGKILL');
  await waitFor(() => server.live.length === 0, { what: 'its end' });
  const [three = ''] = server.blocks(1);
  const second = start();
  await waitFor(() => second.text === line(three, 2), {
    what: 'the block of the meantime',
    timeoutMs: 60_000,
  });
});

/** Bytes of a program for a browser, minified. */
async function bundled(program: string): Promise<number> {
  const { outputFiles } = await build({
    stdin: { contents: program, resolveDir: root },
    bundle: true,
    write: false,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
  });
  return outputFiles[0]?.contents.length ?? 0;
}

test('a bundler takes what is used of it alone: nothing for what is not, and little for all', async () => {
  assert.equal(await bundled(`import '${NAME}'; import { feed } from '${NAME}';`), 0);
  const error = await bundled(`import { FeedError } from '${NAME}'; console.log(FeedError);`);
  const whole = await bundled(`import { feed } from '${NAME}'; console.log(feed);`);
  process.stdout.write(`# ${NAME}: ${whole} bytes bundled and minified\n`);
  assert.ok(error < 600, `${error} bytes for an error`);
  assert.ok(whole < 16_384, `${whole} bytes for all`);
});
