import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { Readiness } from '../../src/main/health/readiness.js';
import { outcomeIndex } from '../../src/shared/messages/outcomes.js';
import { ANNOUNCED_TOPICS } from '../../src/shared/messages/topics.js';
import type { CheckedMessage } from '../../src/shared/pipeline/types.js';
import { recordsIn, type ServedBroker, serveBroker } from '../support/embedded-broker.js';
import { announcement, followFrames, startPublisher } from '../support/publisher.js';
import { temporaryDirectory } from '../support/temporary.js';
import { waitFor } from '../support/wait.js';

const TOPICS = ANNOUNCED_TOPICS.map(({ name }) => name);

const valuesIn = async ({ broker }: ServedBroker, topic: string): Promise<string[]> =>
  (await recordsIn(broker, topic)).map(({ value }) => Buffer.from(value).toString().trim());

const names = (count: number, prefix = 'block'): string[] =>
  Array.from({ length: count }, (_, i) => `${prefix} ${i}`);

/** Without what came more than once: at least once is promised, in order. */
const distinct = (values: readonly string[]): string[] => [...new Set(values)];

test('an announcement becomes a record and a numbered frame', async (context) => {
  const broker = await serveBroker(context);
  const publisher = startPublisher(context, broker.socketPath);
  await publisher.run('health', {});
  const frames = followFrames(context, publisher.config.frameSocketPath);
  await waitFor(frames.connected, { what: 'the reader' });
  const [block, subtree] = [announcement('a block'), announcement('a subtree', { topic: 'subtrees' })];
  const { outcomes } = await publisher.publish([block, subtree]);
  assert.deepEqual([...outcomes], [0, 0]);
  await waitFor(async () => (await valuesIn(broker, 'subtrees')).length === 1);
  await waitFor(async () => (await valuesIn(broker, 'blocks')).length === 1);
  const [record] = await recordsIn(broker.broker, 'blocks');
  assert.deepEqual(Buffer.from(record?.key ?? []), Buffer.from(block.record?.key ?? []));
  assert.equal(Buffer.from(record?.value ?? []).toString(), 'a block');
  await publisher.publish([announcement('another')]);
  await waitFor(() => frames.seqs.at(-1) === 2);
  assert.equal(frames.texts.at(-1), Buffer.from(announcement('another').frame).toString());
  await waitFor(async () => (await publisher.waiting()) === 0);
  assert.equal(await publisher.metric('teranode_p2p_kafka_records_total', { outcome: 'acknowledged' }), 3);
  assert.equal(await publisher.close(), 0);
});

test('the node’s own messages are frames and nothing else, however often they come', async (context) => {
  const broker = await serveBroker(context);
  const publisher = startPublisher(context, broker.socketPath);
  const own = announcement('mine', { own: true });
  assert.deepEqual(await publisher.outcomes([own, own]), ['ok', 'ok']);
  assert.deepEqual(await publisher.outcomes([own]), ['ok']);
  assert.equal(await publisher.metric('teranode_p2p_publisher_frames_total'), 3);
  assert.equal(await publisher.waiting(), 0);
  await publisher.close();
  assert.deepEqual(await valuesIn(broker, 'blocks'), []);
});

test('what the checker refused stays refused, without record or frame', async (context) => {
  const broker = await serveBroker(context);
  const publisher = startPublisher(context, broker.socketPath);
  const spoofed: CheckedMessage = { ...announcement('spoofed'), outcome: outcomeIndex('spoofed') };
  const { outcomes } = await publisher.publish([spoofed]);
  assert.deepEqual([...outcomes], [outcomeIndex('spoofed')]);
  assert.equal(await publisher.metric('teranode_p2p_publisher_frames_total'), 0);
  assert.equal(await publisher.waiting(), 0);
});

test('a repeat is no second record, over a restart too, and another originator’s is one', async (context) => {
  const broker = await serveBroker(context);
  const directory = temporaryDirectory(context);
  const first = startPublisher(context, broker.socketPath, {}, directory);
  assert.deepEqual(
    await first.outcomes([announcement('a'), announcement('a'), announcement('a', { author: 'other' })]),
    ['ok', 'repeat', 'ok'],
  );
  await first.close();
  const second = startPublisher(context, broker.socketPath, {}, directory);
  assert.deepEqual(await second.outcomes([announcement('a'), announcement('b')]), ['repeat', 'ok']);
  // Handed again, and never stored.
  assert.deepEqual(await second.outcomes([announcement('a'), announcement('c')], true), ['repeat', 'ok']);
  await second.close();
  assert.deepEqual(await valuesIn(broker, 'blocks'), ['a', 'a', 'b', 'c']);
});

test('a thread ended in mid-flow loses nothing, and the sequence has no gap', async (context) => {
  const broker = await serveBroker(context);
  const directory = temporaryDirectory(context);
  const all = names(400);
  let publisher = startPublisher(context, broker.socketPath, {}, directory);
  await publisher.run('health', {});
  const frames = followFrames(context, publisher.config.frameSocketPath);
  await waitFor(frames.connected, { what: 'the reader' });
  for (let at = 0; at < all.length; ) {
    const answered: Promise<number>[] = [];
    for (let batch = at; batch < at + 100; batch += 10) {
      const messages = all.slice(batch, batch + 10).map((name) => announcement(name));
      answered.push(
        publisher.publish(messages, at > 0).then(
          () => batch + 10,
          () => at,
        ),
      );
    }
    await answered[2];
    await publisher.kill();
    // As the pool does it: what was not answered is sent again.
    at = Math.max(at, ...(await Promise.all(answered)));
    publisher = startPublisher(context, broker.socketPath, {}, directory);
  }
  await publisher.publish([announcement('last')]);
  await waitFor(() => frames.texts.at(-1)?.includes('"last"'), { what: 'the last frame' });
  assert.equal(await publisher.close(), 0);
  assert.deepEqual(distinct(await valuesIn(broker, 'blocks')), [...all, 'last']);
  assert.equal(frames.gaps(), 0);
  const first = frames.seqs[0] as number;
  assert.deepEqual(
    frames.seqs,
    frames.seqs.map((_, i) => first + i),
  );
  assert.equal(frames.seqs.at(-1), 400);
  assert.equal(distinct(frames.texts).length, frames.texts.length, 'no frame came twice');
});

test('without a broker records wait, also over a restart, and flow in order when it comes', async (context) => {
  const socketPath = join(temporaryDirectory(context), 'broker.sock');
  const directory = temporaryDirectory(context);
  const first = startPublisher(context, socketPath, {}, directory);
  const all = names(300);
  for (let i = 0; i < 200; i += 20) {
    const outcomes = await first.outcomes(all.slice(i, i + 20).map((name) => announcement(name)));
    assert.ok(outcomes.every((outcome) => outcome === 'ok'));
  }
  const [blocks] = await waitFor(async () => {
    const topics = await first.run('outbox', {});
    return topics[0]?.state === 'broker_down' ? topics : undefined;
  });
  assert.equal(blocks?.waiting, 200);
  assert.ok((blocks?.oldest ?? 0) > 0);
  assert.equal((await first.run('health', {})).filter(({ status }) => status === 503).length, TOPICS.length);
  assert.equal(await first.close(0), 200);
  const second = startPublisher(context, socketPath, {}, directory);
  for (let i = 200; i < 300; i += 20) {
    await second.publish(all.slice(i, i + 20).map((name) => announcement(name)));
  }
  assert.equal(await second.waiting(), 300);
  const broker = await serveBroker(context, {}, socketPath);
  await waitFor(async () => (await second.waiting()) === 0, { what: 'the outbox to drain' });
  assert.deepEqual(await valuesIn(broker, 'blocks'), all);
  await waitFor(async () => (await second.run('health', {})).every(({ status }) => status === 200));
  assert.equal(await second.close(), 0);
  const third = startPublisher(context, socketPath, {}, directory);
  assert.equal(await third.waiting(), 0);
  await third.close();
  assert.deepEqual(await valuesIn(broker, 'blocks'), all, 'what was acknowledged is not sent again');
});

test('a record that Kafka refuses is a dead letter, its neighbours flow, and it can be put back', async (context) => {
  const socketPath = join(temporaryDirectory(context), 'broker.sock');
  const publisher = startPublisher(context, socketPath);
  const all = names(20).map((name, i) => announcement(name, { padding: i === 7 || i === 13 ? 500 : 0 }));
  await publisher.publish(all);
  const strict = await serveBroker(context, { maxRecordBytes: 300 }, socketPath);
  await waitFor(async () => (await publisher.waiting()) === 0, { what: 'the batch to pass' });
  assert.deepEqual(
    await valuesIn(strict, 'blocks'),
    names(20).filter((_, i) => i !== 7 && i !== 13),
  );
  const letters = await publisher.run('deadLetters', { limit: 10 });
  assert.equal(letters.length, 2);
  assert.equal(letters[0]?.topic, 'blocks');
  assert.match(letters[0]?.reason ?? '', /at most 300/);
  assert.equal(letters[0]?.hash, Buffer.from(all[7]?.record?.key ?? []).toString());
  assert.equal(await publisher.metric('teranode_p2p_dead_letters'), 2);
  await strict.stop();
  const lenient = await serveBroker(context, {}, socketPath);
  assert.deepEqual(await publisher.run('replayDeadLetters', {}), { replayed: 2 });
  await waitFor(async () => (await valuesIn(lenient, 'blocks')).length === 2);
  assert.deepEqual(await valuesIn(lenient, 'blocks'), ['block 7', 'block 13']);
  assert.deepEqual(await publisher.run('deadLetters', { limit: 10 }), []);
  assert.equal(await publisher.close(), 0);
});

test('a topic at fault waits alone', async (context) => {
  const broker = await serveBroker(context, { createTopics: false });
  const topic = { partitions: 1, retentionMs: -1 };
  for (const other of TOPICS.filter((name) => name !== 'blocks'))
    await broker.broker.addTopic({ ...topic, topic: other });
  const publisher = startPublisher(context, broker.socketPath);
  await publisher.publish([announcement('a block'), announcement('a subtree', { topic: 'subtrees' })]);
  await waitFor(async () => (await valuesIn(broker, 'subtrees')).length === 1);
  const [blocks, subtrees] = await waitFor(async () => {
    const topics = await publisher.run('outbox', {});
    return topics[0]?.state === 'topic_fault' ? topics : undefined;
  });
  assert.equal(blocks?.waiting, 1);
  assert.match(blocks?.error ?? '', /topic blocks does not exist/);
  assert.equal(subtrees?.state, 'flowing');
  const sick = (await publisher.run('health', {})).filter(({ status }) => status === 503);
  assert.deepEqual(
    sick.map(({ resource }) => resource),
    ['kafka blocks'],
  );
  await broker.broker.addTopic({ ...topic, topic: 'blocks' });
  await waitFor(async () => (await valuesIn(broker, 'blocks')).length === 1);
  assert.equal(await publisher.close(), 0);
});

test('a full outbox refuses new announcements, takes everything else, and takes them once there is room', async (context) => {
  const socketPath = join(temporaryDirectory(context), 'broker.sock');
  const publisher = startPublisher(context, socketPath, { p2p_outbox_max: 3 });
  const messages = names(5).map((name) => announcement(name));
  assert.deepEqual(await publisher.outcomes(messages), ['ok', 'ok', 'ok', 'outbox_full', 'outbox_full']);
  assert.deepEqual(await publisher.outcomes([announcement('mine', { own: true })]), ['ok']);
  const outbox = (await publisher.run('health', {})).find(({ resource }) => resource === 'outbox');
  assert.match(outbox?.error ?? '', /p2p_outbox_max/);
  assert.equal(
    await publisher.metric('teranode_p2p_publisher_messages_total', { outcome: 'outbox_full' }),
    2,
  );
  const broker = await serveBroker(context, {}, socketPath);
  await waitFor(async () => (await publisher.waiting()) === 0);
  const again = (await publisher.run('health', {})).find(({ resource }) => resource === 'outbox');
  assert.deepEqual(
    [again?.status, again?.message],
    [200, `${TOPICS.map((name) => `0 ${name}`).join(', ')} wait for Kafka, at most 3 each`],
  );
  assert.deepEqual(await publisher.outcomes(messages), ['repeat', 'repeat', 'repeat', 'ok', 'ok']);
  await waitFor(async () => (await valuesIn(broker, 'blocks')).length === 5);
  assert.deepEqual(await valuesIn(broker, 'blocks'), names(5));
  await publisher.close();
});

test('strangers leave the last tenth of the outbox to peers that are none', async (context) => {
  const socketPath = join(temporaryDirectory(context), 'broker.sock');
  const publisher = startPublisher(context, socketPath, { p2p_outbox_max: 20 });
  const strangers = await publisher.outcomes(names(30).map((name) => announcement(name)));
  assert.equal(strangers.filter((outcome) => outcome === 'ok').length, 18);
  const outbox = (await publisher.run('health', {})).find(({ resource }) => resource === 'outbox');
  assert.equal(outbox?.status, 503, 'readiness says so');
  assert.match(outbox?.error ?? '', /p2p_outbox_max/);
  const connected = names(3).map((name) => announcement(`${name} of a peer`, { standing: 'connected' }));
  assert.deepEqual(await publisher.outcomes(connected), ['ok', 'ok', 'outbox_full']);
});

test('a topic at fault fills its own share of the outbox, and the other’s announcements are taken all the same', async (context) => {
  const broker = await serveBroker(context, { createTopics: false });
  const topic = { partitions: 1, retentionMs: -1 };
  await broker.broker.addTopic({ ...topic, topic: 'blocks' });
  const publisher = startPublisher(context, broker.socketPath, { p2p_outbox_max: 3 });
  const subtrees = names(5).map((name) => announcement(name, { topic: 'subtrees' }));
  assert.deepEqual(await publisher.outcomes(subtrees), ['ok', 'ok', 'ok', 'outbox_full', 'outbox_full']);
  const outbox = (await publisher.run('health', {})).find(({ resource }) => resource === 'outbox');
  assert.equal(outbox?.error, 'full: p2p_outbox_max is reached by subtrees');
  const blocks = names(10);
  for (const name of blocks) {
    const mixed = [announcement(`${name}’s subtree`, { topic: 'subtrees' }), announcement(name)];
    assert.deepEqual(await publisher.outcomes(mixed), ['outbox_full', 'ok']);
    await waitFor(async () => (await publisher.waiting()) === 3, { what: `${name} in Kafka` });
  }
  assert.deepEqual(await valuesIn(broker, 'blocks'), blocks);
  await broker.broker.addTopic({ ...topic, topic: 'subtrees' });
  await waitFor(async () => (await publisher.waiting()) === 0, { what: 'the subtrees to flow' });
  assert.deepEqual(await publisher.outcomes(subtrees.slice(3)), ['ok', 'ok']);
  await publisher.close();
});

test('a broker that takes connections and never answers costs its own topic’s line of readiness alone', async (context) => {
  const silent = createServer((socket) => socket.on('error', () => {}));
  const sockets = new Set<Socket>();
  silent.on('connection', (socket) => sockets.add(socket));
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  context.after(() => {
    for (const socket of sockets) socket.destroy();
    silent.close();
  });
  const { port } = silent.address() as AddressInfo;
  const broker = await serveBroker(context);
  const publisher = startPublisher(context, broker.socketPath, {
    kafka_blocksConfig: `kafka://127.0.0.1:${port}/blocks`,
  });
  const readiness = new Readiness(
    { checks: () => [{ resource: 'Kafka', check: () => publisher.run('health', {}) }] },
    { timeoutMs: 10_000 },
  );
  await publisher.run('outbox', {});
  const report = async () => {
    const { dependencies } = await readiness.check();
    return new Map(dependencies.map((line) => [line.resource, line]));
  };
  // While it is first tried, and when that has been given up.
  const first = await waitFor(
    async () => {
      const asked = performance.now();
      const lines = await report();
      // Before readiness itself gives up, after 2 s, whose lines would be lost together; and room for a busy machine.
      const inTime = performance.now() - asked < 4000;
      return inTime && lines.get('kafka subtrees')?.status === 200 ? lines : undefined;
    },
    { what: 'an answer in time, and the other broker in it' },
  );
  assert.deepEqual([...first.keys()].sort(), [...TOPICS.map((name) => `kafka ${name}`), 'outbox'].sort());
  assert.deepEqual(
    ['outbox', 'kafka blocks'].map((resource) => first.get(resource)?.status),
    [200, 503],
  );
  assert.match(first.get('kafka blocks')?.error ?? '', /\w/);
  await publisher.publish([announcement('a block')]);
  await waitFor(async () => (await publisher.run('outbox', {}))[0]?.state === 'broker_down', {
    what: 'the end of the first attempt',
    timeoutMs: 30_000,
  });
  // What is known is said at once: the quickest of three, for a busy machine.
  let quickestMs = Number.POSITIVE_INFINITY;
  let later = first;
  for (let look = 0; look < 3; look++) {
    const began = performance.now();
    later = await report();
    quickestMs = Math.min(quickestMs, performance.now() - began);
  }
  assert.ok(quickestMs < 1000, `${quickestMs} ms`);
  assert.equal(later.get('outbox')?.status, 200);
  assert.equal(later.get('kafka blocks')?.status, 503);
  assert.match(later.get('kafka blocks')?.error ?? '', /\w/);
  assert.equal(
    later.get('kafka blocks')?.message,
    `127.0.0.1:${port} (kafka_blocksConfig): broker_down, 1 records wait in the outbox`,
  );
  await publisher.close(0);
});

test('frames go to the notifications topic in order with their stamp, also after an outage', async (context) => {
  const socketPath = join(temporaryDirectory(context), 'broker.sock');
  const publisher = startPublisher(context, socketPath, {
    kafka_notificationsConfig: 'memory://embedded/notifications',
  });
  await publisher.run('health', {});
  await publisher.publish(names(5).map((name) => announcement(name)));
  const broker = await serveBroker(context, {}, socketPath);
  await publisher.publish([announcement('late', { receivedAt: 77 })]);
  const values = await waitFor(async () => {
    const found = await valuesIn(broker, 'notifications');
    return found.length === 6 ? found : undefined;
  });
  const frames = values.map((value) => JSON.parse(value));
  assert.deepEqual(
    frames.map(({ seq }) => seq),
    [0, 1, 2, 3, 4, 5],
  );
  assert.deepEqual(
    frames.map(({ hash }) => hash),
    [...names(5), 'late'],
  );
  assert.equal(frames[5].received_at, 77);
  assert.equal(new Set(frames.map(({ epoch }) => epoch)).size, 1);
  await publisher.close();
});

test('frames that the notifications topic never had a chance to take follow after a restart', async (context) => {
  const directory = temporaryDirectory(context);
  const socketPath = join(temporaryDirectory(context), 'broker.sock');
  const settings = { kafka_notificationsConfig: 'memory://embedded/notifications' };
  const first = startPublisher(context, socketPath, settings, directory);
  await first.run('health', {});
  assert.deepEqual(await first.outcomes([announcement('a'), announcement('b')]), ['ok', 'ok']);
  await first.close();
  const broker = await serveBroker(context, {}, socketPath);
  const second = startPublisher(context, socketPath, settings, directory);
  assert.deepEqual(await second.outcomes([announcement('c')]), ['ok']);
  await waitFor(async () => (await valuesIn(broker, 'notifications')).length === 3, {
    what: 'the frames of both runs',
  });
  const seqs = (await valuesIn(broker, 'notifications')).map((value) => JSON.parse(value).seq);
  assert.deepEqual(seqs, [0, 1, 2]);
  await second.close();
});

test('a batch that is handed again after its publisher’s death is answered as it was, and stored once', async (context) => {
  const socketPath = join(temporaryDirectory(context), 'broker.sock');
  const directory = temporaryDirectory(context);
  const changes = { p2p_outbox_max: 3 };
  const batch = [
    announcement('mine', { own: true }),
    announcement('a'),
    announcement('mine', { own: true }),
    // Without a key by which a repeat would be known, as our own requests to catch up are.
    { ...announcement('b'), repeatKey: '', frame: new Uint8Array(0) },
    announcement('c'),
    announcement('d'),
  ];
  const answer = ['ok', 'ok', 'ok', 'ok', 'ok', 'outbox_full'];
  const first = startPublisher(context, socketPath, changes, directory);
  assert.deepEqual(await first.outcomes(batch, false, 77), answer);
  await first.kill();
  const second = startPublisher(context, socketPath, changes, directory);
  await second.run('health', {});
  const frames = followFrames(context, second.config.frameSocketPath);
  await waitFor(frames.connected, { what: 'the reader' });
  assert.deepEqual(await second.outcomes(batch, true, 77), answer);
  assert.equal(await second.waiting(), 3);
  const broker = await serveBroker(context, {}, socketPath);
  await waitFor(async () => (await second.waiting()) === 0, { what: 'the outbox to drain' });
  assert.deepEqual(await second.outcomes([announcement('next')]), ['ok']);
  await waitFor(() => frames.seqs.length > 0, { what: 'the next frame' });
  assert.deepEqual(frames.seqs, [4], 'two of our own and two of others came before');
  await second.close();
  assert.deepEqual(await valuesIn(broker, 'blocks'), ['a', 'b', 'c', 'next']);
});

test('what was a repeat is a repeat again when its batch is handed again after its publisher’s death', async (context) => {
  const socketPath = join(temporaryDirectory(context), 'broker.sock');
  const directory = temporaryDirectory(context);
  const mixed = [announcement('a'), announcement('b'), announcement('a', { receivedAt: 2 })];
  const repeats = [announcement('b', { receivedAt: 3 })];
  const first = startPublisher(context, socketPath, {}, directory);
  assert.deepEqual(await first.outcomes(mixed, false, 77), ['ok', 'ok', 'repeat']);
  assert.deepEqual(await first.outcomes(repeats, false, 78), ['repeat']);
  await first.kill();
  const second = startPublisher(context, socketPath, {}, directory);
  assert.deepEqual(await second.outcomes(mixed, true, 77), ['ok', 'ok', 'repeat']);
  assert.deepEqual(await second.outcomes(repeats, true, 78), ['repeat']);
  await second.close();
});

/** Flips a bit in the middle of what `text` is in below `directory`'s journal. */
function damage(directory: string, text: string): void {
  for (const name of readdirSync(join(directory, 'journal')).filter((each) => each.endsWith('.journal'))) {
    const path = join(directory, 'journal', name);
    const bytes = readFileSync(path);
    const at = bytes.indexOf(text);
    if (at === -1) continue;
    bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
    writeFileSync(path, bytes);
    return;
  }
  assert.fail(`${text} is in no segment`);
}

test('records that are damaged on the disk are never skipped in silence: the topic waits until the loss is accepted', async (context) => {
  const directory = temporaryDirectory(context);
  const socketPath = join(temporaryDirectory(context), 'broker.sock');
  const first = startPublisher(context, socketPath, {}, directory);
  for (const name of ['one', 'second to none', 'three']) await first.publish([announcement(name)]);
  await first.close(0);
  damage(directory, 'second to none');
  const broker = await serveBroker(context, {}, socketPath);
  const publisher = startPublisher(context, socketPath, {}, directory);
  const [blocks] = await waitFor(async () => {
    const topics = await publisher.run('outbox', {});
    return topics[0]?.state === 'damaged' ? topics : undefined;
  });
  assert.deepEqual(await valuesIn(broker, 'blocks'), ['one']);
  assert.match(blocks?.error ?? '', /entries 1 to 1 of the journal cannot be read.*accept-loss blocks/);
  const sick = (await publisher.run('health', {})).filter(({ status }) => status === 503);
  assert.ok(
    sick.some(({ resource, error }) => resource === 'kafka blocks' && /accept-loss/.test(error ?? '')),
  );
  assert.equal(await publisher.metric('teranode_p2p_outbox_damaged_records_total', { topic: 'blocks' }), 1);
  assert.deepEqual(await publisher.outcomes([announcement('four')]), ['ok'], 'what is new is taken');
  assert.deepEqual(await valuesIn(broker, 'blocks'), ['one']);
  await publisher.run('acceptLoss', { topic: 'blocks' });
  await waitFor(async () => (await publisher.waiting()) === 0, { what: 'the rest' });
  assert.deepEqual(await valuesIn(broker, 'blocks'), ['one', 'three', 'four']);
  await assert.rejects(publisher.run('acceptLoss', { topic: 'blocks' }), /does not wait/);
  await publisher.close();
});

test('what comes after a cursor was found damaged is owed, however often it starts before the loss is accepted', async (context) => {
  const directory = temporaryDirectory(context);
  const broker = await serveBroker(context);
  const start = () => startPublisher(context, broker.socketPath, {}, directory);
  const first = start();
  await first.publish([announcement('before')]);
  await waitFor(async () => (await first.waiting()) === 0);
  await first.close();
  const cursors = join(directory, 'journal', 'cursors');
  writeFileSync(join(cursors, 'kafka.blocks.cursor'), Buffer.alloc(8192));
  writeFileSync(join(cursors, 'kafka.blocks (copy).cursor'), Buffer.alloc(8192));
  for (const name of ['one', 'two']) {
    const publisher = start();
    assert.deepEqual(await publisher.outcomes([announcement(name)]), ['ok']);
    const [blocks] = await publisher.run('outbox', {});
    assert.equal(blocks?.state, 'damaged');
    await publisher.kill();
  }
  const last = start();
  assert.equal(await last.waiting(), 2);
  assert.deepEqual(await valuesIn(broker, 'blocks'), ['before']);
  await last.run('acceptLoss', { topic: 'blocks' });
  await waitFor(async () => (await last.waiting()) === 0, { what: 'what came since' });
  assert.deepEqual(await valuesIn(broker, 'blocks'), ['before', 'one', 'two']);
  await last.close();
  const again = start();
  assert.ok((await again.run('outbox', {})).every(({ state }) => state === 'flowing'));
  await again.close();
});

test('a place in the journal that no setting names any more is told of, and dropped on request', async (context) => {
  const directory = temporaryDirectory(context);
  const broker = await serveBroker(context);
  const first = startPublisher(
    context,
    broker.socketPath,
    { kafka_notificationsConfig: 'memory://embedded/notifications' },
    directory,
  );
  await first.publish([announcement('a')]);
  await first.close();
  const second = startPublisher(context, broker.socketPath, {}, directory);
  const outbox = async () => (await second.run('health', {})).find(({ resource }) => resource === 'outbox');
  assert.deepEqual((await outbox())?.status, 200);
  assert.match((await outbox())?.message ?? '', /no setting names kafka\.notifications: .*outbox forget/);
  await assert.rejects(second.run('forget', { cursor: 'kafka.blocks' }), /there is no cursor kafka\.blocks/);
  await second.run('forget', { cursor: 'kafka.notifications' });
  assert.doesNotMatch((await outbox())?.message ?? '', /notifications/);
  await second.close();
});

test('one whose file was deleted too is told of, dropped on request, and missed by nobody where its setting comes back', async (context) => {
  const directory = temporaryDirectory(context);
  const broker = await serveBroker(context);
  const withFrames = { kafka_notificationsConfig: 'memory://embedded/notifications' };
  const start = (changes = {}) => startPublisher(context, broker.socketPath, changes, directory);
  const cursors = join(directory, 'journal', 'cursors');
  const cursor = 'kafka.notifications.cursor';
  const first = start(withFrames);
  await first.publish([announcement('a')]);
  await first.close();
  rmSync(join(cursors, cursor));
  const second = start();
  const outbox = async () => (await second.run('health', {})).find(({ resource }) => resource === 'outbox');
  assert.match((await outbox())?.message ?? '', /no setting names kafka\.notifications: .*outbox forget/);
  await second.run('forget', { cursor: 'kafka.notifications' });
  assert.doesNotMatch((await outbox())?.message ?? '', /notifications/);
  await second.close();
  const third = start(withFrames);
  await third.publish([announcement('b')]);
  assert.ok(existsSync(join(cursors, cursor)));
  assert.ok(!existsSync(join(cursors, 'doubts', cursor)));
  await third.close();
});

for (const [what, gone] of [
  ['file', 'kafka.blocks.cursor'],
  ['directory', ''],
] as const) {
  test(`a topic whose cursor’s ${what} was deleted is not begun anew: it waits until somebody decides, and keeps what came since and what was kept for it`, async (context) => {
    const directory = temporaryDirectory(context);
    const socketPath = join(temporaryDirectory(context), 'broker.sock');
    const start = () => startPublisher(context, socketPath, {}, directory);
    const first = start();
    await first.publish(names(3).map((name) => announcement(name)));
    await first.close(0);
    const journal = join(directory, 'journal');
    const kept = join(journal, 'kept', `kafka.blocks.${'0'.repeat(16)}.${'1'.padStart(16, '0')}.kept`);
    writeFileSync(kept, '');
    rmSync(join(journal, 'cursors', gone), { recursive: true });
    const second = start();
    assert.deepEqual(await second.outcomes([announcement('since')]), ['ok']);
    const [blocks] = await second.run('outbox', {});
    assert.equal(blocks?.state, 'damaged');
    await second.kill();
    assert.ok(existsSync(kept));

    const broker = await serveBroker(context, {}, socketPath);
    const third = start();
    const sick = (await third.run('health', {})).find(({ resource }) => resource === 'kafka blocks');
    assert.equal(sick?.status, 503);
    assert.match(sick?.error ?? '', /its cursor is missing.*accept-loss blocks/);
    await third.run('acceptLoss', { topic: 'blocks' });
    for (const topic of TOPICS.filter((name) => name !== 'blocks'))
      if (gone === '') await third.run('acceptLoss', { topic });
    await waitFor(async () => (await third.waiting()) === 0, { what: 'what came since' });
    assert.deepEqual(await valuesIn(broker, 'blocks'), ['since']);
    await third.close();
    assert.ok(!existsSync(kept));
    const last = start();
    assert.ok((await last.run('outbox', {})).every(({ state }) => state === 'flowing'));
    await last.close();
  });
}

test('a topic whose cursor is damaged is neither sent from the oldest nor from anywhere else until somebody decides', async (context) => {
  const directory = temporaryDirectory(context);
  const socketPath = join(temporaryDirectory(context), 'broker.sock');
  const first = startPublisher(context, socketPath, {}, directory);
  await first.publish(names(3).map((name) => announcement(name)));
  await first.close(0);
  writeFileSync(join(directory, 'journal', 'cursors', 'kafka.blocks.cursor'), Buffer.alloc(8192, 'x'));
  const broker = await serveBroker(context, {}, socketPath);
  const publisher = startPublisher(context, socketPath, {}, directory);
  const sick = (await publisher.run('health', {})).find(({ resource }) => resource === 'kafka blocks');
  assert.equal(sick?.status, 503);
  assert.match(sick?.error ?? '', /its cursor is damaged.*accept-loss blocks/);
  const later = [announcement('later'), announcement('a subtree', { topic: 'subtrees' })];
  assert.deepEqual(await publisher.outcomes(later), ['ok', 'ok']);
  await waitFor(async () => (await valuesIn(broker, 'subtrees')).length === 1, { what: 'the other topic' });
  assert.deepEqual(await valuesIn(broker, 'blocks'), []);
  await publisher.run('acceptLoss', { topic: 'blocks' });
  await waitFor(async () => (await publisher.waiting()) === 0, { what: 'what came since' });
  assert.deepEqual(await valuesIn(broker, 'blocks'), ['later']);
  assert.equal(await publisher.close(), 0);
  const third = startPublisher(context, socketPath, {}, directory);
  assert.deepEqual(await third.outcomes([announcement('last')]), ['ok']);
  await waitFor(async () => (await valuesIn(broker, 'blocks')).length === 2, { what: 'the last' });
  await third.close();
});
