/** A hundred lives of a server of which everything dies at random, beside a real Kafka whose broker stands still now and then. */

import { test } from 'node:test';
import { deathsWithKafka } from '../support/deaths/kafka.js';
import { dieAtRandom } from '../support/deaths/run.js';

test('through a hundred lives, whatever dies when: journal, Kafka and clients have what was accepted, all of it, once, in order', async (context) => {
  await dieAtRandom(context, { lives: 100, ...(await deathsWithKafka(context)) });
});
