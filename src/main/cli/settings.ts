/** `teranode-p2p settings show`. */

import type { Command } from 'commander';
import { showSettings } from '../../shared/settings/show.js';
import { settingsFor } from './context.js';
import { printable, type Terminal } from './terminal.js';

export function settingsCommand(program: Command, terminal: Terminal): void {
  program
    .command('settings')
    .description('The settings in force.')
    .command('show')
    .description('Print every setting, its value without secrets, and where that comes from.')
    .option('--changed', 'only what is not at its default', false)
    .option('--json', 'one JSON object', false)
    .addHelpText(
      'after',
      '\nExamples:\n  $ teranode-p2p settings show --changed\n  $ SETTINGS_CONTEXT=docker.m teranode-p2p settings show --json',
    )
    .action(({ changed, json }: { changed: boolean; json: boolean }, command: Command) => {
      const { settings, sources } = settingsFor(command, terminal);
      const shown = showSettings(settings, sources).filter(({ source }) => !changed || source !== 'default');
      if (json) {
        terminal.json(Object.fromEntries(shown.map(({ key, value, source }) => [key, { value, source }])));
        return;
      }
      for (const { key, value, source } of shown) {
        const origin = source === 'default' ? '' : terminal.style('dim', `  # ${printable(source)}`);
        terminal.line(`${terminal.style('bold', key)} = ${printable(value)}${origin}`);
      }
    });
}
