/** A process that opens an outbox and dies in the middle of a write: told the path, and how many writes before. */

import { LevelDatabase } from '../../src/shared/outbox/database.js';
import { OutboxStore } from '../../src/shared/outbox/store.js';
import { keptLog } from './logger.js';

const [path = '', writes = ''] = process.argv.slice(2);
let left = Number(writes);

class DeadlyDatabase extends LevelDatabase {
  override batch(...request: Parameters<LevelDatabase['batch']>): Promise<void> {
    const written = super.batch(...request);
    if (left-- === 0) process.kill(process.pid, 'SIGKILL');
    return written;
  }
}

const store = new OutboxStore(
  { logger: keptLog().logger },
  { path, fsync: false, frameRing: 100_000, openDatabase: (at) => new DeadlyDatabase(at) },
);
await store.open();
await store.close();
