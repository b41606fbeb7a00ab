import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { BackupError, backUp } from '../../../src/main/data-directory/backup.js';
import { DataDirectory } from '../../../src/main/data-directory/data-directory.js';
import { settingsOf } from '../../support/settings.js';
import { temporaryDirectory } from '../../support/temporary.js';

const ENTRIES = 2_000;

test('of two backups to one directory at the same time one is made whole, and the other is refused and removes nothing', async (context) => {
  const path = temporaryDirectory(context);
  const directory = new DataDirectory(path);
  await directory.open();
  const value = new Uint8Array(4_096).fill(7);
  await directory.store.batch(
    Array.from({ length: ENTRIES }, (_, key) => ({ type: 'put' as const, key: `${key}`, value })),
  );
  const target = join(temporaryDirectory(context), 'copy');
  const settings = settingsOf({ DATADIR: path });
  const made = await Promise.allSettled([1, 2].map(() => backUp(directory.store, settings, target)));
  await directory.close();
  const failed = made.flatMap((each) => (each.status === 'rejected' ? [each.reason as unknown] : []));
  assert.equal(failed.length, 1, String(failed));
  assert.ok(failed[0] instanceof BackupError);
  assert.match(failed[0].message, /cannot take a backup/);
  const copy = new DataDirectory(target);
  await copy.open();
  assert.equal((await copy.store.keys().all()).length, ENTRIES);
  await copy.close();
});
