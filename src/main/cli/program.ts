/** The command line: its commands, and what becomes of errors. */

import { Command, CommanderError, Help } from 'commander';
import { errorMessage } from '../../shared/errors.js';
import { packageVersion } from '../life/version.js';
import { backupCommand } from './backup.js';
import { banCommands } from './bans.js';
import { checkCommand } from './check.js';
import { completionCommand } from './completion.js';
import { devnetCommand } from './devnet.js';
import { feedTokenCommand } from './feed-token.js';
import { gatewayCommand } from './gateway.js';
import { healthCommand } from './health.js';
import { keygenCommand } from './keygen.js';
import { outboxCommands } from './outbox.js';
import { peersCommand } from './peers.js';
import { recordsCommand } from './records.js';
import { serviceCommand } from './service.js';
import { settingsCommand } from './settings.js';
import { startCommand } from './start.js';
import { tailCommand } from './tail.js';
import type { Terminal } from './terminal.js';
import { watchCommand } from './watch.js';

const OK = 0;
const FAILURE = 1;
const USAGE = 2;

export function createProgram(terminal: Terminal): Command {
  const program = new Command('teranode-p2p')
    .description('P2P server for a Bitcoin SV Teranode.')
    .version(packageVersion())
    .option(
      '--set <key=value>',
      'a setting, before files and environment; repeat for more',
      (text: string, before: readonly string[]) => [...before, text],
      [] as readonly string[],
    )
    .option('--verbose', 'show where an error comes from', false)
    .configureOutput({
      writeOut: (text) => terminal.line(text.replace(/\n$/, ''), 4),
      writeErr: (text) => terminal.note(text.replace(/\n$/, '')),
      getOutHasColors: () => terminal.colour,
    })
    .configureHelp({
      // That a switch is off, and a list empty, goes without saying.
      optionDescription(option) {
        const value: unknown = option.defaultValue;
        const unsaid = value === false || (Array.isArray(value) && value.length === 0);
        return unsaid ? option.description : Help.prototype.optionDescription.call(this, option);
      },
    })
    .showSuggestionAfterError()
    .exitOverride()
    .addHelpText(
      'after',
      `
Exit codes: 0 done, 1 failed, 2 wrong usage.

Examples:
  $ teranode-p2p watch --network mainnet
  $ teranode-p2p devnet
  $ teranode-p2p start --set network=testnet
  $ teranode-p2p tail -k block`,
    );
  for (const add of [
    watchCommand,
    startCommand,
    gatewayCommand,
    serviceCommand,
    devnetCommand,
    peersCommand,
    banCommands,
    tailCommand,
    recordsCommand,
    outboxCommands,
    backupCommand,
    keygenCommand,
    feedTokenCommand,
    settingsCommand,
    checkCommand,
    healthCommand,
  ]) {
    add(program, terminal);
  }
  program.addCommand(completionCommand(program, terminal));
  return program;
}

/** `--set` and `--verbose` moved to the front, where commander looks for them; nothing after `--` is touched. */
export function globalsFirst(args: readonly string[]): string[] {
  const globals: string[] = [];
  const rest: string[] = [];
  for (let index = 0; index < args.length; index++) {
    const arg = args[index] ?? '';
    if (arg === '--') return [...globals, ...rest, ...args.slice(index)];
    if (arg === '--set' && index + 1 < args.length) globals.push(arg, args[++index] ?? '');
    else if (arg === '--verbose' || arg.startsWith('--set=')) globals.push(arg);
    else rest.push(arg);
  }
  return [...globals, ...rest];
}

/** Runs one command line. Resolves with the exit code; what went wrong has been said. */
export async function runProgram(args: readonly string[], terminal: Terminal): Promise<number> {
  const program = createProgram(terminal);
  try {
    await program.parseAsync(globalsFirst(args), { from: 'user' });
    return Number(process.exitCode ?? OK);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? OK : USAGE;
    const { verbose } = program.opts<{ verbose: boolean }>();
    terminal.note(
      verbose && error instanceof Error ? (error.stack ?? error.message) : `error: ${errorMessage(error)}`,
    );
    return FAILURE;
  }
}
