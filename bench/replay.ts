/** P11: frames a second from the journal, to one client and to 100 at once, and how late live frames are beside that. */

import { setTimeout as delay } from 'node:timers/promises';
import { monotonic } from '../src/shared/clock.js';
import { encodeEntry } from '../src/shared/journal/entry.js';
import { subtree } from '../src/shared/messages/index.js';
import { announcements } from './firehose/announcements.js';
import { Consumers } from './firehose/arena.js';
import { type Served, serveFeed } from './firehose/served.js';
import { type BenchmarkOptions, type BenchmarkResult, figureOf } from './result.js';
import { Clients } from './websocket/arena.js';
import { makeFrame, WIRE_BYTES } from './websocket/frame.js';

const RUNS = 5;
const MANY = 100;
const LIVE_CLIENTS = 1000;
const LIVE_FRAMES = 100;
const LIVE_EVERY_MS = 20;
const CHUNK = 10_000;
const TIMEOUT_MS = 120_000;
const AIM = { replay: 250_000, live: 1.5 };

export interface ReplaySizes {
  /** Frames that one client replays, and each of many. */
  readonly one: number;
  readonly each: number;
  readonly live: number;
}

const SIZES: ReplaySizes = { one: 1_000_000, each: 20_000, live: LIVE_CLIENTS };

function* history(count: number): Generator<readonly Uint8Array[]> {
  for (let made = 0; made < count; made += CHUNK) yield announcements(Math.min(CHUNK, count - made));
}

interface Replayed {
  /** Frames a second, of all clients together. */
  readonly rate: number;
  /** CPU µs of the notification server a frame. */
  readonly cpu: number;
  readonly missing: number;
}

async function replay(served: Served, load: Consumers, clients: number, frames: number): Promise<Replayed> {
  const path = `/p2p-ws?cursor=${served.cursorBefore(frames)}`;
  const cpu = await served.cpu();
  const began = monotonic();
  await load.open(served.port, Array<string>(clients).fill(path));
  await load.reach(clients * frames, TIMEOUT_MS);
  const seconds = (monotonic() - began) / 1000;
  const used = (await served.cpu()) - cpu;
  const heard = await load.count();
  await load.close();
  const wanted = clients * frames;
  return {
    rate: heard.frames / seconds,
    cpu: (used / wanted) * 1e6,
    missing: Math.max(0, wanted - heard.frames),
  };
}

const liveEntry = (): Buffer =>
  encodeEntry({
    ...{ kind: subtree.id, own: false, author: '', receivedAt: 0, repeatKey: '' },
    ...{ frame: makeFrame(), record: undefined },
  });

/** p99 in ms of live frames while `beside` goes on, which is told when to stop. */
async function liveP99(
  served: Served,
  { clients, beside }: { clients: number; beside: (stop: AbortSignal) => Promise<void> },
): Promise<{ p99: number; missing: number }> {
  const live = new Clients();
  const stop = new AbortController();
  try {
    await live.open(served, clients);
    const going = beside(stop.signal);
    live.measure(WIRE_BYTES);
    for (let sent = 0; sent < LIVE_FRAMES; sent++) {
      served.append([liveEntry()]);
      await delay(LIVE_EVERY_MS);
    }
    const expected = clients * (served.greetingBytes + LIVE_FRAMES * WIRE_BYTES);
    const whole = await live.reach(expected, TIMEOUT_MS);
    const { p99 } = await live.latency();
    stop.abort();
    await going;
    await live.close();
    return { p99, missing: whole ? 0 : clients * LIVE_FRAMES };
  } finally {
    stop.abort();
    await live.stop();
  }
}

export async function run(
  { runs = RUNS, progress }: BenchmarkOptions,
  { one, each, live }: ReplaySizes = SIZES,
): Promise<BenchmarkResult> {
  let dropped = 0;
  const load = new Consumers();
  progress(`writing ${one.toLocaleString('en-US')} frames`);
  const served = await serveFeed(history(one));
  const contestants = [
    { name: 'one client', clients: 1, frames: one, results: [] as Replayed[], p99: [] as number[] },
    { name: `${MANY} clients`, clients: MANY, frames: each, results: [] as Replayed[], p99: [] as number[] },
  ];
  const alone: number[] = [];
  const lives = async (beside: (stop: AbortSignal) => Promise<void>): Promise<number> => {
    const { p99, missing } = await liveP99(served, { clients: live, beside });
    dropped += missing;
    return p99;
  };
  try {
    for (let count = 0; count <= runs; count++) {
      const said = count === 0 ? 'warming up' : `run ${count} of ${runs}`;
      for (const { name, clients, frames, results } of contestants) {
        progress(`replay to ${name}: ${said}`);
        const result = await replay(served, load, clients, frames);
        dropped += result.missing;
        if (count > 0) results.push(result);
      }
      progress(`live frames: ${said}`);
      const p99 = await lives(async () => {});
      if (count > 0) alone.push(p99);
      for (const { name, clients, frames, p99: late } of contestants) {
        progress(`live frames beside replay to ${name}: ${said}`);
        const beside = await lives(async (stop) => {
          while (!stop.aborted) dropped += (await replay(served, load, clients, frames)).missing;
        });
        if (count > 0) late.push(beside);
      }
    }
  } finally {
    await served.stop();
    await load.stop();
  }
  const reference = figureOf(`p99 of ${live} live clients`, 'ms', alone);
  const rates = contestants.map(({ name, results }) =>
    figureOf(
      `replay to ${name}`,
      'frames/s',
      results.map(({ rate }) => rate),
    ),
  );
  const costs = contestants.map(({ name, results }) =>
    figureOf(
      `replay to ${name}`,
      'CPU µs/frame',
      results.map(({ cpu }) => cpu),
    ),
  );
  const late = contestants.map(({ name, p99 }) =>
    figureOf(`p99 of ${live} live clients beside replay to ${name}`, 'ms', p99),
  );
  const rate = rates[0]?.median ?? Number.NaN;
  return {
    id: 'P11',
    title: 'Replay from the journal, and live frames beside it',
    figures: [...rates, ...costs, reference, ...late],
    ratios: [
      {
        name: 'frames a second to one client',
        value: rate,
        aim: `≥ ${AIM.replay.toLocaleString('en-US')}`,
        met: rate >= AIM.replay,
      },
      ...late.map(({ median }, index) => {
        const value = median / reference.median;
        const name = `live p99 beside replay to ${contestants[index]?.name}, to without`;
        return { name, value, aim: `≤ ${AIM.live}`, met: value <= AIM.live };
      }),
    ],
    dropped,
    notes: [
      `frames with meta, from a cursor to the newest: ${one.toLocaleString('en-US')} to one client, ${each.toLocaleString('en-US')} to each of ${MANY}; opening the connections is in the time`,
      `live: ${LIVE_FRAMES} frames, one each ${LIVE_EVERY_MS} ms, while replays begin anew as soon as they end; who replays reads on the same machine, in a process of its own`,
    ],
  };
}
