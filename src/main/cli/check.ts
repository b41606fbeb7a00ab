/** `teranode-p2p check`: whether a server would start, without starting it. */

import type { Command } from 'commander';
import { ConfigurationError } from '../../shared/errors.js';
import type { Settings } from '../../shared/settings/table.js';
import type { Finding } from '../preflight/start.js';
import { CommandError, loadFor } from './context.js';
import { GATEWAY } from './gateway.js';
import { SERVER } from './start.js';
import type { Terminal } from './terminal.js';

interface Checked {
  readonly network: boolean;
  readonly gateway: boolean;
}

interface CheckOptions extends Checked {
  readonly json: boolean;
}

const SIGNS = { well: '✓', warning: '!', fault: '✗' } as const satisfies Record<Finding['state'], string>;

export function checkCommand(program: Command, terminal: Terminal): void {
  program
    .command('check')
    .description('Say whether a server would start on these settings, without starting it.')
    .option('--network', 'also ask the services, brokers and databases that it talks to', false)
    .option('--gateway', 'whether a gateway would', false)
    .option('--json', 'a JSON array', false)
    .addHelpText(
      'after',
      `
Settings, files, keys, TLS and whether ports are free are looked at; nothing is made, opened or changed, and without --network nobody is
asked. What the stores in DATADIR hold is not looked at. Exit code 1 where something is at fault (✗).

Examples:
  $ teranode-p2p check --set network=testnet
  $ SETTINGS_CONTEXT=docker.m teranode-p2p check --network --json
  $ teranode-p2p check --gateway --network --set kafka_notificationsConfig=kafka://kafka:9092/notifications`,
    )
    .action(async ({ json, ...options }: CheckOptions, command: Command) => {
      const findings = await find(command, options);
      if (json) terminal.json(findings);
      else
        terminal.table(
          ['', 'WHAT', 'FOUND'],
          findings.map(({ what, state, message }) => [SIGNS[state], what, message]),
        );
      const faults = findings.filter(({ state }) => state === 'fault').length;
      if (faults > 0)
        throw new CommandError(faults === 1 ? 'one thing is at fault' : `${faults} things are at fault`);
    });
}

async function find(command: Command, { network, gateway }: Checked): Promise<readonly Finding[]> {
  await import('../../shared/process/polyfill.js');
  const what = 'settings';
  try {
    const { settings, warnings, origin } = loadFor(command, await (gateway ? GATEWAY : SERVER).check());
    const { islandsOf } = await import('../preflight/isolation.js');
    const { checkStart } = await import('../preflight/start.js');
    const islands = gateway ? [] : islandsOf(settings, origin).map(({ message }) => message);
    return [
      { what, state: 'well', message: 'fit their types and one another' },
      ...[...warnings, ...islands].map((message): Finding => ({ what, state: 'warning', message })),
      ...(await checkStart(settings, { network, gateway })),
      ...(network ? await asked(settings, gateway) : []),
    ];
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    return error.problems.map((message) => ({ what, state: 'fault', message }));
  }
}

async function asked(settings: Settings, gateway: boolean): Promise<readonly Finding[]> {
  const { checkNeighbours } = await import('../preflight/neighbours.js');
  const { createLogger } = await import('../../shared/logging/logger.js');
  return checkNeighbours(settings, createLogger({ level: 'silent' }), { gateway });
}
