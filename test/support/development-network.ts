/** `teranode-p2p devnet` as a process, for tests. */

import { type ChildProcess, spawn } from 'node:child_process';
import { resolve } from 'node:path';
import type { TestContext } from 'node:test';
import { checkPorts, layOut } from '../../src/main/devnet/layout.js';
import { temporaryDirectory } from './temporary.js';
import { waitFor } from './wait.js';

export function groupLives(group: number): boolean {
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

export interface DevelopmentNetwork {
  readonly child: ChildProcess;
  /** Its process group: the network and every node of it. */
  readonly group: number;
  /** Where the nodes keep what they have, a folder each. */
  readonly data: string;
  readonly portOffset: number;
  /** What it has said so far, errors included. */
  output: string;
}

/** Starts the network in a process group of its own, on free ports, with further arguments and variables; killed when the test ends. `prepare` is called before, with the folder. */
export async function launchNetwork(
  context: Pick<TestContext, 'after'>,
  args: readonly string[],
  { env = {}, prepare = () => {} }: { env?: NodeJS.ProcessEnv; prepare?: (data: string) => void } = {},
): Promise<DevelopmentNetwork> {
  const data = temporaryDirectory(context);
  const portOffset = await freeOffset(data);
  prepare(data);
  const { NODE_TEST_CONTEXT: _, NODE_V8_COVERAGE: __, ...inherited } = process.env;
  const child = spawn(
    process.execPath,
    [resolve('bin/teranode-p2p.mjs'), 'devnet', '--data', data, '--port-offset', String(portOffset), ...args],
    { env: { ...inherited, ...env }, detached: true, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const network: DevelopmentNetwork = { child, group: child.pid ?? 0, data, portOffset, output: '' };
  context.after(() => {
    if (groupLives(network.group)) process.kill(-network.group, 'SIGKILL');
  });
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (network.output += text));
  return network;
}
