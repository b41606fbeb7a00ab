/**
 * A process that upgrades the outbox of an earlier release and dies at a call to the file system: told `DATADIR`, and how many such calls come
 * before. Says how many there were where it comes to its end.
 */

import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const [directory = '', calls = ''] = process.argv.slice(2);
let made = 0;
for (const name of [
  'openSync',
  'writeSync',
  'ftruncateSync',
  'fsyncSync',
  'fdatasyncSync',
  'renameSync',
  'mkdirSync',
  'rmSync',
  'unlinkSync',
] as const) {
  const real = fs[name] as (...given: unknown[]) => unknown;
  Object.assign(fs, {
    [name]: (...given: unknown[]) => {
      if (made++ === Number(calls)) process.kill(process.pid, 'SIGKILL');
      return real(...given);
    },
  });
}
syncBuiltinESMExports();

const { upgradeOutbox } = await import('../../src/main/outbox-upgrade/index.js');
const { journalBounds } = await import('../../src/shared/journal/bounds.js');
const { settingsOf } = await import('./settings.js');
const { keptLog } = await import('./logger.js');
made = 0;
await upgradeOutbox({ logger: keptLog().logger }, { directory, bounds: journalBounds(settingsOf()) });
process.stdout.write(String(made));
