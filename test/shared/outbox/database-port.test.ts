import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { MessageChannel, Worker } from 'node:worker_threads';
import { LevelDatabase } from '../../../src/shared/outbox/database.js';
import { DatabaseHost, DatabasePort, RemoteDatabase } from '../../../src/shared/outbox/database-port.js';
import { levelCode } from '../../../src/shared/outbox/errors.js';
import { temporaryDirectory } from '../../support/temporary.js';

function hosted(path: string): { host: DatabaseHost; database: RemoteDatabase } {
  const { port1, port2 } = new MessageChannel();
  return { host: new DatabaseHost(port1), database: new RemoteDatabase(new DatabasePort(port2), path) };
}

const digits = (number: number): string => number.toString().padStart(6, '0');

test('what is written over the port is read over it and by the next owner, page by page', async (context) => {
  const path = join(temporaryDirectory(context), 'outbox');
  const { host, database } = hosted(path);
  await database.open();
  const value = Buffer.from('the value of this key alone, not the pool it is cut from');
  const puts = Array.from({ length: 1000 }, (_, n) => ({
    type: 'put' as const,
    key: `k/${digits(n)}`,
    value,
  }));
  await database.batch(puts, { sync: true });
  assert.equal(value.length, 56, 'the caller keeps its bytes');
  await database.batch([{ type: 'del', key: 'k/000500' }], { sync: false });
  assert.equal((await database.get('k/000499'))?.toString(), value.toString());
  assert.equal(await database.get('k/000500'), undefined);
  const range = { gte: 'k/', lt: 'k0' };
  const keys: string[] = [];
  for await (const key of database.keys(range)) keys.push(key);
  const entries: string[] = [];
  for await (const [key, stored] of database.entries(range)) if (stored.equals(value)) entries.push(key);
  assert.deepEqual(entries, keys);
  assert.equal(keys.length, 999);
  await host.close();
  await assert.rejects(database.get('k/000001'), /gone/);
  const next = new LevelDatabase(path);
  await next.open();
  assert.equal((await next.get('k/000999'))?.length, value.length);
  await next.close();
});

test('LevelDB’s errors come over with code and cause', async (context) => {
  const path = join(temporaryDirectory(context), 'outbox');
  const owner = new LevelDatabase(path);
  await owner.open();
  context.after(() => owner.close());
  const { host, database } = hosted(path);
  context.after(() => host.close());
  await assert.rejects(database.open(), (error) => levelCode(error) === 'LEVEL_LOCKED');
  await assert.rejects(database.get('key'), /not open/);
});

test('threads that end in the midst of their writes harm neither the process nor what was answered', async (context) => {
  const path = join(temporaryDirectory(context), 'outbox');
  const program = `
    const { workerData, parentPort } = require('node:worker_threads');
    import(workerData.module).then(async ({ DatabasePort, RemoteDatabase }) => {
      const database = new RemoteDatabase(new DatabasePort(workerData.port), workerData.path);
      await database.open();
      for (let n = 0; ; n++) {
        await database.batch([{ type: 'put', key: 'k/' + n, value: Buffer.alloc(2000) }], { sync: false });
        if (n % 10 === 0) for await (const _ of database.entries({ gte: 'k/', lt: 'k0' })) break;
        parentPort.postMessage(n);
      }
    });
  `;
  const module = new URL('../../../src/shared/outbox/database-port.js', import.meta.url).href;
  for (let round = 0; round < 25; round++) {
    const { port1, port2 } = new MessageChannel();
    const host = new DatabaseHost(port1);
    const worker = new Worker(program, {
      eval: true,
      workerData: { port: port2, path, module },
      transferList: [port2],
    });
    let last = -1;
    await new Promise<void>((resolve, reject) => {
      worker.on('error', reject);
      worker.on('message', (n: number) => {
        last = n;
        if (n === 20 + round) resolve();
      });
    });
    await worker.terminate();
    await host.close();
    const reader = new LevelDatabase(path);
    await reader.open();
    assert.ok(await reader.get(`k/${last}`), `write ${last} of round ${round}`);
    await reader.close();
  }
});
