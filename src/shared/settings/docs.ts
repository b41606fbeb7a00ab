/** `docs/settings.md` from the table. */

import { defaultOf } from './defaults.js';
import type { Setting } from './setting.js';
import { ROWS } from './table.js';

const HEAD = `# Settings

Written from \`src/shared/settings/table.ts\` by \`npm run docs:settings\`; do not edit.

Files \`settings.conf\` and \`settings_local.conf\` are looked for from the program's folder upward, then from the
working directory upward. A line is \`key = value\`; \`#\` cuts it anywhere; surrounding double quotes are removed;
\`\${other}\` stands for another key's value. With \`SETTINGS_CONTEXT=docker.m\` (unset: \`dev\`) \`key.docker.m\` beats
\`key.docker\`, which beats \`key\`. The local file replaces identical full keys of the other. An environment variable
named as the key beats both files, and \`--set key=value\` beats all. Lists are separated by \`|\`; durations are Go's
(\`500ms\`, \`10s\`, \`5m\`, \`24h\`). An empty value counts for texts; for everything else it means the default.

A file in UTF-16 is refused. Warned of, with the line's number: a key that is there twice, a line without \`=\`, a quote at one end alone, a value that
\`#\` cuts in its middle, bytes that are no UTF-8, and a \`SETTINGS_CONTEXT\` of which no file has a key.

Where the default depends on \`p2p_generation\`, both are given, and those of contexts. \`teranode-p2p settings show\` prints what is in force and
where each value comes from, without secrets.

| key | type | default | meaning |
| --- | --- | --- | --- |
`;

/** The whole file. */
export function settingsMarkdown(): string {
  const rows = ROWS.map(
    ([key, setting]) =>
      `| \`${key}\` | ${cell(setting.type)} | ${defaults(setting)} | ${cell(meaning(setting))} |`,
  );
  return `${HEAD}${rows.join('\n')}\n`;
}

function defaults(setting: Setting): string {
  const [first, current] = (['first', 'current'] as const).map((generation) => {
    const text = setting.format(defaultOf(setting, { generation }));
    return text === '' ? 'empty' : `\`${text.replaceAll('|', '\\|')}\``;
  });
  const contexts = Object.entries(setting.contexts ?? {}).map(
    ([name, value]) => `; ${name}: \`${setting.format(value)}\``,
  );
  return `${current}${first === current ? '' : `; first: ${first}`}${contexts.join('')}`;
}

function meaning({ doc, secret, required, aliases = [] }: Setting): string {
  return [
    doc,
    required === 'always' && 'Required.',
    required === 'first' && 'Required in the first generation.',
    secret && 'Secret.',
    aliases.length > 0 && `Also spelled ${aliases.map((alias) => `\`${alias}\``).join(', ')}.`,
  ]
    .filter((part) => typeof part === 'string')
    .join(' ');
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}
