/** `teranode-p2p devnet`: three servers on loopback, and what happens between them. */

import { type Command, InvalidArgumentError, Option } from 'commander';
import { monotonic } from '../../shared/clock.js';
import { errorMessage } from '../../shared/errors.js';
import type { DevnetNode, Pace } from '../devnet/layout.js';
import { CommandError, countArgument, durationArgument, loadFor } from './context.js';
import { DevnetView } from './devnet-view.js';
import { onStopSignals } from './stop-signals.js';
import type { Terminal } from './terminal.js';

interface DevnetOptions {
  readonly data: string;
  readonly json: boolean;
  readonly portOffset: number;
  readonly blocks: number;
  readonly subtrees: number;
  readonly rejected: number;
  readonly logLevel: string;
}

/** The whole network is gone this long after Ctrl-C, one way or another. */
const STOP_MS = 8000;

/** Between two looks whether npm still lives. */
const PARENT_LOOK_MS = 1000;

/** Every port stays below 65,536. */
const MAX_OFFSET = 40_000;

function offsetArgument(text: string): number {
  const offset = countArgument(text);
  if (offset <= MAX_OFFSET) return offset;
  throw new InvalidArgumentError(`Expected 0 to ${MAX_OFFSET}.`);
}

function paceOption(name: string, description: string, usual: string): Option {
  return new Option(`${name} <duration>`, description)
    .argParser(durationArgument)
    .default(durationArgument(usual), usual);
}

export function devnetCommand(program: Command, terminal: Terminal): void {
  program
    .command('devnet')
    .description('Run a development network: three nodes on loopback, one of which mines.')
    .option('--data <directory>', 'where the nodes keep what they have', 'data/devnet')
    .option('--json', 'the nodes’ logs as they write them', false)
    .option('--port-offset <n>', `added to every port, 0 to ${MAX_OFFSET}`, offsetArgument, 0)
    .addOption(paceOption('--blocks', 'between two blocks', '10s'))
    .addOption(paceOption('--subtrees', 'between two subtrees', '1s'))
    .addOption(paceOption('--rejected', 'between two rejected transactions', '15s'))
    .option('--log-level <level>', 'of the nodes', 'info')
    .addHelpText(
      'after',
      `
What the nodes have stays in the directory, and the next start goes on with it: delete it to begin anew. When one node ends, all end.
--set is for all three, but for what makes them a network: ports, directories, keys, peers, the pace.

Examples:
  $ teranode-p2p devnet
  $ teranode-p2p devnet --json | jq .msg
  $ teranode-p2p devnet --data /tmp/net --port-offset 1000 --blocks 2s
  $ teranode-p2p devnet --set p2p_feed_retention=1h`,
    )
    .action(async (options: DevnetOptions, command: Command) => {
      await runDevnet(options, command, terminal);
    });
}

/** Calls `end` where npm has started this process and is gone: a SIGKILL it cannot pass on. Returns how to let go of it. */
function onParentsDeath(end: () => void): () => void {
  if (process.env.npm_lifecycle_event === undefined) return () => {};
  const parent = process.ppid;
  const looking = setInterval(() => process.ppid === parent || end(), PARENT_LOOK_MS);
  return () => clearInterval(looking);
}

async function runDevnet(options: DevnetOptions, command: Command, terminal: Terminal): Promise<void> {
  await import('../../shared/process/polyfill.js');
  const { checkPorts, layOut, settingsOfNode } = await import('../devnet/layout.js');
  const { NodeProcess } = await import('../devnet/node-process.js');
  const { EmbeddedValidationService } = await import('../devnet/validation-service.js');
  const { createLogger } = await import('../../shared/logging/logger.js');
  const { settingsProblems } = await import('../preflight/settings.js');

  const nodes: readonly DevnetNode[] = await layOut({
    directory: options.data,
    portOffset: options.portOffset,
  });
  const pace: Pace = { blocks: options.blocks, subtrees: options.subtrees, rejected: options.rejected };
  const { logLevel } = options;
  const { set: sets } = command.optsWithGlobals<{ readonly set: readonly string[] }>();
  const settingsOf = (node: DevnetNode, validationPort: number) =>
    settingsOfNode(node, nodes, { validationPort, pace, logLevel, sets });
  // Said once, and not by each node. The port is not known yet.
  const [first] = nodes;
  if (first !== undefined) loadFor(command, settingsProblems, settingsOf(first, 1));
  try {
    await checkPorts(nodes);
  } catch (error) {
    const message = errorMessage(error);
    if (!message.includes('is in use')) throw error;
    const next = (options.portOffset + 1000) % MAX_OFFSET;
    throw new CommandError(`${message}\nIs another development network running? Try --port-offset ${next}`);
  }

  let end: (failure?: string) => void = () => {};
  const ended = new Promise<string | undefined>((resolve) => {
    end = resolve;
  });
  let wished = false;
  const letGo = onStopSignals(() => {
    wished = true;
    end();
  });
  const letParentGo = onParentsDeath(() => end('npm has ended, and the network with it'));
  const validation = new EmbeddedValidationService({
    logger: createLogger({
      level: options.json ? options.logLevel : 'silent',
      node: 'validation',
      component: 'validation',
    }),
  });
  await validation.start();
  if (wished) {
    await validation.stop();
    process.exit(0);
  }

  const view = new DevnetView(terminal, nodes, options.json);
  const processes = nodes.map(
    (node) =>
      new NodeProcess({
        name: node.name,
        settings: settingsOf(node, validation.port),
        onLine: (line) => view.log(node, line),
        onError: (line) => view.error(node, line),
        onDeath: (why) => end(`${why}, and the network with it`),
      }),
  );
  // Whatever ends this process takes the nodes with it; their IPC channel sees to the case of a SIGKILL.
  const killAll = () => {
    for (const one of processes) one.kill();
  };
  process.once('exit', killAll);

  void Promise.all(processes.map((one) => one.ready)).then(
    () => view.start(),
    (error: Error) => end(error.message),
  );
  const failure = await ended;

  const deadline = monotonic() + STOP_MS;
  view.stop(failure);
  const clean = await Promise.all(processes.map((one) => one.stop(deadline)));
  await validation.stop();
  process.off('exit', killAll);
  letGo();
  letParentGo();
  view.ended(clean);
  process.exit(failure === undefined ? 0 : 1);
}
