/**
 * What a stranger does: clones the repository, types `npm start`, watches, and presses Ctrl-C. Needs the development
 * network's default ports, so it runs alone (`.ci/smoke`), not in `npm test`.
 */

import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import protobuf from 'protobufjs';
import { WebSocket } from 'ws';
import type { NodeStatusReport } from '../../src/shared/status.js';
import { readmeBlocks } from '../support/readme.js';
import { temporaryDirectory } from '../support/temporary.js';
import { waitFor, within } from '../support/wait.js';

const PORTS = [0, 10, 20].flatMap((n) => [9904 + n, 9905 + n, 9906 + n, 8000 + n, 9091 + n]);
const INSTALL_MS = 300_000;
const READY_MS = 60_000;

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('close', () => socket.destroy());
    socket.unref();
  });
}

function descendantsAlive(group: number): boolean {
  try {
    process.kill(-group, 0);
    return true;
  } catch {
    return false;
  }
}

test('two commands from a fresh clone: blocks mined by node 1 reach node 3, and Ctrl-C leaves nothing', async (context) => {
  const clone = join(temporaryDirectory(context), 'clone');
  execFileSync('git', ['clone', '--quiet', '--no-hardlinks', process.cwd(), clone]);
  let child: ChildProcess | undefined;
  let output = '';
  context.after(() => {
    context.diagnostic(output.slice(-6000));
    if (child?.pid !== undefined && descendantsAlive(child.pid)) process.kill(-child.pid, 'SIGKILL');
  });
  // `NODE_V8_COVERAGE` and the like are this run's, not the stranger's.
  const { NODE_V8_COVERAGE: _, NODE_OPTIONS: __, NODE_TEST_CONTEXT: ___, ...env } = process.env;
  child = spawn('npm', ['start'], { cwd: clone, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (data) => (output += data));
  const exited = once(child, 'exit');

  await waitFor(
    async () => {
      assert.equal(child?.exitCode, null, `npm start ended early:\n${output}`);
      const answer = await fetch('http://localhost:8020/health/readiness').catch(() => undefined);
      return answer?.status === 200;
    },
    { timeoutMs: INSTALL_MS + READY_MS, everyMs: 200, what: 'node 3 to be ready' },
  );

  const miner = await waitFor(
    async () => {
      const status = await fetch('http://localhost:9906/api/status').catch(() => undefined);
      return status?.status === 200 && ((await status.json()) as NodeStatusReport).node.id;
    },
    { timeoutMs: READY_MS, everyMs: 200, what: 'the status of node 1' },
  );
  const feed = new WebSocket('ws://localhost:9926/p2p-ws');
  const frames: { type: string; hash: string; peer_id: string; base_url: string }[] = [];
  feed.on('message', (data) => frames.push(JSON.parse(String(data))));
  const block = await waitFor(
    () => frames.find((frame) => frame.type === 'block' && frame.peer_id === miner),
    {
      timeoutMs: 60_000,
      what: "a block of node 1 in node 3's feed",
    },
  );
  await waitFor(() => frames.some((frame) => frame.type === 'subtree' && frame.peer_id === miner), {
    timeoutMs: 60_000,
    what: "a subtree of node 1 in node 3's feed",
  });
  assert.equal(frames[0]?.type, 'node_status');
  feed.terminate();

  const page = await (await fetch('http://localhost:9906/')).text();
  assert.match(page, /<title>/);

  const { records } = JSON.parse(
    execFileSync(
      process.execPath,
      ['bin/teranode-p2p.mjs', 'records', 'blocks', '--json', '--hex', '--set', 'DATADIR=data/devnet/node3'],
      { cwd: clone, encoding: 'utf8' },
    ).replace(/^([\s\S]*)$/, (lines) => `{"records":[${lines.trim().split('\n').join(',')}]}`),
  ) as { records: { key: string; value: string }[] };
  const type = (await protobuf.load(join(clone, 'proto/kafkamessage.proto'))).lookupType(
    'kafkamessage.KafkaBlockTopicMessage',
  );
  const decoded = records.map((record) => type.toObject(type.decode(Buffer.from(record.value, 'hex'))));
  const recorded = decoded.find((record) => record.hash === block.hash && record.peerId === miner);
  assert.equal(recorded?.URL, block.base_url);
  assert.ok(records.some((record) => Buffer.from(record.key, 'hex').toString() === block.hash));

  // The README's program, as a reader comes to it: what is to be typed is typed, what is to be saved is saved.
  for (const typed of readmeBlocks('sh')) {
    execFileSync('bash', ['-ec', typed], { cwd: clone, env, stdio: ['ignore', 'pipe', 'pipe'] });
  }
  const operator = join(clone, '../operator');
  const program = readmeBlocks('js').find((code) => code.includes('PeerServiceClient')) ?? '';
  writeFileSync(join(operator, 'operator.mjs'), program);
  const said = execFileSync(process.execPath, ['operator.mjs'], { cwd: operator, env, encoding: 'utf8' });
  assert.match(
    said,
    /^12D3KooW\w+ \/ip4\/127\.0\.0\.1\/.*\n(?:.*\n)*203\.0\.113\.7 until 20\S+Z by operator\n$/,
  );

  // It shows a block, is killed, and goes on with the next when it is started again.
  const consumer = join(clone, '../consumer');
  writeFileSync(
    join(consumer, 'feed.mjs'),
    readmeBlocks('js').find((code) => code.includes('teranode-p2p-feed')) ?? '',
  );
  const heights: number[] = [];
  for (const blocks of [2, 4]) {
    const reader = spawn(process.execPath, ['feed.mjs'], {
      cwd: consumer,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    context.after(() => reader.kill('SIGKILL'));
    let shown = '';
    for (const stream of [reader.stdout, reader.stderr]) stream.on('data', (data) => (shown += data));
    const heightsShown = () =>
      [...shown.matchAll(/^\S+Z block (\d+) [0-9a-f]{64}$/gm)].map(([, height]) => Number(height));
    await waitFor(() => heights.length + heightsShown().length >= blocks, {
      timeoutMs: 60_000,
      what: 'blocks',
    }).catch((error: Error) => {
      throw new Error(`${error.message}: ${shown}`);
    });
    reader.kill('SIGKILL');
    heights.push(...heightsShown());
  }
  // What was being shown when it was killed may come again.
  const distinct = [...new Set(heights)];
  assert.deepEqual(
    distinct,
    distinct.map((_, index) => Number(distinct[0]) + index),
    String(heights),
  );

  process.kill(-(child.pid as number), 'SIGINT');
  const [code] = await within(exited, 30_000, 'Ctrl-C');
  assert.equal(code, 0, output.slice(-4000));
  await waitFor(() => !descendantsAlive(child?.pid as number), {
    timeoutMs: 10_000,
    what: 'every process to be gone',
  });
  for (const port of PORTS) assert.equal(await isListening(port), false, `port ${port} is still open`);
});
