/** An outbox that the first version of the format left, as that version's code wrote it, and what becomes of it. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ClassicLevel } from 'classic-level';
import { Registry } from 'prom-client';
import { DeadLetters } from '../../../src/shared/outbox/dead-letters.js';
import { NOTIFIED_KEY } from '../../../src/shared/outbox/keys.js';
import { createOutboxMetrics } from '../../../src/shared/outbox/metrics.js';
import { OutboxStore } from '../../../src/shared/outbox/store.js';
import { recordsIn, serveBroker } from '../../support/embedded-broker.js';
import { keptLog } from '../../support/logger.js';
import { announcement, followFrames, startPublisher } from '../../support/publisher.js';
import { temporaryDirectory } from '../../support/temporary.js';
import { waitFor } from '../../support/wait.js';

const PROCESS = fileURLToPath(new URL('../../support/outbox-process.js', import.meta.url));
const EPOCH = '1c4812a45aa0f7f2';
const upTo = (count: number, from = 0) => Array.from({ length: count - from }, (_, i) => from + i);
/** What waits in it: the first two batches are in Kafka. */
const BLOCKS = upTo(12, 2).flatMap((n) => [`block ${n}`, `block ${n} again`]);
const SUBTREES = upTo(12, 2)
  .filter((n) => n % 2 === 1)
  .map((n) => `subtree ${n}`);

function oldOutbox(): Map<string, Buffer> {
  const file = readFileSync(resolve('test/shared/outbox/format-1.json'), 'utf8');
  const pairs = Object.entries(JSON.parse(file) as Record<string, string>);
  return new Map(pairs.map(([key, value]) => [key, Buffer.from(value, 'base64')]));
}

/** Gives the path of an outbox with these pairs. */
async function outboxOf(context: TestContext, pairs: ReadonlyMap<string, Buffer>): Promise<string> {
  const path = join(temporaryDirectory(context), 'outbox');
  const level = new ClassicLevel<string, Buffer>(path, { valueEncoding: 'buffer' });
  await level.batch([...pairs].map(([key, value]) => ({ type: 'put' as const, key, value })));
  await level.close();
  return path;
}

async function openOutbox(path: string, frameRing = 16) {
  const log = keptLog();
  const store = new OutboxStore({ logger: log.logger }, { path, fsync: false, frameRing });
  return { store, found: await store.open(), log };
}

test('all that an older version left is there after an upgrade', async (context) => {
  const path = await outboxOf(context, oldOutbox());
  for (const time of ['first', 'second']) {
    const { store, found, log } = await openOutbox(path);
    assert.equal(
      log.lines.some(({ msg }) => msg === 'the outbox is upgraded'),
      time === 'first',
    );
    assert.deepEqual([store.epoch, store.nextSeq], [EPOCH, 16]);
    assert.deepEqual(
      found.frames.map(({ seq }) => seq),
      upTo(16),
    );
    assert.equal(found.frames[15]?.json.toString(), '{"type":"block","n":11}');
    assert.deepEqual(
      found.frames.filter(({ own }) => own).map(({ kind, json }) => [kind, json.toString()]),
      [0, 3, 6, 9].map((n) => [4, `{"type":"node_status","n":${n}}`]),
    );
    assert.deepEqual(
      found.repeats.map(({ key }) => key),
      upTo(12).map((n) => `block ${n}`.padEnd(16, '.')),
    );
    assert.ok(found.repeats.every(({ at }) => at > 1_700_000_000_000));
    for (const [topic, names] of [
      ['blocks', BLOCKS],
      ['subtrees', SUBTREES],
    ] as const) {
      const records = (await store.read(topic, 0, 1_000_000)).flatMap((chunk) => chunk.records);
      assert.deepEqual(
        records.map(({ value }) => value.toString()),
        names,
      );
      assert.ok(records.every(({ receivedAt }) => receivedAt > 1_763_999_999_999));
    }
    assert.equal((await store.get(NOTIFIED_KEY))?.readDoubleLE(0), 11);
    const metrics = createOutboxMetrics(new Registry());
    const letters = new DeadLetters({ store, logger: log.logger, metrics });
    await letters.open();
    assert.deepEqual(
      (await letters.list(10)).map(({ id, topic, reason }) => [id, topic, reason]),
      [
        ['1', 'blocks', 'The request included a message larger than the max message size'],
        ['2', 'subtrees', 'not a record'],
      ],
    );
    await store.close();
  }
});

test('a publisher on an older version’s outbox gives Kafka what waits, in order, and goes on in the sequence', async (context) => {
  const path = await outboxOf(context, oldOutbox());
  const broker = await serveBroker(context);
  const publisher = startPublisher(context, broker.socketPath, {}, join(path, '..'));
  await publisher.run('health', {});
  const frames = followFrames(context, publisher.config.frameSocketPath);
  await waitFor(frames.connected, { what: 'the reader' });
  await waitFor(async () => (await publisher.waiting()) === 0, { what: 'the outbox to drain' });
  assert.deepEqual(await publisher.run('replayDeadLetters', {}), { replayed: 2 });
  await waitFor(async () => (await recordsIn(broker.broker, 'subtrees')).length === SUBTREES.length + 1);
  await waitFor(async () => (await recordsIn(broker.broker, 'blocks')).length === BLOCKS.length + 1);
  const values = (await recordsIn(broker.broker, 'blocks')).map(({ value }) => Buffer.from(value).toString());
  assert.deepEqual(values, [...BLOCKS, 'a refused block']);
  await publisher.publish([announcement('new')]);
  await waitFor(() => frames.seqs.at(-1) === 16, { what: 'the next number' });
  assert.equal(await publisher.close(), 0);
});

test('an upgrade that SIGKILL interrupts goes on where it was, however often', async (context) => {
  const pairs = oldOutbox();
  const entry = pairs.get('entries/blocks/0000000000000004/2') ?? Buffer.alloc(0);
  const letter = pairs.get('dead/0000000000000001') ?? Buffer.alloc(0);
  const digits = (n: number): string => String(n).padStart(16, '0');
  for (const n of upTo(6_000)) pairs.set(`entries/subtrees/${digits(100 + n)}/2`, entry);
  for (const n of upTo(1_500)) pairs.set(`dead/${digits(100 + n)}`, letter);
  const position = Buffer.alloc(16);
  position.writeDoubleLE(16, 0);
  position.writeDoubleLE(6_100, 8);
  pairs.set('position', position);
  const path = await outboxOf(context, pairs);
  const whole = await outboxOf(context, pairs);
  let underWay = 0;
  for (const writes of [0, 1, 0, 2, 1]) {
    const child = spawn(process.execPath, [PROCESS, path, String(writes)], {
      stdio: 'inherit',
      env: { ...process.env, NODE_V8_COVERAGE: '' },
    });
    context.after(() => child.kill('SIGKILL'));
    assert.deepEqual(await once(child, 'exit'), [null, 'SIGKILL']);
    const level = new ClassicLevel<string, Buffer>(path, { valueEncoding: 'buffer' });
    const reached = await level.get('upgraded');
    if (reached !== undefined) underWay++;
    // From the first write on an older version is kept away.
    assert.equal(String(await level.get('format')), reached === undefined && underWay === 0 ? '1' : '2');
    await level.close();
  }
  assert.ok(underWay >= 3, `died ${underWay} times on the way`);
  await (await openOutbox(path)).store.close();
  await (await openOutbox(whole)).store.close();
  const contents: [string, string][][] = [];
  for (const each of [path, whole]) {
    const level = new ClassicLevel<string, Buffer>(each, { valueEncoding: 'buffer' });
    contents.push((await level.iterator().all()).map(([key, value]) => [key, value.toString('hex')]));
    await level.close();
  }
  assert.equal(contents[0]?.length, pairs.size + 1, 'no key of the upgrade is left');
  assert.deepEqual(contents[0], contents[1]);
  context.diagnostic(`died ${underWay} times on the way`);
});
