/** A leader of three brokers dies, or stands still, in the middle of announcements. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { joinPeer, numberOf, outcomesOf, subtreeData } from '../support/gossip.js';
import { startKafka } from '../support/kafka/index.js';
import { partitionsOf } from '../support/kafka/topics.js';
import { recordsOf, serverSettings, startServer } from '../support/server.js';
import { waitFor } from '../support/wait.js';

const TOPIC = 'teranode/bitcoin/1.0.0/regtest-subtree';
const BEFORE = 500;
const AFTER = 500;
const PAUSE_MS = 5;
const RECOVERY_MS = 60_000;

for (const [what, end] of [
  ['is killed', 'kill'],
  // Its connections stay open, and the machine goes on taking new ones.
  ['stands still', 'pause'],
] as const) {
  test(
    `the partition’s leader ${what} in mid-production: nothing is lost or reordered, and production resumes by itself`,
    {
      timeout: 240_000,
    },
    (context) => endLeader(context, end),
  );
}

async function endLeader(testing: TestContext, end: 'kill' | 'pause'): Promise<void> {
  // Backwards: the brokers go last.
  const endings: (() => unknown)[] = [];
  const context = { after: (ending: () => unknown) => endings.unshift(ending) } as unknown as TestContext;
  testing.after(async () => {
    for (const ending of endings) await ending();
  });
  const kafka = await startKafka(context, { brokers: 3 });
  const server = await startServer(
    context,
    serverSettings(context, {
      ...kafka.settings(['blocks', 'subtrees'], { partitions: 1, retention: 3_600_000 }),
      logLevel: 'warn',
      p2p_node_status_interval: 3_600_000,
      p2p_max_announcers_per_hash: 0,
    }),
  );
  const topic = server.settings.kafka_subtreesConfig?.topic ?? '';
  const peer = await joinPeer(context, server, { topics: [TOPIC] });

  let announced = 0;
  const going = new AbortController();
  context.after(() => going.abort());
  const announcing = (async () => {
    while (!going.signal.aborted) {
      await peer.publish(TOPIC, subtreeData(peer.id, announced++));
      await delay(PAUSE_MS);
    }
  })();
  const readiness = async (): Promise<number> =>
    (
      await fetch(`http://127.0.0.1:${server.server.ports.health}/health/readiness`, {
        headers: { connection: 'close' },
      })
    ).status;

  await waitFor(() => announced >= BEFORE, { what: 'the first announcements', timeoutMs: 60_000 });
  const admin = await kafka.admin();
  const [partition] = await partitionsOf(admin, topic, ([only]) => only?.isr.length === 3);
  const leader = partition?.leader ?? -1;
  context.after(() => kafka.broker(leader).resume());
  await kafka.broker(leader)[end]();
  const killed = performance.now();
  const announcedThen = announced;
  await waitFor(async () => (await readiness()) === 503, { what: 'readiness 503', timeoutMs: RECOVERY_MS });
  const told = performance.now() - killed;
  await waitFor(async () => (await readiness()) === 200, { what: 'readiness 200', timeoutMs: RECOVERY_MS });
  const recovered = performance.now() - killed;
  await waitFor(() => announced >= announcedThen + AFTER, { what: 'more of them', timeoutMs: 60_000 });
  going.abort();
  await announcing;
  await waitFor(async () => (await outcomesOf(server)).get('subtree ok') === announced, {
    what: 'every verdict',
    timeoutMs: 30_000,
  });

  const { records } = await recordsOf(context, server, 'kafka_subtreesConfig');
  const first = (): number[] => {
    const seen = new Set<number>();
    for (const { key } of records) seen.add(numberOf(Buffer.from(key ?? []).toString()));
    return [...seen];
  };
  await waitFor(() => first().length === announced, {
    what: `${announced} records`,
    everyMs: 200,
    timeoutMs: RECOVERY_MS,
  });
  assert.deepEqual(
    first(),
    Array.from({ length: announced }, (_, n) => n),
  );
  const line = `${announced} announced; readiness failed after ${told} ms and was back after ${recovered} ms; ${records.length - announced} records twice`;
  testing.diagnostic(line);
}
