import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkPorts, layOut } from '../../../src/main/devnet/layout.js';
import { readRunFile } from '../../../src/shared/process/run-file.js';
import { groupLives, launchNetwork } from '../../support/development-network.js';
import { waitFor, within } from '../../support/wait.js';

for (const end of ['Ctrl-C', 'a SIGKILL', 'npm that is killed'] as const) {
  test(`three nodes hear each other's blocks, and ${end} leaves no process`, async (context) => {
    const network = await launchNetwork(context, ['--blocks', '1s'], {
      asNpm: end === 'npm that is killed',
    });
    const { child, group, data, portOffset: offset } = network;
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
    if (end === 'npm that is killed')
      assert.match(network.output, /^error: npm has ended, and the network with it$/m);
    // That Ctrl-C ends it within ten seconds is promised.
    const took = performance.now() - started;
    if (end === 'Ctrl-C') assert.ok(took < 10_000, `Ctrl-C took ${took} ms`);
    await checkPorts(await layOut({ directory: data, portOffset: offset }));
  });
}

test('a node that refuses to start ends the network, said once, exit code 1', async (context) => {
  const network = await launchNetwork(context, [], {
    prepare: (data) => writeFileSync(join(data, 'node2', 'admin.key'), 'x'),
  });
  const [code] = await within(once(network.child, 'close'), 60_000, 'the end').catch((error: Error) => {
    throw new Error(`${error.message}\n${network.output}`);
  });
  assert.equal(code, 1, network.output);
  assert.equal(network.output.match(/admin\.key holds no key/g)?.length, 1, network.output);
  assert.equal(
    network.output.match(/^error: node2 ended with exit code 1, and the network with it$/gm)?.length,
    1,
    network.output,
  );
  assert.ok(!network.output.includes('did not end by itself'), network.output);
  await waitFor(() => !groupLives(network.group), { what: 'every process to be gone' });
});
