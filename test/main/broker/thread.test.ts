import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { EmbeddedBrokerThread } from '../../../src/main/broker/index.js';
import { EmbeddedBrokerClient } from '../../../src/shared/sinks/kafka/embedded/client.js';
import { RecordFaultError } from '../../../src/shared/sinks/kafka/types.js';
import { keptLog } from '../../support/logger.js';
import { temporaryDirectory } from '../../support/temporary.js';

test('the broker’s thread serves until it is stopped', async (context) => {
  const socketPath = join(temporaryDirectory(context), 'broker.sock');
  const thread = new EmbeddedBrokerThread(
    { logger: keptLog().logger },
    { socketPath, logLevel: 'silent', maxRecordBytes: 100 },
  );
  assert.equal((await thread.health()).status, 503);
  await thread.start();
  context.after(() => thread.stop());
  assert.equal((await thread.health()).status, 200);
  const client = new EmbeddedBrokerClient({ socketPath });
  context.after(() => client.close());
  await client.createTopic({ topic: 't', partitions: 1, retentionMs: 1000 });
  await client.produce('t', [{ value: Buffer.from('a') }]);
  await assert.rejects(client.produce('t', [{ value: Buffer.alloc(101) }]), RecordFaultError);
  assert.equal((await client.topics())[0]?.offsets[0]?.next, 1);
  await thread.stop();
  await assert.rejects(client.topics());
});

test('a socket path that cannot be used fails the start', async (context) => {
  const socketPath = join(temporaryDirectory(context), 'missing', 'broker.sock');
  const thread = new EmbeddedBrokerThread({ logger: keptLog().logger }, { socketPath, logLevel: 'silent' });
  await assert.rejects(thread.start(), /cannot start.*listen/);
  assert.equal((await thread.health()).status, 503);
  await thread.stop();
});
