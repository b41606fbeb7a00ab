/** `teranode-p2p settings show [key…]`. */

import type { Command } from 'commander';
import { settingKey, unknownSetting } from '../../shared/settings/load.js';
import { showSettings } from '../../shared/settings/show.js';
import { SETTINGS, type SettingKey } from '../../shared/settings/table.js';
import { shownVariables } from '../../shared/tracing/config.js';
import { settingsFor } from './context.js';
import { printable, type Terminal } from './terminal.js';

/** The key that is meant, by another of its spellings too, or the variable. Ends with wrong usage where there is none. */
function keyNamed(name: string, command: Command): string {
  if (/^OTEL_[A-Z_]+$/.test(name)) {
    return (process.env[name] ?? '') === ''
      ? command.error(`error: ${name}: not set in the environment`)
      : name;
  }
  const key = settingKey(name);
  return key ?? command.error(`error: ${printable(name)}: ${unknownSetting(name)}`);
}

interface Shown {
  readonly key: string;
  readonly value: string;
  readonly source: string;
}

const tracingVariables = (): readonly Shown[] =>
  shownVariables(process.env).map(({ name, value }) => ({ key: name, value, source: 'environment' }));

function docOf(key: string): string {
  return Object.hasOwn(SETTINGS, key) ? SETTINGS[key as SettingKey].doc : 'Read by OpenTelemetry.';
}

export function settingsCommand(program: Command, terminal: Terminal): void {
  program
    .command('settings')
    .description('The settings in force.')
    .command('show')
    .argument('[key...]', 'these alone, with what they are for')
    .description(
      'Print settings, and the OTEL_* variables of the environment, their values without secrets, and where those come from.',
    )
    .option('--changed', 'only what is not at its default', false)
    .option('--json', 'one JSON object', false)
    .addHelpText(
      'after',
      '\nExamples:\n  $ teranode-p2p settings show --changed\n  $ teranode-p2p settings show p2p_port\n  $ SETTINGS_CONTEXT=docker.m teranode-p2p settings show --json',
    )
    .action((named: string[], { changed, json }: { changed: boolean; json: boolean }, command: Command) => {
      const keys = new Set(named.map((name) => keyNamed(name, command)));
      const { settings, sources } = settingsFor(command, terminal);
      const all: readonly Shown[] = [...showSettings(settings, sources), ...tracingVariables()];
      const shown = all.filter(
        ({ key, source }) => (keys.size === 0 || keys.has(key)) && (!changed || source !== 'default'),
      );
      if (json) {
        terminal.json(Object.fromEntries(shown.map(({ key, value, source }) => [key, { value, source }])));
        return;
      }
      for (const { key, value, source } of shown) {
        if (keys.size > 0) terminal.line(terminal.style('dim', `# ${docOf(key)}`));
        const origin = source === 'default' ? '' : terminal.style('dim', `  # ${printable(source)}`);
        terminal.line(`${terminal.style('bold', key)} = ${printable(value)}${origin}`);
      }
    });
}
