import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type TestContext, test } from 'node:test';
import { checkPorts, layOut } from '../../../src/main/devnet/layout.js';
import { readRunFile } from '../../../src/shared/process/run-file.js';
import { temporaryDirectory } from '../../support/temporary.js';
import { waitFor, within } from '../../support/wait.js';

function groupLives(group: number): boolean {
  try {
    process.kill(-group, 0);
    return true;
  } catch {
    return false;
  }
}

async function freeOffset(directory: string): Promise<number> {
  return waitFor(
    async () => {
      // Ports 10,000 to 19,999: below those of `devnet.test.ts`, which may run beside, and the system's ephemeral ones.
      const portOffset = 2_000 + Math.floor(Math.random() * 8_000);
      const nodes = await layOut({ directory, portOffset });
      return checkPorts(nodes).then(
        () => portOffset,
        () => undefined,
      );
    },
    { what: 'fifteen free ports' },
  );
}

interface Network {
  readonly child: ChildProcess;
  /** Its process group: the network and every node of it. */
  readonly group: number;
  /** What it has said so far, errors included. */
  output: string;
}

/** `teranode-p2p devnet` in a process group of its own; killed when the test ends. */
function launchNetwork(context: TestContext, args: readonly string[]): Network {
  const { NODE_TEST_CONTEXT: _, NODE_V8_COVERAGE: __, ...env } = process.env;
  const child = spawn(process.execPath, [resolve('bin/teranode-p2p.mjs'), 'devnet', ...args], {
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const network: Network = { child, group: child.pid ?? 0, output: '' };
  context.after(() => {
    if (groupLives(network.group)) process.kill(-network.group, 'SIGKILL');
  });
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (network.output += text));
  return network;
}

for (const end of ['Ctrl-C', 'a parent that is killed'] as const) {
  test(`three nodes hear each other's blocks, and ${end} leaves no process`, async (context) => {
    const data = temporaryDirectory(context);
    const offset = await freeOffset(data);
    const network = launchNetwork(context, [
      '--data',
      data,
      '--port-offset',
      String(offset),
      '--blocks',
      '1s',
    ]);
    const { child, group } = network;
    const exited = once(child, 'exit');
    await waitFor(() => /node1 +block .*node2.*node3|node1 +block .*node3.*node2/.test(network.output), {
      timeoutMs: 60_000,
      what: 'a block that both others heard',
    }).catch((error: Error) => {
      throw new Error(`${error.message}\n${network.output}`);
    });
    const narrow = network.output
      .split('\n')
      .filter((line) => / (block|subtree|PEER ID) |https?:/.test(line));
    assert.deepEqual(
      narrow.filter((line) => line.length > 80),
      [],
    );
    assert.ok(
      network.output.includes(
        `To command node1: npx . peers --set DATADIR=${join(data, 'node1')} --set p2p_grpcAddress=localhost:${9904 + offset}\n`,
      ),
      network.output,
    );
    const [, twin = ''] = /^In place of npx \. and faster: (node \S+)$/m.exec(network.output) ?? [];
    const [program = '', ...args] = twin.split(' ');
    assert.match(execFileSync(program, [...args, '--version'], { encoding: 'utf8' }), /^\d+\.\d+/);
    assert.ok(readRunFile(join(data, 'node3')), 'node 3 says how to reach it');

    const started = performance.now();
    if (end === 'Ctrl-C') process.kill(-group, 'SIGINT');
    else child.kill('SIGKILL');
    const [code] = await within(exited, 20_000, `the end, after\n${network.output}`);
    if (end === 'Ctrl-C') {
      assert.equal(code, 0, network.output);
      assert.match(network.output, /Stopped\.\n$/);
    }
    await waitFor(() => !groupLives(group), { timeoutMs: 20_000, what: 'every process to be gone' });
    // That Ctrl-C ends it within ten seconds is promised.
    const took = performance.now() - started;
    if (end === 'Ctrl-C') assert.ok(took < 10_000, `Ctrl-C took ${took} ms`);
    await checkPorts(await layOut({ directory: data, portOffset: offset }));
  });
}

test('a node that refuses to start ends the network, said once, exit code 1', async (context) => {
  const data = temporaryDirectory(context);
  const offset = await freeOffset(data);
  writeFileSync(join(data, 'node2', 'admin.key'), 'x');
  const network = launchNetwork(context, ['--data', data, '--port-offset', String(offset)]);
  const [code] = await within(once(network.child, 'close'), 60_000, 'the end').catch((error: Error) => {
    throw new Error(`${error.message}\n${network.output}`);
  });
  assert.equal(code, 1, network.output);
  assert.equal(network.output.match(/admin\.key holds no key/g)?.length, 1, network.output);
  assert.equal(network.output.match(/^error: node2 ended with exit code 1$/gm)?.length, 1, network.output);
  assert.ok(!network.output.includes('did not end by itself'), network.output);
  await waitFor(() => !groupLives(network.group), { what: 'every process to be gone' });
});
