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

export interface LaunchOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly prepare?: (data: string) => void;
  readonly asNpm?: boolean;
}

/** Starts what follows, and waits. */
const PARENT =
  "require('node:child_process').spawn(process.execPath, process.argv.slice(1), { stdio: 'inherit' })";

/** Starts the network in a process group of its own, on free ports, with further arguments and variables; killed when the test ends. `prepare` is called before, with the folder.
 * With `asNpm` the child is another process, which starts it as npm does. */
export async function launchNetwork(
  context: Pick<TestContext, 'after'>,
  args: readonly string[],
  { env = {}, prepare = () => {}, asNpm = false }: LaunchOptions = {},
): Promise<DevelopmentNetwork> {
  const data = temporaryDirectory(context);
  const portOffset = await freeOffset(data);
  prepare(data);
  const { NODE_TEST_CONTEXT: _, NODE_V8_COVERAGE: __, ...inherited } = process.env;
  const child = spawn(
    process.execPath,
    [
      ...(asNpm ? ['-e', PARENT] : []),
      resolve('bin/teranode-p2p.mjs'),
      'devnet',
      '--data',
      data,
      '--port-offset',
      String(portOffset),
      ...args,
    ],
    {
      env: { ...inherited, ...(asNpm ? { npm_lifecycle_event: 'start' } : {}), ...env },
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  const network: DevelopmentNetwork = { child, group: child.pid ?? 0, data, portOffset, output: '' };
  context.after(() => {
    if (groupLives(network.group)) process.kill(-network.group, 'SIGKILL');
  });
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (network.output += text));
  return network;
}
