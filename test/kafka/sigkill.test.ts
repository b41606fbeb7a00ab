/** The server, its threads and processes are killed again and again, and its broker stands still now and then. */

import { test } from 'node:test';
import { deathsWithKafka } from '../support/deaths/kafka.js';
import { dieAtRandom } from '../support/deaths/run.js';

test('what a server whose parts and process die at random had accepted is in Kafka: all of it, in order, again only after a death', async (context) => {
  await dieAtRandom(context, { lives: 15, ...(await deathsWithKafka(context)) });
});
