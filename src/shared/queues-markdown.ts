/** `docs/queues.md` from the table. */

import { QUEUES } from './queues.js';

const HEAD = `# Queues

Written from \`src/shared/queues.ts\` by \`npm run docs:settings\`; do not edit.

Nothing in the server grows without a bound. What waits, is held open or is remembered has a row here: how much there may be of it, what happens when
there is more, and the metric that shows it.

| what | bound | when it is reached | metric |
| --- | --- | --- | --- |
`;

/** The whole file. */
export function queuesMarkdown(): string {
  const rows = Object.values(QUEUES).map(
    ({ name, bound, whenFull, metric }) =>
      `| ${name} | ${withSettings(bound)} | ${whenFull} | \`${metric}\` |`,
  );
  return `${HEAD}${rows.join('\n')}\n`;
}

/** Names of settings as such. */
const withSettings = (text: string): string => text.replace(/p2p_\w+/g, (key) => `[\`${key}\`](settings.md)`);
