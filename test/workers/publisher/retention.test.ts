/** What becomes of the outbox when the journal has grown too large under it. */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { recordsIn, serveBroker } from '../../support/embedded-broker.js';
import { announcement, type PublisherUnderTest, startPublisher } from '../../support/publisher.js';
import { temporaryDirectory } from '../../support/temporary.js';
import { waitFor } from '../../support/wait.js';

const MIB = 1_048_576;
const SMALL = { p2p_feed_retention_bytes: 4 * MIB, kafka_subtreesConfig: 'memory://embedded/subtrees' };

/** Bytes of the files in `directory` that end with `suffix`. */
const bytesOf = (directory: string, suffix: string): number =>
  readdirSync(directory)
    .filter((name) => name.endsWith(suffix))
    .reduce((sum, name) => sum + statSync(join(directory, name)).size, 0);

/** Publishes blocks up to number `to`, each among frames of others that no topic wants. */
async function publish(publisher: PublisherUnderTest, from: number, to: number): Promise<void> {
  for (let n = from; n < to; n += 20) {
    // Whose repeats would be recognised stay for ten minutes in any case.
    const messages = Array.from({ length: 20 }, (_, i) => ({
      ...announcement(`block ${n + i}`, { padding: 100 }),
      repeatKey: '',
    }));
    const others = Array.from({ length: 20 }, (_, i) => ({
      ...announcement(`frame ${n + i}`),
      record: undefined,
      repeatKey: '',
      frame: Buffer.from(JSON.stringify({ type: 'node_status', padding: 'x'.repeat(20_000) })),
    }));
    const outcomes = await publisher.outcomes([...messages, ...others]);
    assert.deepEqual(new Set(outcomes), new Set(['ok']));
  }
}

const names = (count: number): string[] => Array.from({ length: count }, (_, n) => `block ${n}`);

async function lagging(context: TestContext) {
  const directory = temporaryDirectory(context);
  const socketPath = join(temporaryDirectory(context), 'broker.sock');
  const journal = join(directory, 'journal');
  return {
    directory,
    socketPath,
    journal,
    kept: join(journal, 'kept'),
    start: () => startPublisher(context, socketPath, SMALL, directory),
  };
}

test('what Kafka has yet to get outlives the segments that it was in, and the journal stays within its bound', async (context) => {
  const { socketPath, journal, kept, start } = await lagging(context);
  let publisher = start();
  await publish(publisher, 0, 400);
  assert.ok(bytesOf(journal, '.journal') < 6 * MIB, `${bytesOf(journal, '.journal')} bytes of segments`);
  assert.ok(bytesOf(kept, '.kept') > 0);
  assert.equal(
    await publisher.metric('teranode_p2p_journal_kept_bytes', { topic: 'blocks' }),
    bytesOf(kept, '.kept'),
  );
  assert.equal(await publisher.metric('teranode_p2p_journal_bytes'), bytesOf(journal, '.journal'));
  assert.equal(await publisher.waiting(), 400);
  // A death and a start in between, and more that comes.
  await publisher.kill();
  publisher = start();
  assert.equal(await publisher.waiting(), 400);
  await publish(publisher, 400, 500);
  assert.ok(bytesOf(journal, '.journal') < 6 * MIB);
  const broker = await serveBroker(context, { maxBytes: 1 << 28 }, socketPath);
  await waitFor(async () => (await publisher.waiting()) === 0, { what: 'the outbox to drain' });
  const values = (await recordsIn(broker.broker, 'blocks')).map(({ value }) =>
    Buffer.from(value).toString().trim(),
  );
  assert.deepEqual(values, names(500), 'each once, in order');
  assert.deepEqual(readdirSync(kept), []);
  assert.equal(await publisher.close(), 0);
});

test('a journal that grows because nothing can be kept beside it says so in readiness, until it can', async (context) => {
  const { journal, kept, start } = await lagging(context);
  const publisher = start();
  const outbox = async () =>
    (await publisher.run('health', {})).find(({ resource }) => resource === 'outbox')?.message ?? '';
  assert.doesNotMatch(await outbox(), /grows/);
  renameSync(kept, `${kept}.away`);
  await publish(publisher, 0, 400);
  assert.match(await outbox(), /the journal grows, .* cannot be kept beside it: ENOENT/);
  assert.ok(bytesOf(journal, '.journal') > 6 * MIB);
  renameSync(`${kept}.away`, kept);
  await publish(publisher, 400, 500);
  assert.doesNotMatch(await outbox(), /grows/);
  assert.ok(bytesOf(journal, '.journal') < 6 * MIB);
  assert.equal(await publisher.waiting(), 500);
});

test('what is kept beside the journal and damaged there is not skipped in silence either', async (context) => {
  const { socketPath, kept, start } = await lagging(context);
  const first = start();
  await publish(first, 0, 400);
  await first.close(0);
  const [name = ''] = readdirSync(kept).sort();
  const bytes = readFileSync(join(kept, name));
  const at = bytes.indexOf('block 10 ');
  assert.notEqual(at, -1);
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  writeFileSync(join(kept, name), bytes);
  const broker = await serveBroker(context, { maxBytes: 1 << 28 }, socketPath);
  const publisher = start();
  await waitFor(async () => (await publisher.run('outbox', {}))[0]?.state === 'damaged', {
    what: 'the damage',
  });
  const values = async () =>
    (await recordsIn(broker.broker, 'blocks')).map(({ value }) => Buffer.from(value).toString().trim());
  assert.deepEqual(await values(), names(10));
  await publisher.run('acceptLoss', { topic: 'blocks' });
  await waitFor(async () => (await publisher.waiting()) === 0, { what: 'the rest' });
  const rest = (await values()).slice(10);
  assert.equal(rest.at(-1), 'block 399');
  assert.deepEqual(rest, names(400).slice(-rest.length), 'whole from the next stretch on');
  await publisher.close();
});
