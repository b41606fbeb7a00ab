/** The server is killed again and again: what it had passed on to the network is in Kafka. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { sumOf } from '../support/gossip.js';
import { startKafka } from '../support/kafka/index.js';
import { randomNumbers } from '../support/random.js';
import { launchServer, type ServerProcess } from '../support/server-process.js';
import { keysIn, SubtreeTraffic, scrapeOf } from '../support/subtree-traffic.js';
import { temporaryDirectory } from '../support/temporary.js';
import { waitFor } from '../support/wait.js';

const DEATHS = 10;
const PER_SECOND = 200;
/** Of a server’s life under load. */
const LONGEST_MS = 3_000;
/** Of a server that dies while it starts: from the second on, it has what the last one left. */
const LONGEST_START_MS = 2_000;

async function kill({ child, exit }: ServerProcess): Promise<void> {
  child.kill('SIGKILL');
  assert.equal((await exit).signal, 'SIGKILL');
}

test('what a server that is killed ten times had passed on is in Kafka, every announcement of it', {
  timeout: 240_000,
}, async (context) => {
  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
  context.diagnostic(`SEED=${seed}`);
  const random = randomNumbers(seed);
  const kafka = await startKafka(context, { own: true });
  const topic = kafka.topic('subtrees');
  const directory = temporaryDirectory(context);
  const set = {
    kafka_subtreesConfig: kafka.url(topic),
    kafka_blocksConfig: kafka.url(kafka.topic('blocks')),
  };
  const traffic = await SubtreeTraffic.create(context);
  const began = performance.now();
  let starts = 0;
  context.after(() => kafka.broker(1).resume());
  for (let death = 0; death < DEATHS; death++) {
    const run = launchServer(context, { directory, set });
    const moment = random();
    // And two with a broker that does not answer, so that the outbox of the next two is not empty.
    if (death % 5 === 2) kafka.broker(1).pause();
    if (death % 5 === 4) kafka.broker(1).resume();
    // Two of the ten die before they are ready, with the outbox of the one before.
    if (death % 5 === 3) {
      starts++;
      await delay(moment * LONGEST_START_MS);
    } else {
      await traffic.join(await run.ready());
      const end = traffic.start(PER_SECOND);
      await delay(100 + moment * LONGEST_MS);
      await kill(run);
      await end();
    }
    await kill(run);
  }
  const passedOn = traffic.passedOn;
  const last = launchServer(context, { directory, set });
  const server = await last.ready();
  const left = sumOf(await scrapeOf(server), 'teranode_p2p_outbox_depth');
  await waitFor(
    async () => {
      const scrape = await scrapeOf(server);
      return /teranode_p2p_outbox_depth/.test(scrape) && sumOf(scrape, 'teranode_p2p_outbox_depth') === 0;
    },
    { what: 'an empty outbox', timeoutMs: 60_000, everyMs: 200 },
  );
  const seconds = (performance.now() - began) / 1000;
  const keys = await keysIn(kafka, topic, passedOn.size);
  const there = new Set(keys);
  const lost = [...passedOn].filter((hash) => !there.has(hash));
  assert.deepEqual(lost, [], `${lost.length} of ${passedOn.size} were passed on and are not in Kafka`);
  assert.ok(passedOn.size > 200, `only ${passedOn.size} were passed on`);
  context.diagnostic(
    `${traffic.sent} sent, ${passedOn.size} passed on, ${there.size} in Kafka, ${keys.length - there.size} of them again; ` +
      `${DEATHS} deaths, ${starts} of them at start, in ${seconds.toFixed(0)} s; ${left} waited at the last start`,
  );
});
