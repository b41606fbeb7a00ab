import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type TestContext, test } from 'node:test';
import { watchSettings } from '../../../src/main/cli/watch.js';
import { topicPrefix } from '../../../src/shared/bitcoin/networks.js';
import { hashOfToken } from '../../../src/shared/firehose/tokens.js';
import { loadSettings } from '../../../src/shared/settings/load.js';
import { hashOf, subtreeData } from '../../support/gossip.js';
import { upgradeStatus } from '../../support/notifications.js';
import { createPeer } from '../../support/peer.js';
import { settingsOf } from '../../support/settings.js';
import { temporaryDirectory } from '../../support/temporary.js';
import { waitFor, within } from '../../support/wait.js';

const BIN = resolve('bin/teranode-p2p.mjs');

interface Watching {
  readonly child: ChildProcess;
  readonly directory: string;
  stdout: string;
  stderr: string;
  readonly code: Promise<number | null>;
}

/** A real node's settings, in the folder in which the command is given: another key, another Kafka, another mode, and a feed by tokens. */
const REAL_NODE = [
  'kafka_blocksConfig=kafka://127.0.0.1:1/blocks',
  'blockchain_grpcAddress=127.0.0.1:1',
  'listen_mode=full',
  'p2p_feed_tokens_file=tokens',
  `p2p_private_key=${'11'.repeat(32)}`,
].join('\n');

function watch(context: TestContext, ...args: readonly string[]): Watching {
  const directory = temporaryDirectory(context);
  writeFileSync(join(directory, 'settings_local.conf'), REAL_NODE);
  writeFileSync(join(directory, 'tokens'), `one:${hashOfToken('secret')}:connections=1\n`);
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const child = spawn(process.execPath, [BIN, 'watch', ...args], {
    cwd: directory,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  context.after(() => child.kill('SIGKILL'));
  const run: Watching = {
    child,
    directory,
    stdout: '',
    stderr: '',
    code: new Promise((done) => child.once('close', done)),
  };
  child.stdout.on('data', (data) => (run.stdout += data));
  child.stderr.on('data', (data) => (run.stderr += data));
  return run;
}

const set = (values: Record<string, string>) =>
  Object.entries(values).flatMap(([key, value]) => ['--set', `${key}=${value}`]);

test('watch shows what is announced on the network that is named, from a server that only listens', async (context) => {
  const network = 'teratestnet';
  const topic = `${topicPrefix(settingsOf({ network }))}-subtree`;
  const peer = await createPeer({ context, topics: [topic] });
  const called = set({ p2p_bootstrap_peers: peer.address, p2p_allow_private_ips: 'true' });
  const run = watch(context, '--network', network, '--json', '-k', 'subtree', '-n', '2', ...called);
  let announced = 0;
  const code = await within(
    waitFor(
      async () => {
        if (run.stderr.includes('Connected to '))
          await peer.publish(topic, subtreeData(peer.id, announced++));
        return run.child.exitCode !== null;
      },
      { timeoutMs: 90_000, everyMs: 500, what: `two subtrees: ${run.stderr}` },
    ).then(() => run.code),
    100_000,
    'the end after two',
  );
  assert.equal(code, 0, run.stderr);
  // Nothing but frames is on standard output.
  const frames = run.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.equal(frames.length, 2, run.stdout);
  for (const frame of frames) {
    assert.equal(frame.type, 'subtree');
    assert.equal(frame.peer_id, peer.id);
    assert.ok(Array.from({ length: announced }, (_, n) => hashOf(n)).includes(String(frame.hash)));
  }
  assert.match(run.stderr, new RegExp(`Connected to ${peer.id.slice(0, 8)}…`));
});

test('watch says what was tried where no peer answers, and takes nothing from the settings of a real node', async (context) => {
  const peer = '12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp';
  const address = `/ip4/127.0.0.1/tcp/1/p2p/${peer}`;
  const called = set({ p2p_bootstrap_peers: address, p2p_allow_private_ips: 'true' });
  const run = watch(context, '--data', 'here', ...called);
  const page = await waitFor(() => /http:\/\/127\.0\.0\.1:\d+/.exec(run.stderr)?.[0], {
    what: 'the page',
    timeoutMs: 60_000,
  });
  const status = (await (await fetch(`${page}/api/status`)).json()) as {
    node: { id: string; network: string; listenMode: string };
  };
  assert.equal(status.node.network, 'mainnet');
  assert.equal(status.node.listenMode, 'listen_only');
  await waitFor(() => run.stderr.includes('Tried:'), { what: 'what was tried', timeoutMs: 60_000 });
  const [, tried = ''] = run.stderr.split('Tried:');
  assert.ok(tried.includes(`${address} cannot be reached: `), run.stderr);
  assert.match(tried, /ECONNREFUSED/);
  assert.match(tried, /--set p2p_bootstrap_peers=/, 'what to do');
  assert.equal(run.stdout, '');
  run.child.kill('SIGINT');
  assert.equal(await within(run.code, 30_000, 'the end'), 0, run.stderr);
  await assert.rejects(fetch(`${page}/health`), 'the server has gone with it');
});

test('watch whose own feed wants a token takes one, and says so where it has none', async (context) => {
  const called = set({ p2p_bootstrap_peers: '', p2p_feed_tokens_file: 'tokens' });
  const none = watch(context, ...called);
  assert.equal(await within(none.code, 60_000, 'the end'), 1);
  assert.match(
    none.stderr,
    /error: ws:\S+: This server wants a token\.\nGive one with --token, or as P2P_FEED_TOKEN/,
  );
  const run = watch(context, ...called, '--token', 'secret');
  const feed = await waitFor(() => /127\.0\.0\.1:\d+/.exec(run.stderr)?.[0], {
    what: 'the page',
    timeoutMs: 60_000,
  });
  // It is the one that may have the feed by it.
  await waitFor(async () => (await upgradeStatus(`ws://${feed}/p2p-ws?token=secret`)) === 429, {
    what: 'the token in use',
  });
  run.child.kill('SIGINT');
  assert.equal(await within(run.code, 30_000, 'the end'), 0, run.stderr);
});

test('watch calls the bootstrap peers that are shipped for its network, and those alone', () => {
  for (const network of ['mainnet', 'teratestnet'] as const) {
    const { settings } = loadSettings({
      sets: watchSettings({ network, data: 'here' }),
      env: { p2p_static_peers: '/ip4/127.0.0.1/tcp/1', p2p_bootstrap_peers: '/ip4/127.0.0.1/tcp/1' },
      cwd: '/',
      programDirectory: '/',
    });
    assert.deepEqual(settings.p2p_bootstrap_peers, [`/dnsaddr/${network}.bootstrap.teranode.bsvb.tech`]);
    assert.deepEqual(settings.p2p_static_peers, []);
  }
});

test('watch says what is wrong with a setting before anything starts', async (context) => {
  const run = watch(context, '--network', 'stn', '--set', 'p2p_port=70000');
  assert.equal(await within(run.code, 60_000, 'the end'), 1);
  assert.match(run.stderr, /^error: .*p2p_port/s);
});
