/** The package as another program has it: packed, unpacked beside it, imported by its name. */

import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { ADMIN_KEY, startService } from '../main/grpc/service-fixture.js';
import { createPeer } from '../support/peer.js';
import { readmeBlocks } from '../support/readme.js';
import { temporaryDirectory } from '../support/temporary.js';

const { NODE_V8_COVERAGE: _, NODE_TEST_CONTEXT: __, ...ENV } = process.env;
const run = (file: string, args: string[], cwd: string) =>
  execFileSync(file, args, { cwd, env: ENV, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

/** A program's folder with a packed package in its `node_modules`, and the checkout's packages for that. */
function consumer(
  context: TestContext,
  name: string,
  source = '.',
): { root: string; unpacked: string; packed: readonly string[] } {
  const root = temporaryDirectory(context);
  run('npm', ['pack', source, '--ignore-scripts', '--pack-destination', root], process.cwd());
  const tarball = readdirSync(root).find((name) => name.endsWith('.tgz')) ?? '';
  const packed = run('tar', ['-xvzf', tarball], root).trim().split('\n');
  const unpacked = join(root, 'node_modules', name);
  mkdirSync(join(root, 'node_modules'));
  renameSync(join(root, 'package'), unpacked);
  symlinkSync(resolve('node_modules'), join(unpacked, 'node_modules'));
  writeFileSync(join(root, 'package.json'), '{"type":"module"}');
  return { root, unpacked, packed };
}

test('the README’s program runs as it stands, in a folder with nothing but the client’s package and the key', async (context) => {
  const { root } = consumer(context, 'teranode-p2p-client', './dist/client');
  const { address, client, peer } = await startService(context);
  const other = await createPeer({ context });
  await other.dial(peer.address);
  const program = readmeBlocks('js').find((code) => code.includes('PeerServiceClient')) ?? '';
  writeFileSync(join(root, 'admin.key'), `${ADMIN_KEY}\n`);
  rmSync(join(root, 'package.json'));
  // The one thing that is the test's: a port of its own.
  writeFileSync(join(root, 'operator.mjs'), program.replace('localhost:9904', address));
  const { stdout } = await promisify(execFile)(process.execPath, ['operator.mjs'], { cwd: root, env: ENV });
  const [peers, bans] = stdout.split('\n');
  assert.ok(peers?.startsWith(`${other.id} /ip4/127.0.0.1/`), stdout);
  assert.match(bans ?? '', /^203\.0\.113\.7 until 20\S+Z by operator$/);
  assert.equal(await client.isBanned('203.0.113.7'), true);
});

test('another program imports the client of PeerService by the package’s name, with its types', async (context) => {
  const { root, unpacked, packed } = consumer(context, 'teranode-p2p');
  const { address, client } = await startService(context);
  writeFileSync(
    join(root, 'program.ts'),
    `import { type Peer, PeerServiceClient, RpcError } from 'teranode-p2p';
const node = new PeerServiceClient(${JSON.stringify(address)}, { adminKey: ${JSON.stringify(ADMIN_KEY)} });
const peers: readonly Peer[] = await node.getPeers();
const banned: boolean = await node.banPeer('203.0.113.7');
const refused: string = await node.banPeer('nobody').then(String, (error) => String(error instanceof RpcError));
// @ts-expect-error: a subject is text.
const wrong = () => node.banPeer(7);
console.log(JSON.stringify([peers.length, banned, refused, typeof wrong]));
node.close();
`,
  );
  const types = ['--types', 'node', '--typeRoots', resolve('node_modules/@types')];
  const options = ['--strict', '--target', 'es2023', '--module', 'nodenext', ...types];
  run(process.execPath, [resolve('node_modules/typescript/bin/tsc'), ...options, 'program.ts'], root);
  // Not synchronously: the service that it calls is in this process.
  const { stdout } = await promisify(execFile)(process.execPath, ['program.js'], { cwd: root, env: ENV });
  assert.deepEqual(JSON.parse(stdout), [0, true, 'true', 'function']);
  assert.equal(await client.isBanned('203.0.113.7'), true);

  const unwanted =
    /^package\/(?!package\.json|npm-shrinkwrap\.json|README\.md|CHANGELOG\.md|CONTRIBUTING\.md|LICENSE|client\/README\.md|bin\/|deploy\/|docs\/|dist\/(?:app|client\/src|release)\/|proto\/|src\/.*\/page\/)|client\/.*\.map$/;
  assert.deepEqual(
    packed.filter((name) => unwanted.test(name)),
    [],
  );
  const version = run(process.execPath, [join(unpacked, 'bin/teranode-p2p.mjs'), '--version'], root);
  assert.equal(version.trim(), JSON.parse(readFileSync('package.json', 'utf8')).version);
});
