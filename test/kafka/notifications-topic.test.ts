/** Frames in their own topic: whole, stamped, and in the order of their numbers, whatever ends meanwhile. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { WebSocket } from 'ws';
import { Senders } from '../../bench/gossip/arena.js';
import { hashAt } from '../../bench/gossip/traffic.js';
import type { RunFile } from '../../src/shared/process/run-file.js';
import { sumOf } from '../support/gossip.js';
import { type KafkaCluster, startKafka } from '../support/kafka/index.js';
import { launchServer, type ServerProcess } from '../support/server-process.js';
import { temporaryDirectory } from '../support/temporary.js';
import { waitFor } from '../support/wait.js';

const RATE = 200;
const EACH = 1500;
const WAIT = { timeoutMs: 60_000, everyMs: 100 };

interface Stamped {
  readonly epoch: string;
  readonly seq: number;
  readonly received_at: number;
  readonly type: string;
  readonly hash?: string;
  readonly peer_id?: string;
}

interface Running {
  readonly run: ServerProcess;
  readonly found: RunFile;
  scrape(): Promise<string>;
  /** Text frames of a WebSocket client. */
  readonly texts: string[];
}

async function start(
  context: Pick<TestContext, 'after'>,
  directory: string,
  set: Readonly<Record<string, string>>,
): Promise<Running> {
  const run = launchServer(context, { directory, set });
  const found = await run.ready();
  const texts: string[] = [];
  const socket = new WebSocket(`ws://127.0.0.1:${found.ports.http}/p2p-ws`);
  context.after(() => socket.terminate());
  socket.on('error', () => {});
  socket.on('message', (data) => texts.push(String(data)));
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  const scrape = async () => (await fetch(`http://127.0.0.1:${found.ports.metrics}/metrics`)).text();
  return { run, found, scrape, texts };
}

/** A sender of `EACH` subtrees by `author`, some a second, and when the server has given so many verdicts. */
async function announce(context: Pick<TestContext, 'after'>, { found, scrape }: Running, author: number) {
  const senders = await Senders.prepare(
    'teranode/bitcoin/1.0.0/regtest-subtree',
    { messages: EACH },
    { authors: [author] },
  );
  context.after(() => senders.close());
  await senders.connect(`/ip4/127.0.0.1/tcp/${found.ports.p2p}/p2p/${found.peerId}`);
  senders.send({ rate: RATE });
  const accepted = (count: number) =>
    waitFor(
      async () =>
        sumOf(await scrape(), 'teranode_p2p_messages_total', { kind: 'subtree', outcome: 'ok' }) >= count,
      { ...WAIT, what: `${count} accepted announcements` },
    );
  return { senders, accepted };
}

const subtrees = (frames: readonly Stamped[]): Stamped[] => frames.filter(({ type }) => type === 'subtree');

async function framesIn(kafka: KafkaCluster, topic: string): Promise<{ lines: string[]; frames: Stamped[] }> {
  const lines = await kafka.consoleConsumer({ topic });
  return { lines, frames: lines.map((line) => JSON.parse(line) as Stamped) };
}

test('frames are in the notifications topic without a gap in the order of seq, over a broker’s and two deaths of the server', {
  timeout: 240_000,
}, async (context) => {
  const kafka = await startKafka(context, { own: true });
  const topic = kafka.topic('notifications');
  const set = {
    kafka_blocksConfig: kafka.url(kafka.topic('blocks')),
    kafka_subtreesConfig: kafka.url(kafka.topic('subtrees')),
    // More partitions than one: what belongs together stays together all the same.
    kafka_notificationsConfig: kafka.url(topic, { partitions: 3, retention: 3_600_000 }),
  };
  const directory = temporaryDirectory(context);

  // The broker goes and comes back in the middle of the first originator's announcements.
  const first = await start(context, directory, set);
  const one = await announce(context, first, 21);
  await one.accepted(300);
  await kafka.broker(1).stop();
  await one.accepted(900);
  await kafka.broker(1).start();
  await one.accepted(EACH);
  await waitFor(() => first.texts.filter((text) => text.includes('"type":"subtree"')).length >= EACH, {
    ...WAIT,
    what: 'the frames of a WebSocket client',
  });
  await one.senders.disconnect().catch(() => {});

  // The server dies with frames on their way and comes back on what it left.
  const two = await announce(context, first, 22);
  await two.accepted(EACH + 400);
  first.run.child.kill('SIGKILL');
  await first.run.exit;
  two.senders.close();

  const second = await start(context, directory, set);
  const three = await announce(context, second, 23);
  await three.accepted(400);
  second.run.child.kill('SIGTERM');
  assert.equal((await second.run.exit).code, 0);
  three.senders.close();
  const third = await start(context, directory, set);
  const four = await announce(context, third, 24);
  await four.accepted(EACH);
  await four.senders.disconnect().catch(() => {});
  third.run.child.kill('SIGTERM');
  assert.equal((await third.run.exit).code, 0);

  const { lines, frames } = await framesIn(kafka, topic);
  assert.equal(new Set(frames.map(({ epoch }) => epoch)).size, 1, 'the epoch outlives the process');
  assert.ok(frames.every(({ received_at }) => Number.isInteger(received_at)));
  const known = new Map<number, string>();
  let repeats = 0;
  for (const [index, { seq }] of frames.entries()) {
    const line = lines[index] as string;
    const before = known.get(seq);
    if (before === undefined) {
      assert.equal(seq, (frames[0]?.seq ?? 0) + known.size, 'the numbers go up without a gap');
      known.set(seq, line);
    } else {
      assert.equal(line, before, 'only what was there before comes again');
      repeats++;
    }
  }
  context.diagnostic(`${frames.length} frames, of which ${repeats} came again`);

  // What a WebSocket client saw of the first originator is what the topic has, without the stamp.
  const unstamped = (line: string) =>
    line.replace(/,"epoch":"[^"]*","seq":\d+,"received_at":\d+,"author":"[^"]*","flags":\d\}$/, '}');
  const distinct = [...known.values()];
  const [originator] = subtrees(frames);
  const shown = first.texts.filter((text) => text.includes(`"peer_id":"${originator?.peer_id}"`));
  const kept = distinct.filter((line) => line.includes(`"peer_id":"${originator?.peer_id}"`)).map(unstamped);
  assert.equal(kept.length, EACH);
  assert.deepEqual(kept, shown);
  const announced = subtrees(distinct.map((line) => JSON.parse(line) as Stamped));
  const originators = [...new Set(announced.map(({ peer_id }) => peer_id))];
  assert.equal(originators.length, 4);
  const whole = [originators[0], originators[3]].flatMap((id) =>
    announced.filter(({ peer_id }) => peer_id === id),
  );
  assert.deepEqual(
    whole.map(({ hash }) => hash),
    [0, 1].flatMap(() => Array.from({ length: EACH }, (_, index) => hashAt(index))),
    'the first and the last originator’s, whole and in their order',
  );
  const used = (await (await kafka.admin()).fetchTopicOffsets(topic)).filter(({ high }) => high !== '0');
  assert.equal(used.length, 1, 'one partition has them all');
});
