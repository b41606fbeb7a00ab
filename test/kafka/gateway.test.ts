/** Gateways on a real Kafka: what nodes wrote is shown once, in one order, everywhere, whatever ends meanwhile. */

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { Senders } from '../../bench/gossip/arena.js';
import { hashAt } from '../../bench/gossip/traffic.js';
import { recordPlaceOf } from '../../src/shared/firehose/gateway-entry.js';
import { frameOf } from '../../src/shared/journal/entry.js';
import type { RunFile } from '../../src/shared/process/run-file.js';
import type { KafkaRecord } from '../../src/shared/sinks/kafka/types.js';
import { WritingNode } from '../support/gateway.js';
import { readAll } from '../support/journal.js';
import { type KafkaCluster, startKafka } from '../support/kafka/index.js';
import { makeTopic } from '../support/kafka/topics.js';
import { listen } from '../support/notifications.js';
import { randomNumbers } from '../support/random.js';
import { launchServer, refusedStart, type ServerProcess } from '../support/server-process.js';
import { temporaryDirectory } from '../support/temporary.js';
import { waitFor } from '../support/wait.js';

const WAIT = { timeoutMs: 60_000, everyMs: 50 };
const RETENTION = { partitions: 1, retention: 86_400_000 };

interface RunningGateway {
  readonly run: ServerProcess;
  readonly found: RunFile;
  readonly directory: string;
  readonly url: string;
  readiness(): Promise<{ readonly status: string; readonly error: string; readonly message: string }>;
  metric(name: string): Promise<number>;
}

async function startGateway(
  context: Pick<TestContext, 'after'>,
  topicUrl: string,
  {
    directory = temporaryDirectory(context),
    set = {},
  }: { directory?: string; set?: Record<string, string> } = {},
): Promise<RunningGateway> {
  const run = launchServer(context, {
    directory,
    command: ['gateway'],
    set: { kafka_notificationsConfig: topicUrl, p2p_notification_servers: '1', ...set },
  });
  const found = await run.ready();
  const topic = new URL(topicUrl).pathname.slice(1);
  return {
    run,
    found,
    directory,
    url: `ws://127.0.0.1:${found.ports.http}/p2p-ws`,
    readiness: async () => {
      const answer = await fetch(`http://127.0.0.1:${found.ports.health}/health/readiness`);
      const { dependencies } = (await answer.json()) as {
        dependencies: { resource: string; status: string; error: string; message: string }[];
      };
      return dependencies.find(({ resource }) => resource === `kafka ${topic}`) ?? assert.fail(topic);
    },
    metric: async (name) => {
      const scrape = await (await fetch(`http://127.0.0.1:${found.ports.metrics}/metrics`)).text();
      return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(scrape)?.[1] ?? Number.NaN);
    },
  };
}

interface Kept {
  readonly offset: number;
  readonly type: string;
  readonly hash: string;
  readonly height: number;
}

/** What the journal in `directory` holds, in order. */
function kept(directory: string): Kept[] {
  // That of a topic before is there for a while.
  const names = readdirSync(directory).filter((one) => one.startsWith('gateway-'));
  const name = names.sort().at(-1) ?? '';
  return readAll(join(directory, name), 0, Number.POSITIVE_INFINITY, 1 << 20).entries.map(({ bytes }) => ({
    offset: recordPlaceOf(bytes)?.offset ?? Number.NaN,
    ...(JSON.parse(Buffer.from(frameOf(bytes)).toString()) as Omit<Kept, 'offset'>),
  }));
}

/** A client that goes on with its cursor wherever it is sent. */
class Wanderer {
  readonly hashes = new Set<string>();
  readonly offsets: number[] = [];
  readonly infos: unknown[] = [];
  #cursor = 'now';
  #socket: WebSocket | undefined;

  constructor(private readonly context: Pick<TestContext, 'after'>) {}

  /** Resolves when it is greeted; who is not served yet is asked again. */
  async go(url: string): Promise<void> {
    this.#socket?.terminate();
    await waitFor(() => this.#connect(url), { ...WAIT, what: `a place at ${url}` });
  }

  #connect(url: string): Promise<boolean> {
    const socket = new WebSocket(`${url}?kinds=subtree&cursor=${this.#cursor}`);
    this.#socket = socket;
    this.context.after(() => socket.terminate());
    return new Promise((resolve) => {
      socket.once('message', () => resolve(true));
      socket.once('close', () => resolve(false));
      socket.on('error', () => {});
      socket.on('message', (data) => {
        if (socket === this.#socket) this.#take(JSON.parse(String(data)));
      });
    });
  }

  #take({ type, hash, cursor, seq, code }: Readonly<Record<string, unknown>>): void {
    if (type === 'subtree') {
      this.hashes.add(String(hash));
      this.offsets.push(Number(seq));
    }
    if (type === 'info') this.infos.push(code);
    if (typeof cursor === 'string') this.#cursor = cursor;
  }
}

const heights = (directory: string): number[] =>
  kept(directory).flatMap(({ type, height }) => (type === 'block' ? [height] : []));

/** A gateway is ready at its first fault too, with nothing read: what it is to have read by now may come a little later. */
async function holds({ directory }: RunningGateway, wanted: readonly number[]): Promise<void> {
  await waitFor(() => heights(directory).length >= wanted.length, { ...WAIT, what: 'the blocks' });
  assert.deepEqual(heights(directory), wanted);
}

/** A producer of records as a node's publisher writes them. */
async function writer(context: Pick<TestContext, 'after'>, kafka: KafkaCluster, topic: string) {
  const producer = kafka.client().producer({ allowAutoTopicCreation: false });
  await producer.connect();
  context.after(() => producer.disconnect());
  const node = new WritingNode();
  const send = async (records: readonly KafkaRecord[]) => {
    const messages = records.map(({ key = [], value }) => ({
      key: Buffer.from(key),
      value: Buffer.from(value),
    }));
    await producer.send({ topic, messages });
  };
  return {
    raw: (...values: readonly (Buffer | null)[]) =>
      producer.send({ topic, messages: values.map((value) => ({ value })), compression: 1 }),
    status: () => send([node.status('writer')]),
    blocks: (...numbers: readonly number[]) => send(numbers.map((height) => node.block(height))),
  };
}

test('what two nodes write two gateways show once, in one order, over kill -9 of one of them', {
  timeout: 300_000,
}, async (context) => {
  const EACH = 1500;
  const seed = Number(process.env.SEED ?? Date.now() % 100_000);
  context.diagnostic(`SEED=${seed}`);
  const random = randomNumbers(seed);
  const kafka = await startKafka(context);
  const topicUrl = kafka.url(kafka.topic('notifications'), RETENTION);
  const set = { kafka_notificationsConfig: topicUrl, p2p_node_status_interval: '1s' };
  const node = (name: string, more: Record<string, string> = {}) =>
    launchServer(context, {
      set: {
        ...set,
        clientName: name,
        kafka_blocksConfig: kafka.url(kafka.topic('blocks')),
        kafka_subtreesConfig: kafka.url(kafka.topic('subtrees')),
        ...more,
      },
    });
  // GossipSub forwards nothing whose verdict takes more than five heartbeats.
  const one = await node('one', { p2p_heartbeat_interval: '4s' }).ready();
  const address = `/ip4/127.0.0.1/tcp/${one.ports.p2p}/p2p/${one.peerId}`;
  const other = await node('other', { p2p_static_peers: address }).ready();
  const neighbour = await listen(context, `ws://127.0.0.1:${other.ports.http}/p2p-ws`);
  // Two statuses are a second apart: several of its heartbeats, at which it asks for a place in the mesh.
  await waitFor(() => neighbour.frames.filter(({ peer_id }) => peer_id === one.peerId).length >= 2, {
    ...WAIT,
    what: 'the other to hear the one',
  });

  const steady = await startGateway(context, topicUrl);
  let mortal = await startGateway(context, topicUrl);
  const client = await listen(context, steady.url);
  // This one goes to and fro with its cursor, between the one that dies and the one that does not.
  const wanderer = new Wanderer(context);
  await wanderer.go(mortal.url);
  assert.equal(client.frames[0]?.type, 'node_status');

  const senders = await Senders.prepare(
    'teranode/bitcoin/1.0.0/regtest-subtree',
    { messages: EACH },
    { authors: [31] },
  );
  context.after(() => senders.close());
  await senders.connect(address);
  senders.send({ rate: 150 });
  const subtrees = (directory: string): string[] =>
    kept(directory).flatMap(({ type, hash }) => (type === 'subtree' ? [hash] : []));
  for (let death = 0; death < 3; death++) {
    await delay(500 + random() * 1500);
    mortal.run.child.kill('SIGKILL');
    await mortal.run.exit;
    await wanderer.go(steady.url);
    mortal = await startGateway(context, topicUrl, { directory: mortal.directory });
    await delay(300);
    await wanderer.go(mortal.url);
  }
  const expected = Array.from({ length: EACH }, (_, index) => hashAt(index));
  for (const { directory } of [steady, mortal]) {
    await waitFor(() => subtrees(directory).length >= EACH, { ...WAIT, what: 'every subtree' });
    assert.deepEqual(subtrees(directory).toSorted(), expected.toSorted(), 'each once');
  }
  // Each has some more of the statuses that come for ever: up to where both are, they are the same.
  const [all, again] = [kept(steady.directory), kept(mortal.directory)];
  const common = Math.min(all.length, again.length);
  assert.deepEqual(again.slice(0, common), all.slice(0, common), 'the same records, in the same order');
  const merged = await waitFor(
    async () => {
      const count = await steady.metric('teranode_p2p_gateway_records_total\\{outcome="merged"\\}');
      return count >= EACH * 0.9 ? count : undefined;
    },
    { ...WAIT, what: 'most to be merged, as both nodes wrote them' },
  );
  await waitFor(() => client.frames.filter(({ type }) => type === 'subtree').length >= EACH, {
    ...WAIT,
    what: 'the frames of a client',
  });
  await waitFor(() => wanderer.hashes.size >= EACH, { ...WAIT, what: 'the frames of the one that wanders' });
  assert.deepEqual([...wanderer.hashes].toSorted(), expected.toSorted());
  assert.deepEqual(wanderer.infos, [], 'nothing was missing, and no cursor unknown');
  const offsets = wanderer.offsets;
  assert.deepEqual(new Set(offsets).size, wanderer.hashes.size, 'the same records wherever they come from');
  context.diagnostic(`${offsets.length - wanderer.hashes.size} of its frames came again`);
  context.diagnostic(`${EACH} subtrees, ${merged} merged, ${all.length} frames in the journal`);
});

test('a topic that is deleted and made again begins another history, and is followed by itself', {
  timeout: 240_000,
}, async (context) => {
  const kafka = await startKafka(context);
  const topic = kafka.topic('notifications');
  const admin = await kafka.admin();
  await makeTopic(admin, { topic, numPartitions: 1 });
  const { blocks } = await writer(context, kafka, topic);
  await blocks(1, 2, 3);
  const gateway = await startGateway(context, kafka.url(topic), { set: { p2p_gateway_max_lag: '2s' } });
  await holds(gateway, [1, 2, 3]);
  const client = await listen(context, gateway.url, { greeted: false });
  await admin.deleteTopics({ topics: [topic] });
  await waitFor(async () => (await gateway.readiness()).status === '503', { ...WAIT, what: 'readiness' });
  context.diagnostic((await gateway.readiness()).error);
  assert.deepEqual(heights(gateway.directory), [1, 2, 3], 'history is there meanwhile');
  await waitFor(() => makeTopic(admin, { topic, numPartitions: 1 }).catch(() => false), {
    ...WAIT,
    what: 'the topic again',
  });
  // As many as there were, and more: offsets alone would not tell.
  const again = await writer(context, kafka, topic);
  await again.blocks(11, 12, 13, 14, 15);
  await waitFor(() => heights(gateway.directory).length === 5, { ...WAIT, what: 'the new topic' });
  assert.deepEqual(heights(gateway.directory), [11, 12, 13, 14, 15]);
  await waitFor(() => client.code !== undefined, {
    ...WAIT,
    what: 'the end of a client that would have a gap',
  });
  await waitFor(async () => (await gateway.readiness()).status === '200', { ...WAIT, what: 'readiness' });
  assert.equal(await gateway.metric('teranode_p2p_gateway_topics_total'), 1);
});

test('records that are no frames, tombstones among them, are passed and counted', {
  timeout: 240_000,
}, async (context) => {
  const kafka = await startKafka(context);
  const topic = kafka.topic('notifications');
  await makeTopic(await kafka.admin(), { topic, numPartitions: 1 });
  const { blocks, raw } = await writer(context, kafka, topic);
  await blocks(1);
  await raw(null, Buffer.from('no json'), Buffer.from([0xff, 0xfe]), Buffer.from('{"type":"block"}'));
  // In a batch that is packed small.
  await raw(Buffer.alloc(900_000, '{'));
  await blocks(2);
  const gateway = await startGateway(context, kafka.url(topic));
  await blocks(3);
  await raw(null);
  await blocks(4);
  await waitFor(() => heights(gateway.directory).length === 4, { ...WAIT, what: 'the blocks' });
  assert.deepEqual(heights(gateway.directory), [1, 2, 3, 4]);
  const counts = ['shown', 'no_value', 'not_json', 'no_frame', 'too_large'].map((outcome) =>
    gateway.metric(`teranode_p2p_gateway_records_total\\{outcome="${outcome}"\\}`),
  );
  assert.deepEqual(await Promise.all(counts), [4, 2, 2, 1, 1]);
  await waitFor(async () => (await gateway.readiness()).status === '200', { ...WAIT, what: 'readiness' });
});

test('what retention took is told and counted, and reading goes on with the oldest there is', {
  timeout: 240_000,
}, async (context) => {
  const kafka = await startKafka(context);
  const topic = kafka.topic('notifications');
  const admin = await kafka.admin();
  await makeTopic(admin, { topic, numPartitions: 1 });
  const { blocks } = await writer(context, kafka, topic);
  await blocks(1, 2, 3);
  const first = await startGateway(context, kafka.url(topic));
  await holds(first, [1, 2, 3]);
  first.run.child.kill('SIGTERM');
  assert.equal((await first.run.exit).code, 0);
  await blocks(4, 5, 6, 7, 8);
  // It looks for the leader in what it knows.
  await admin.fetchTopicOffsets(topic);
  await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '6' }] });
  // What it cannot merge is not shown: here nothing is to be merged.
  const set = { p2p_gateway_merge_window: '0s' };
  const second = await startGateway(context, kafka.url(topic), { directory: first.directory, set });
  await holds(second, [1, 2, 3, 7, 8]);
  assert.equal(await second.metric('teranode_p2p_gateway_missed_records_total'), 3);
  // One that begins there has what the topic has.
  const late = await startGateway(context, kafka.url(topic), { set });
  await holds(late, [7, 8]);
  assert.match((await late.readiness()).message, /; the topic kept \d+ min less than p2p_feed_retention/);
  assert.doesNotMatch((await second.readiness()).message, /p2p_feed_retention/);
});

test('while the broker is away history is served and readiness fails, and nothing is missing when it is back', {
  timeout: 240_000,
}, async (context) => {
  const kafka = await startKafka(context, { own: true });
  const topic = kafka.topic('notifications');
  await makeTopic(await kafka.admin(), { topic, numPartitions: 1 });
  const { blocks, status } = await writer(context, kafka, topic);
  await blocks(1, 2);
  await status();
  const set = { p2p_gateway_max_lag: '1s' };
  const gateway = await startGateway(context, kafka.url(topic), { set });
  await holds(gateway, [1, 2]);
  const client = await listen(context, gateway.url, { greeted: false });
  await kafka.broker(1).stop();
  await waitFor(async () => (await gateway.readiness()).status === '503', { ...WAIT, what: 'readiness' });
  // One that starts now has what it had.
  gateway.run.child.kill('SIGKILL');
  await gateway.run.exit;
  const again = await startGateway(context, kafka.url(topic), { directory: gateway.directory, set });
  const other = await listen(context, again.url, { greeted: false });
  assert.deepEqual(heights(again.directory), [1, 2]);
  await kafka.broker(1).start();
  const later = await writer(context, kafka, topic);
  await later.blocks(3, 4);
  await waitFor(() => other.heights().length === 2, { ...WAIT, what: 'what came' });
  assert.deepEqual(other.heights(), [3, 4]);
  assert.deepEqual(heights(again.directory), [1, 2, 3, 4]);
  await waitFor(async () => (await again.readiness()).status === '200', { ...WAIT, what: 'readiness' });
  assert.notEqual(client.code, undefined);
});

test('a check where the topic is not there yet says that, and who makes it', {
  timeout: 240_000,
}, async (context) => {
  const kafka = await startKafka(context);
  const topic = kafka.topic('nobody');
  const { code, stdout } = await refusedStart(context, {
    command: ['check', '--gateway', '--network', '--json'],
    set: { kafka_notificationsConfig: kafka.url(topic) },
  });
  assert.equal(code, 1);
  assert.deepEqual(
    (JSON.parse(stdout) as { what: string; message: string }[]).filter(({ what }) => what === 'network'),
    [
      {
        what: 'network',
        state: 'fault',
        message: `kafka_notificationsConfig: topic ${topic} is not there yet: a node with kafka_notificationsConfig makes it`,
      },
    ],
  );
});

test('a topic of two partitions is refused by name, and one that gets a second later is told in readiness', {
  timeout: 240_000,
}, async (context) => {
  const kafka = await startKafka(context);
  const [two, one] = [kafka.topic('two'), kafka.topic('one')];
  const admin = await kafka.admin();
  await makeTopic(admin, { topic: two, numPartitions: 2 });
  const { code, stderr } = await refusedStart(context, {
    command: ['gateway'],
    set: { kafka_notificationsConfig: kafka.url(two) },
  });
  assert.equal(code, 1);
  assert.match(stderr, new RegExp(`kafka_notificationsConfig: topic ${two} has 2 partitions`));
  await makeTopic(admin, { topic: one, numPartitions: 1 });
  const gateway = await startGateway(context, kafka.url(one));
  await admin.createPartitions({ topicPartitions: [{ topic: one, count: 2 }] });
  const told = await waitFor(
    async () => {
      const health = await gateway.readiness();
      return health.status === '503' ? health : undefined;
    },
    { ...WAIT, what: 'readiness' },
  );
  assert.match(told.error, /has 2 partitions/);
});
