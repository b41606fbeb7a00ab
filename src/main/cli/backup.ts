/** `teranode-p2p backup`. */

import { resolve } from 'node:path';
import type { Command } from 'commander';
import { isDirectory } from '../../shared/files/make-directory.js';
import { readRunFile } from '../../shared/process/run-file.js';
import { askServer, isSomebodyThere } from '../control/client.js';
import { CommandError, settingsFor } from './context.js';
import type { Terminal } from './terminal.js';

/** A journal of many gigabytes takes its time. */
const LONGEST_MS = 6 * 3_600_000;

export function backupCommand(program: Command, terminal: Terminal): void {
  program
    .command('backup <directory>')
    .description('Copy DATADIR, with the node key and the peer cache, whether a server runs on it or not.')
    .option('--json', 'a JSON object', false)
    .addHelpText(
      'after',
      `
The directory must be missing or empty. Where a server runs, it makes the copy, so the directory is one of its machine and
it must be able to write there. To restore one: stop the server, put the copy in DATADIR's place, start it.

Examples:
  $ teranode-p2p backup /backup/teranode-p2p
  $ teranode-p2p backup /backup/teranode-p2p --set DATADIR=/var/lib/teranode-p2p`,
    )
    .action(async (directory: string, { json }: { json: boolean }, command: Command) => {
      const { settings } = settingsFor(command, terminal);
      const path = resolve(directory);
      const run = readRunFile(settings.DATADIR);
      // Of one that was killed in another container only its socket tells that it is gone.
      const made =
        run !== undefined && (await isSomebodyThere(run.controlSocket))
          ? await askServer(run.controlSocket, 'backup', { path }, LONGEST_MS)
          : await withoutServer(settings, path);
      if (json) terminal.json(made);
      else terminal.line(`${made.path}: ${made.files} files, ${made.bytes} bytes`);
    });
}

/** Throws ConfigurationError where a server has the directory after all. */
async function withoutServer(settings: ReturnType<typeof settingsFor>['settings'], path: string) {
  const { DataDirectory } = await import('../data-directory/data-directory.js');
  const { backUp } = await import('../data-directory/backup.js');
  // Opening makes what is missing.
  if (!isDirectory(settings.DATADIR))
    throw new CommandError(`DATADIR: ${resolve(settings.DATADIR)} is no directory`);
  const directory = new DataDirectory(settings.DATADIR);
  try {
    await directory.open();
    return await backUp(directory.store, settings, path);
  } finally {
    await directory.close();
  }
}
