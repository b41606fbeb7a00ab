/** What Kafka refuses: a topic without its right, a topic that is gone, a record that is too large. */

import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import kafkajs, { type Admin } from 'kafkajs';
import type { OutboxTopic } from '../../src/shared/sinks/types.js';
import { type KafkaCluster, startKafka } from '../support/kafka/index.js';
import { changesApplied, makeTopic } from '../support/kafka/topics.js';
import { announcement, type PublisherUnderTest, startPublisher } from '../support/publisher.js';
import { waitFor } from '../support/wait.js';

const WAIT_MS = 60_000;
const LIMIT = 20_000;
const LOOKS = 10;
const { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } = kafkajs;

const names = (count: number, prefix: string): string[] =>
  Array.from({ length: count }, (_, index) => `${prefix} ${index}`);

describe('what Kafka refuses', { concurrency: 1 }, () => {
  let kafka: KafkaCluster;
  let admin: Admin;
  const ends: (() => unknown)[] = [];

  before(async () => {
    const context = { after: (end: () => unknown) => ends.unshift(end) } as unknown as TestContext;
    kafka = await startKafka(context, { authorizer: true });
    admin = await kafka.admin();
  });

  after(async () => {
    for (const end of ends) await end();
  });

  function start(context: TestContext) {
    const topics = { blocks: kafka.topic('blocks'), subtrees: kafka.topic('subtrees') };
    const publisher = startPublisher(context, '', {
      kafka_blocksConfig: kafka.url(topics.blocks, { partitions: 1 }),
      kafka_subtreesConfig: kafka.url(topics.subtrees, { partitions: 1 }),
    });
    return { publisher, topics };
  }

  async function announce(
    publisher: PublisherUnderTest,
    topic: 'blocks' | 'subtrees',
    which: readonly string[],
    padding = 0,
  ): Promise<void> {
    const outcomes = await publisher.outcomes(which.map((name) => announcement(name, { topic, padding })));
    assert.deepEqual([...new Set(outcomes)], ['ok']);
  }

  const statusOf = async (publisher: PublisherUnderTest, topic: string): Promise<OutboxTopic> => {
    const status = (await publisher.run('outbox', {})).find((each) => each.topic === topic);
    assert.ok(status);
    return status;
  };

  const drained = (publisher: PublisherUnderTest, topic: string): Promise<unknown> =>
    waitFor(
      async () => {
        const { waiting, state } = await statusOf(publisher, topic);
        return waiting === 0 && state === 'flowing';
      },
      { what: `${topic} to drain`, timeoutMs: WAIT_MS },
    );

  /** Names in the order of the topic, read with every right. */
  async function read(context: TestContext, topic: string, count: number): Promise<string[]> {
    const found: string[] = [];
    const consumer = kafka.client().consumer({ groupId: kafka.topic('group'), maxWaitTimeInMs: 200 });
    context.after(() => consumer.disconnect());
    await consumer.connect();
    await consumer.subscribe({ topics: [topic], fromBeginning: true });
    await consumer.run({
      eachMessage: async ({ message }) => {
        found.push(String(message.value).trim());
      },
    });
    await waitFor(() => found.length >= count, { what: `${count} records`, timeoutMs: WAIT_MS });
    return found;
  }

  test('a right that is withdrawn makes its topic wait, and only it; given back, what waited arrives', async (context) => {
    const { publisher, topics } = start(context);
    await announce(publisher, 'subtrees', names(20, 'before'));
    await drained(publisher, 'subtrees');
    const acl = {
      resourceType: AclResourceTypes.TOPIC,
      resourceName: topics.subtrees,
      resourcePatternType: ResourcePatternTypes.LITERAL,
      principal: 'User:ANONYMOUS',
      host: '*',
      operation: AclOperationTypes.WRITE,
      permissionType: AclPermissionTypes.DENY,
    };
    const everything = { ...acl, operation: AclOperationTypes.ALL, permissionType: AclPermissionTypes.ALLOW };
    await admin.createAcls({ acl: [everything, acl] });
    await changesApplied(admin);
    for (const round of [1, 2, 3]) {
      await announce(publisher, 'subtrees', names(20, `without ${round}`));
      await announce(publisher, 'blocks', names(20, `block ${round}`));
    }
    await drained(publisher, 'blocks');
    await waitFor(async () => (await statusOf(publisher, 'subtrees')).state === 'topic_fault', {
      what: 'the fault',
      timeoutMs: WAIT_MS,
    });
    // It stays one through every attempt, also while the topic itself answers, and is the only one.
    let looks = 0;
    await waitFor(
      async () => {
        const { state, waiting, error } = await statusOf(publisher, 'subtrees');
        assert.equal(state, 'topic_fault');
        assert.ok(waiting > 0);
        assert.match(error, /TOPIC_AUTHORIZATION_FAILED/);
        const ailing = (await publisher.run('health', {})).filter(({ status }) => status !== 200);
        const subtrees = ailing.find(({ resource }) => resource === `kafka ${topics.subtrees}`);
        assert.ok(subtrees !== undefined);
        // A loaded broker may keep another question waiting for once.
        looks =
          ailing.length === 1 && /TOPIC_AUTHORIZATION_FAILED/.test(String(subtrees.error)) ? looks + 1 : 0;
        return looks >= LOOKS;
      },
      { what: `${LOOKS} looks that find one fault`, timeoutMs: WAIT_MS, everyMs: 100 },
    );
    await admin.deleteAcls({ filters: [acl] });
    await drained(publisher, 'subtrees');
    const all = [...names(20, 'before'), ...[1, 2, 3].flatMap((round) => names(20, `without ${round}`))];
    assert.deepEqual(await read(context, topics.subtrees, all.length), all);
  });

  test('a topic that may not be made is told of, and made once it may be', async (context) => {
    const topic = kafka.topic('forbidden');
    const denied = {
      resourceType: AclResourceTypes.TOPIC,
      resourceName: topic,
      resourcePatternType: ResourcePatternTypes.LITERAL,
      principal: 'User:ANONYMOUS',
      host: '*',
      operation: AclOperationTypes.CREATE,
      permissionType: AclPermissionTypes.DENY,
    };
    // The right to make any topic, and the right to make this one.
    const acl = [
      denied,
      { ...denied, resourceType: AclResourceTypes.CLUSTER, resourceName: 'kafka-cluster' },
    ].flatMap((each) => [
      each,
      { ...each, operation: AclOperationTypes.ALL, permissionType: AclPermissionTypes.ALLOW },
    ]);
    await admin.createAcls({ acl });
    context.after(() => admin.deleteAcls({ filters: acl }));
    const refused = startPublisher(context, '', {
      kafka_blocksConfig: kafka.url(topic, { partitions: 1 }),
      kafka_subtreesConfig: kafka.url(topic, { partitions: 1 }),
    });
    await announce(refused, 'subtrees', names(5, 'waiting'));
    await waitFor(async () => (await statusOf(refused, 'subtrees')).state === 'topic_fault', {
      what: 'the fault',
      timeoutMs: WAIT_MS,
    });
    assert.match(
      (await statusOf(refused, 'subtrees')).error,
      new RegExp(`topic ${topic} can be neither found nor made: .*AUTHORIZATION_FAILED`),
    );
    await admin.deleteAcls({ filters: acl });
    await drained(refused, 'subtrees');
    assert.deepEqual(await read(context, topic, 5), names(5, 'waiting'));
  });

  test('a topic deleted under the publisher is made again, and what was announced since arrives', async (context) => {
    const { publisher, topics } = start(context);
    await announce(publisher, 'blocks', names(20, 'gone'));
    await drained(publisher, 'blocks');
    await admin.deleteTopics({ topics: [topics.blocks] });
    await waitFor(async () => !(await admin.listTopics()).includes(topics.blocks), {
      what: 'the end of the topic',
      timeoutMs: WAIT_MS,
    });
    for (const round of [1, 2, 3]) {
      await announce(publisher, 'blocks', names(20, `after ${round}`));
      await announce(publisher, 'subtrees', names(20, `subtree ${round}`));
    }
    await drained(publisher, 'subtrees');
    await drained(publisher, 'blocks');
    const all = [1, 2, 3].flatMap((round) => names(20, `after ${round}`));
    const found = await read(context, topics.blocks, all.length);
    assert.deepEqual([...new Set(found)], all);
    assert.equal((await publisher.run('deadLetters', { limit: 10 })).length, 0);
  });

  test('records above the limit become dead letters among good ones, and arrive once the limit is raised', async (context) => {
    const topic = kafka.topic('limited');
    const limit = (bytes: number) => ({ name: 'max.message.bytes', value: String(bytes) });
    await makeTopic(admin, { topic, numPartitions: 1, configEntries: [limit(LIMIT)] });
    const publisher = startPublisher(context, '', {
      kafka_blocksConfig: kafka.url(topic, { partitions: 1 }),
      kafka_subtreesConfig: kafka.url(kafka.topic('subtrees'), { partitions: 1 }),
    });
    const good = names(200, 'good');
    const large = names(3, 'large');
    const mixed = [
      ...[good.slice(0, 10), large.slice(0, 1), good.slice(10, 100), large.slice(1), good.slice(100)].flat(),
    ].map((name) => announcement(name, { padding: name.startsWith('large') ? LIMIT : 100 }));
    assert.deepEqual([...new Set(await publisher.outcomes(mixed))], ['ok']);
    await drained(publisher, 'blocks');
    assert.deepEqual(await read(context, topic, good.length), good);
    const letters = await publisher.run('deadLetters', { limit: 10 });
    assert.equal(letters.length, large.length);
    for (const { reason } of letters) assert.match(reason, /MESSAGE_TOO_LARGE/);
    // A loaded broker may keep one of its questions waiting.
    await waitFor(async () => (await publisher.run('health', {})).every(({ status }) => status === 200), {
      what: 'readiness',
      timeoutMs: WAIT_MS,
    });

    await admin.alterConfigs({
      validateOnly: false,
      resources: [
        { type: kafkajs.ConfigResourceTypes.TOPIC, name: topic, configEntries: [limit(10 * LIMIT)] },
      ],
    });
    await changesApplied(admin);
    assert.deepEqual(await publisher.run('replayDeadLetters', {}), { replayed: large.length });
    await drained(publisher, 'blocks');
    assert.deepEqual(await read(context, topic, good.length + large.length), [...good, ...large]);
    assert.equal((await publisher.run('deadLetters', { limit: 10 })).length, 0);
  });
});
