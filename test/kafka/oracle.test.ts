/** Everything that can die dies at random, again and again, and what each reader got is held against what was accepted. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { localSocketPath } from '../../src/shared/frames/socket-path.js';
import { decodeEntry } from '../../src/shared/journal/entry.js';
import { JournalReader } from '../../src/shared/journal/reader.js';
import { sumOf } from '../support/gossip.js';
import { startKafka } from '../support/kafka/index.js';
import { followFrames } from '../support/publisher.js';
import { randomNumbers } from '../support/random.js';
import { launchServer, type ServerProcess } from '../support/server-process.js';
import { keysIn, SubtreeTraffic, scrapeOf } from '../support/subtree-traffic.js';
import { temporaryDirectory } from '../support/temporary.js';
import { waitFor } from '../support/wait.js';

const LIVES = 5;
const DEATHS_A_LIFE = 6;
const PER_SECOND = 200;
/** Between two deaths within a life. */
const LONGEST_MS = 1_500;
const MORTAL = new URL('../support/mortal-threads.js', import.meta.url).href;

interface Client {
  /** Subtrees heard, in order. */
  readonly hashes: string[];
}

/** A WebSocket client of one life, or of a part of it: whoever is cut does not come back. */
function listen(context: Pick<TestContext, 'after'>, port: number): Client {
  const client: Client = { hashes: [] };
  const socket = new WebSocket(`ws://127.0.0.1:${port}/p2p-ws`);
  context.after(() => socket.terminate());
  socket.on('error', () => {});
  socket.on('message', (data) => {
    const { type, hash } = JSON.parse(String(data)) as { type: string; hash?: string };
    if (type === 'subtree') client.hashes.push(String(hash));
  });
  return client;
}

/** Processes that `pid` has started. */
function childrenOf(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    return text === '' ? [] : text.split(' ').map(Number);
  } catch {
    return [];
  }
}

function killSomething({ child }: ServerProcess, chance: number, died: Record<string, number>): void {
  const { pid } = child;
  if (pid === undefined) return;
  const count = (what: string) => {
    died[what] = (died[what] ?? 0) + 1;
  };
  if (chance < 0.4) {
    count('publisher');
    process.kill(pid, 'SIGUSR2');
  } else if (chance < 0.7) {
    count('checker');
    process.kill(pid, 'SIGWINCH');
  } else {
    const [victim] = childrenOf(pid);
    if (victim === undefined) return;
    count('notification server');
    process.kill(victim, 'SIGKILL');
  }
}

/** What the journal holds: frames of subtrees and records for Kafka, in order, each as the subtree's hash. */
function journalOf(directory: string) {
  const reader = new JournalReader({ directory: join(directory, 'journal') });
  const seqs: number[] = [];
  const frames: string[] = [];
  const records: string[] = [];
  for (let from = 0; ; ) {
    const { entries, next, gap } = reader.read(from, Number.POSITIVE_INFINITY, 1 << 20);
    assert.equal(gap, undefined);
    if (entries.length === 0) break;
    for (const { bytes, seq } of entries) {
      const { frame, record } = decodeEntry(bytes);
      if (frame.length > 0) {
        seqs.push(seq);
        const { type, hash } = JSON.parse(Buffer.from(frame).toString());
        if (type === 'subtree') frames.push(hash);
      }
      if (record !== undefined) records.push(Buffer.from(record.hash).reverse().toString('hex'));
    }
    from = next;
  }
  reader.close();
  return { seqs, frames, records };
}

/** Whether `part` stands in `whole` without a gap. */
function isStretchOf(part: readonly string[], whole: readonly string[]): boolean {
  const at = whole.indexOf(part[0] ?? '');
  return part.length === 0 || (at !== -1 && part.every((each, index) => whole[at + index] === each));
}

test('threads, processes and the whole server die at random, and what was accepted is in journal, Kafka and feed, once and in order', {
  timeout: 300_000,
}, async (context) => {
  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
  context.diagnostic(`SEED=${seed}`);
  const random = randomNumbers(seed);
  const kafka = await startKafka(context, { own: true });
  const topic = kafka.topic('subtrees');
  const directory = temporaryDirectory(context);
  const options = {
    directory,
    env: { NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --import=${MORTAL}`.trim() },
    set: {
      kafka_subtreesConfig: kafka.url(topic),
      kafka_blocksConfig: kafka.url(kafka.topic('blocks')),
      // Verdicts wait for threads that begin again; GossipSub passes on what has one within five of these.
      p2p_heartbeat_interval: '2s',
    },
  };
  const traffic = await SubtreeTraffic.create(context);
  const clients: Client[] = [];
  const died: Record<string, number> = {};
  // As a notification server that outlives everybody.
  const stream = followFrames(context, localSocketPath(directory, 'frames.sock'));
  for (let life = 0; life < LIVES; life++) {
    const run = launchServer(context, options);
    const server = await run.ready();
    await traffic.join(server);
    if (life === 0) await waitFor(stream.connected, { what: 'the stream' });
    const end = traffic.start(PER_SECOND);
    for (let death = 0; death < DEATHS_A_LIFE; death++) {
      clients.push(listen(context, server.ports.http));
      await delay(random() * LONGEST_MS);
      killSomething(run, random(), died);
    }
    await delay(random() * LONGEST_MS);
    run.child.kill('SIGKILL');
    assert.equal((await run.exit).signal, 'SIGKILL');
    await end();
  }
  const last = launchServer(context, options);
  const server = await last.ready();
  await waitFor(
    async () => {
      const scrape = await scrapeOf(server);
      return /teranode_p2p_outbox_depth/.test(scrape) && sumOf(scrape, 'teranode_p2p_outbox_depth') === 0;
    },
    { what: 'an empty outbox', timeoutMs: 60_000, everyMs: 200 },
  );
  last.child.kill('SIGTERM');
  assert.equal((await last.exit).code, 0);

  const journal = journalOf(directory);
  const { passedOn } = traffic;
  context.diagnostic(
    `${traffic.sent} sent, ${passedOn.size} passed on, ${journal.frames.length} in the journal; died: ${JSON.stringify({ ...died, server: LIVES })}`,
  );
  assert.ok(passedOn.size > 500, `only ${passedOn.size} were passed on`);
  const stored = new Set(journal.frames);
  assert.deepEqual(
    [...passedOn].filter((hash) => !stored.has(hash)),
    [],
    'passed on, and not in the journal',
  );
  assert.equal(stored.size, journal.frames.length, 'none is in the journal twice');
  assert.deepEqual(journal.records, journal.frames);
  assert.deepEqual(
    journal.seqs,
    journal.seqs.map((_, index) => index),
    'numbers without a gap',
  );

  const keys = await keysIn(kafka, topic, journal.records.length);
  assert.deepEqual([...new Set(keys)], journal.records, 'Kafka has each, in order, and nothing else');

  assert.equal(stream.gaps(), 0);
  const [from = 0] = stream.seqs;
  await waitFor(() => stream.seqs.length >= 1, { what: 'the stream' });
  assert.deepEqual(
    stream.seqs,
    stream.seqs.map((_, index) => from + index),
    'each frame once',
  );
  const followed = stream.texts.flatMap((text) => {
    const { type, hash } = JSON.parse(text) as { type: string; hash: string };
    return type === 'subtree' ? [hash] : [];
  });
  assert.ok(isStretchOf(followed, journal.frames) && followed.length > 500, `${followed.length} followed`);
  const heard = clients.filter(({ hashes }) => hashes.length > 0);
  assert.ok(heard.length > LIVES, `${heard.length} clients heard something`);
  for (const { hashes } of heard) assert.ok(isStretchOf(hashes, journal.frames), 'a client has no gap');
});
