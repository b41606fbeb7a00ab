import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { sightingText } from '../../../src/main/cli/devnet-view.js';
import { Terminal } from '../../../src/main/cli/terminal.js';
import { layOut, settingsOfNode } from '../../../src/main/devnet/layout.js';
import { NodeProcess } from '../../../src/main/devnet/node-process.js';
import { type Sighting, Sightings } from '../../../src/main/devnet/sightings.js';
import { loadSettings } from '../../../src/shared/settings/load.js';
import { temporaryDirectory } from '../../support/temporary.js';
import { waitFor, within } from '../../support/wait.js';

const PACE = { blocks: 10_000, subtrees: 1000, rejected: 15_000 };

test('three nodes have keys that stay, ports of their own and know each other', async (context) => {
  const directory = temporaryDirectory(context);
  const nodes = await layOut({ directory, portOffset: 0 });
  const again = await layOut({ directory, portOffset: 0 });
  assert.deepEqual(again, nodes);
  const options = { validationPort: 8088, pace: PACE, logLevel: 'info', sets: [] };
  const settings = nodes.map(
    (node) =>
      loadSettings({
        sets: settingsOfNode(node, nodes, options),
        env: { p2p_bootstrap_peers: 'garbage', kafka_blocksConfig: 'kafka://elsewhere/blocks' },
        cwd: directory,
        programDirectory: directory,
      }).settings,
  );
  assert.deepEqual(
    settings.map((one) => one.p2p_port),
    [9905, 9915, 9925],
  );
  assert.deepEqual(
    settings.map((one) => one.health_check_httpListenAddress?.text),
    ['127.0.0.1:8000', '127.0.0.1:8010', '127.0.0.1:8020'],
  );
  assert.deepEqual(
    settings.map((one) => one.p2p_embedded_mining_interval),
    [10_000, 0, 0],
  );
  assert.deepEqual(settings[2]?.p2p_static_peers, [
    `/ip4/127.0.0.1/tcp/9905/p2p/${nodes[0]?.peerId}`,
    `/ip4/127.0.0.1/tcp/9915/p2p/${nodes[1]?.peerId}`,
  ]);
  assert.match(readFileSync(join(directory, 'node1/p2p.key'), 'utf8'), /^[0-9a-f]{192}$/);
});

test('a taken port is named with its setting and node, and nothing is started', async (context) => {
  const taken = createServer();
  context.after(() => taken.close());
  // Node 2's libp2p port, somewhere.
  const port = await waitFor(
    async () => {
      const candidate = 20_000 + Math.floor(Math.random() * 10_000);
      taken.listen(candidate, '127.0.0.1');
      return once(taken, 'listening').then(
        () => candidate,
        () => undefined,
      );
    },
    { what: 'a free port' },
  );
  const directory = temporaryDirectory(context);
  const offset = port - 9915;
  const { status, stderr, stdout } = spawnSync(
    process.execPath,
    [resolve('bin/teranode-p2p.mjs'), 'devnet', '--data', directory, '--port-offset', String(offset)],
    { encoding: 'utf8' },
  );
  assert.equal(status, 1);
  assert.match(stderr, new RegExp(`p2p_port: port ${port} of node2 is in use`));
  assert.match(
    stderr,
    new RegExp(`\\nIs another development network running\\? Try --port-offset ${offset + 1000}\\n$`),
  );
  assert.equal(stdout, '');
  assert.equal(existsSync(join(directory, 'node1/store')), false);
});

test('--set is for every node; what makes them a network is refused by name, and what there is not as by start', async (context) => {
  const directory = temporaryDirectory(context);
  const devnet = (...sets: string[]) => {
    const args = ['devnet', '--data', directory, ...sets.flatMap((set) => ['--set', set])];
    return spawnSync(process.execPath, [resolve('bin/teranode-p2p.mjs'), ...args], { encoding: 'utf8' });
  };
  const refused = devnet(
    'p2p_port=1',
    'p2p_bootstrap_peers=',
    'DATADIR=x',
    'p2p_embedded_mining_interval=1s',
  );
  assert.equal(refused.status, 1);
  const own = 'the development network sets it itself';
  assert.deepEqual(refused.stderr.split('\n'), [
    'error: 4 problems:',
    `  p2p_port: ${own}; use --port-offset`,
    `  p2p_bootstrap_peers: ${own}`,
    `  DATADIR: ${own}; use --data`,
    `  p2p_embedded_mining_interval: ${own}; use --blocks`,
    '',
  ]);
  const unknown = devnet('p2p_feed_retentions=1h', 'p2p_checkers=many');
  assert.equal(unknown.status, 1);
  assert.match(
    unknown.stderr,
    /^error: 2 problems:\n {2}p2p_feed_retentions: no such setting; the nearest is "p2p_feed_retention"\n {2}p2p_checkers: .*\n$/,
  );
  assert.equal(refused.stdout + unknown.stdout, '');

  const nodes = await layOut({ directory, portOffset: 0 });
  const sets = [
    'p2p_feed_retention=1h',
    'p2p_checkers=2',
    'kafka_blocksConfig=kafka://localhost:9092/blocks',
  ];
  for (const node of nodes) {
    const { settings } = loadSettings({
      sets: settingsOfNode(node, nodes, { validationPort: 8088, pace: PACE, logLevel: 'info', sets }),
      env: {},
      cwd: directory,
      programDirectory: directory,
    });
    assert.equal(settings.p2p_feed_retention, 3_600_000);
    assert.equal(settings.p2p_checkers, 2);
    assert.equal(settings.kafka_blocksConfig?.topic, 'blocks');
  }
});

test('a node that cannot start says why', async () => {
  const errors: string[] = [];
  let death = '';
  const node = new NodeProcess({
    name: 'node1',
    settings: ['network=moon'],
    onLine: () => {},
    onError: (line) => errors.push(line),
    onDeath: (why) => {
      death = why;
    },
  });
  await assert.rejects(within(node.ready, 60_000, 'the node'), /node1 ended with exit code 1/);
  await waitFor(() => errors.length > 0 && death !== '', { what: 'the reason' });
  assert.match(errors[0] ?? '', /^error: network: "moon" is none of mainnet/);
});

test('an event is told once, with everybody who heard it and after how long', async (context) => {
  const events: Sighting[] = [];
  const sightings = new Sightings({ expected: 3, patienceMs: 50, onEvent: (event) => events.push(event) });
  context.after(() => sightings.stop());
  const block = { kind: 'block', hash: 'a', origin: 'node1', height: '1', remark: '' };
  sightings.add('node1', block, 1000);
  sightings.add('node1', block, 1001);
  sightings.add('node3', block, 1002.25);
  assert.equal(events.length, 0);
  sightings.add('node2', block, 1004.9);
  assert.deepEqual(events[0]?.heard, [
    { node: 'node1', ms: 0 },
    { node: 'node3', ms: 2 },
    { node: 'node2', ms: 5 },
  ]);
  sightings.add('node2', block, 1010);
  sightings.add('node1', { ...block, hash: 'b' }, 2000);
  await waitFor(() => events.length === 2, { what: 'the event that not all heard' });
  assert.deepEqual(events[1]?.heard, [{ node: 'node1', ms: 0 }]);
});

test('what happened is told whole, the remark too', () => {
  const terminal = new Terminal(process.stdout, process.stderr, { NO_COLOR: '1' });
  const event: Sighting = {
    kind: 'rejected_tx',
    hash: 'ab'.repeat(32),
    origin: 'node1',
    height: '',
    remark: 'a reason of which there is too much to say',
    firstAt: 0,
    heard: [
      { node: 'node1', ms: 0 },
      { node: 'node2', ms: 1 },
      { node: 'node3', ms: 2 },
    ],
  };
  const text = sightingText(event, terminal);
  assert.match(text, /^rejected_tx ababab…abab +node2 \+1 {2}node3 \+2 ms \(a reason of which .* to say\)$/);
  assert.match(sightingText({ ...event, heard: [], remark: '' }, terminal), / heard by nobody yet$/);
});
