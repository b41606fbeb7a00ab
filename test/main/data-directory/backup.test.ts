import assert from 'node:assert/strict';
import { readdirSync, readlinkSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
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

test('a backup is on the disk when it is told to be made: each file, each directory, and the names of those that were made for it', async (context) => {
  const path = temporaryDirectory(context);
  const directory = new DataDirectory(path);
  await directory.open();
  context.after(() => directory.close());
  await directory.store.put('key', new Uint8Array([7]));
  const root = temporaryDirectory(context);
  const target = join(root, 'made', 'for', 'it');
  const file = await open(directory.lockPath);
  const FileHandle = Object.getPrototypeOf(file) as { sync(this: { fd: number }): Promise<void> };
  await file.close();
  const { sync } = FileHandle;
  const synced = new Set<string>();
  context.mock.method(FileHandle, 'sync', function (this: { fd: number }) {
    synced.add(readlinkSync(`/proc/self/fd/${this.fd}`));
    return sync.call(this);
  });
  await backUp(directory.store, settingsOf({ DATADIR: path }), target);
  const copied = readdirSync(target, { recursive: true, encoding: 'utf8' }).map((name) => join(target, name));
  assert.ok(copied.some((name) => name.endsWith('CURRENT')));
  const expected = [...copied, target, dirname(target), dirname(dirname(target)), root];
  assert.deepEqual([...synced].sort(), expected.sort());
});

test('a place that is not absolute is refused: it would be one of the server’s and not of whoever asks', async (context) => {
  const path = temporaryDirectory(context);
  const directory = new DataDirectory(path);
  await directory.open();
  context.after(() => directory.close());
  for (const target of ['copy', './copy', '../copy', '']) {
    await assert.rejects(backUp(directory.store, settingsOf({ DATADIR: path }), target), {
      name: 'BackupError',
      message: `${target} is no absolute path`,
    });
  }
});
