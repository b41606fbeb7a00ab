/** `teranode-p2p devnet`: three servers on loopback, and what happens between them. */

import { type Command, InvalidArgumentError, Option } from 'commander';
import { monotonic } from '../../shared/clock.js';
import { errorMessage } from '../../shared/errors.js';
import type { DevnetNode, Pace } from '../devnet/layout.js';
import { CommandError, countArgument, durationArgument } from './context.js';
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
      '\nExamples:\n  $ teranode-p2p devnet\n  $ teranode-p2p devnet --json | jq .msg\n  $ teranode-p2p devnet --data /tmp/net --port-offset 1000 --blocks 2s',
    )
    .action(async (options: DevnetOptions) => {
      await runDevnet(options, terminal);
    });
}

async function runDevnet(options: DevnetOptions, terminal: Terminal): Promise<void> {
  await import('../../shared/process/polyfill.js');
  const { checkPorts, layOut, settingsOfNode } = await import('../devnet/layout.js');
  const { NodeProcess } = await import('../devnet/node-process.js');
  const { EmbeddedValidationService } = await import('../devnet/validation-service.js');
  const { createLogger } = await import('../../shared/logging/logger.js');

  const nodes: readonly DevnetNode[] = await layOut({
    directory: options.data,
    portOffset: options.portOffset,
  });
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
  const pace: Pace = { blocks: options.blocks, subtrees: options.subtrees, rejected: options.rejected };
  const { logLevel } = options;
  const processes = nodes.map(
    (node) =>
      new NodeProcess({
        name: node.name,
        settings: settingsOfNode(node, nodes, { validationPort: validation.port, pace, logLevel }),
        onLine: (line) => view.log(node, line),
        onError: (line) => view.error(node, line),
        onDeath: (why) => end(why),
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
  view.ended(clean);
  process.exit(failure === undefined ? 0 : 1);
}
