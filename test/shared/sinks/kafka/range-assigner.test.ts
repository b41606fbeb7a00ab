import assert from 'node:assert/strict';
import { test } from 'node:test';
import kafkajs from 'kafkajs';
import { RangeAssigner } from '../../../../src/shared/sinks/kafka/kafkajs/range-assigner.js';

const PARTITIONS: Readonly<Record<string, readonly number[]>> = { one: [0], five: [4, 0, 1, 3, 2], gone: [] };
const assigner = new RangeAssigner(async (topic) => PARTITIONS[topic] ?? []);
const member = (memberId: string, ...topics: string[]) => ({
  memberId,
  memberMetadata: assigner.protocol({ topics }).metadata,
});
const dealt = async (...members: ReturnType<typeof member>[]): Promise<Record<string, object>> =>
  Object.fromEntries(
    (await assigner.assign({ members })).map(({ memberId, memberAssignment }) => [
      memberId,
      { ...kafkajs.AssignerProtocol.MemberAssignment.decode(memberAssignment)?.assignment },
    ]),
  );

test('partitions go to members that read the topic, whoever leads', async () => {
  assert.deepEqual(await dealt(member('a', 'five'), member('b', 'one')), {
    a: { five: [0, 1, 2, 3, 4] },
    b: { one: [0] },
  });
});

test('readers of a topic share it in runs, in the order of their names, and nobody has one twice', async () => {
  assert.deepEqual(await dealt(member('c', 'five', 'one'), member('a', 'five'), member('b', 'one')), {
    a: { five: [0, 1, 2] },
    b: { one: [0] },
    c: { five: [3, 4] },
  });
});

test('a topic that is not there leaves its reader without partitions, and the others theirs', async () => {
  assert.deepEqual(await dealt(member('a', 'gone'), member('b', 'one')), { a: {}, b: { one: [0] } });
});
