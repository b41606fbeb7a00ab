/** Rolling updates beside a real Kafka: the next server's producers go on where the last one's cursors are. */

import { test } from 'node:test';
import { deathsWithKafka } from '../support/deaths/kafka.js';
import { dieAtRandom } from '../support/deaths/run.js';

test('what servers that hand over to one another had accepted is in Kafka: all of it, in order, again only where Kafka had not acknowledged it', async (context) => {
  const { broker: _, ...kafka } = await deathsWithKafka(context);
  await dieAtRandom(context, { lives: 4, rolling: true, ...kafka });
});
