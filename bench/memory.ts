/** P6: what the server's processes hold: idle, with 1,000 peers, with 10,000 WebSocket clients, and whether it grows under lasting load. */

import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { monotonic } from '../src/shared/clock.js';
import { Crowd, Senders } from './gossip/arena.js';
import { Feed } from './gossip/feed.js';
import { flatOutRate } from './gossip/flat-out.js';
import { createStampedTopics } from './kafka/arrivals.js';
import { startBenchKafka } from './kafka/cluster.js';
import { costOf, proportionalMemory, treeOf } from './processes.js';
import { goReference, gossipTopic, type Running, startServer } from './reference/subjects.js';
import { type BenchmarkOptions, type BenchmarkResult, type Figure, figureOf, type Ratio } from './result.js';
import { Clients } from './websocket/arena.js';

const RUNS = 5;
const SOAK_SECONDS = 600;
const READ_EVERY_MS = 250;
/** Of one run flat out, of which half is taken. */
const FLAT_OUT_SECONDS = 10;
/** Memory under load is read so often in all. */
const SOAK_READINGS = 600;
/** Of the last half, its first and its last part are compared. */
const PART = 0.2;
const STALLED_MS = 15_000;
const LOOK_MS = 100;
const UNBOUNDED = Number.MAX_SAFE_INTEGER;
const AIMS = { idle: 150, peers: 50, clients: 100, growth: 0.02 };
/** What would keep many peers from one address, and many clients, out. */
const OPEN = {
  p2p_max_connections: '100000',
  p2p_allowed_addresses: '127.0.0.0/8',
  p2p_websocket_max_connections: '0',
};

export interface Sizes {
  readonly peers: number;
  readonly clients: number;
  /** Ms after each change, before anything is read. */
  readonly restMs: number;
  /** Ms of reading. */
  readonly readMs: number;
}

const SIZES: Sizes = { peers: 1000, clients: 10_000, restMs: 10_000, readMs: 5000 };

interface Held {
  /** MiB, resident, what processes share counted in each. */
  readonly resident: number;
  /** The same with what they share divided among them. */
  readonly proportional: number;
}

const median = (samples: readonly number[]): number => figureOf('', '', samples).median;

async function held({ pid }: Running, { restMs, readMs }: Sizes): Promise<Held> {
  await delay(restMs);
  const pids = treeOf(pid);
  const samples: Held[] = [];
  for (const from = monotonic(); monotonic() - from < readMs; await delay(READ_EVERY_MS)) {
    samples.push({ resident: costOf(pids).memory, proportional: proportionalMemory(pids) });
  }
  return {
    resident: median(samples.map(({ resident }) => resident)),
    proportional: median(samples.map(({ proportional }) => proportional)),
  };
}

/** Idle, and after `load`, which answers what undoes it and how many of its connections are open. */
async function withLoad(
  sizes: Sizes,
  wanted: number,
  load: (server: Running) => Promise<{ count(): Promise<number>; stop(): Promise<void> }>,
): Promise<{ readonly idle: Held; readonly loaded: Held }> {
  const server = await startServer({ set: OPEN });
  try {
    const idle = await held(server, sizes);
    const under = await load(server);
    try {
      const loaded = await held(server, sizes);
      const open = await under.count();
      if (open < wanted) throw new Error(`${open} of ${wanted} connections are open: ${server.said()}`);
      return { idle, loaded };
    } finally {
      await under.stop();
    }
  } finally {
    await server.stop();
  }
}

const withPeers = (sizes: Sizes) =>
  withLoad(sizes, sizes.peers, ({ address }) => Crowd.join(address, gossipTopic('subtree'), sizes.peers));

const withClients = (sizes: Sizes) =>
  withLoad(sizes, sizes.clients, async ({ httpPort }) => {
    const clients = new Clients();
    // Of each its greeting's first byte: how long a node's status is, it says itself.
    await clients.open({ port: httpPort, greetingBytes: 1 }, sizes.clients);
    return clients;
  });

interface Soak {
  readonly rate: number;
  /** MiB over the last half. */
  readonly memory: readonly number[];
  readonly growth: number;
  /** MiB by which each process grew, the server's own first. */
  readonly growths: readonly number[];
  readonly lost: number;
}

/** The median of the last part of `samples` less that of the first. */
function growthOf(samples: readonly number[]): number {
  const part = Math.max(1, Math.floor(samples.length * PART));
  return median(samples.slice(-part)) - median(samples.slice(0, part));
}

async function soak(rate: number, seconds: number, progress: (text: string) => void): Promise<Soak> {
  const messages = Math.ceil(rate * (seconds + 2));
  progress(`signing ${messages.toLocaleString('en-US')} messages`);
  const senders = await Senders.prepare(gossipTopic('subtree'), { messages });
  const server = await startServer();
  let frames = 0;
  const feed = await Feed.open(server.httpPort, (payload) => {
    if (payload.includes('"type":"subtree"')) frames++;
  });
  try {
    await senders.connect(server.address);
    progress(`${rate}/s for ${seconds} s`);
    senders.send({ rate, window: UNBOUNDED });
    await delay(seconds * 500);
    const pids = treeOf(server.pid);
    const readings: number[][] = [];
    for (const from = monotonic(); monotonic() - from < seconds * 500; ) {
      await delay((seconds * 1000) / SOAK_READINGS);
      readings.push(pids.map((pid) => costOf([pid]).memory));
    }
    const memory = readings.map((each) => each.reduce((sum, one) => sum + one, 0));
    const [sent] = await senders.stop();
    if (sent === undefined) throw new Error('no sender');
    for (let [had, at] = [frames, monotonic()]; frames < sent.sent; await delay(LOOK_MS)) {
      if (frames > had) [had, at] = [frames, monotonic()];
      else if (monotonic() - at > STALLED_MS) break;
    }
    return {
      rate: sent.sent / sent.seconds,
      memory,
      growth: growthOf(memory),
      growths: pids.map((_, index) => growthOf(readings.map((each) => each[index] ?? 0))),
      lost: Math.max(0, sent.sent - frames),
    };
  } finally {
    feed.close();
    await senders.disconnect().catch(() => {});
    senders.close();
    await server.stop();
  }
}

/** What the Go reference holds idle, `runs` times; or what is missing for it. */
async function inGo(
  runs: number,
  sizes: Sizes,
  progress: (text: string) => void,
): Promise<readonly Held[] | { readonly missing: string }> {
  const reference = await goReference();
  if ('missing' in reference) return reference;
  const kafka = await startBenchKafka();
  if ('missing' in kafka) return kafka;
  try {
    const { cluster } = kafka;
    const topics = { blocks: cluster.topic('blocks'), subtrees: cluster.topic('subtrees') };
    await createStampedTopics(cluster, Object.values(topics));
    const samples: Held[] = [];
    for (let count = 1; count <= runs; count++) {
      progress(`run ${count} of ${runs}, the Go reference idle`);
      const running = await reference.start({
        blocks: cluster.url(topics.blocks),
        subtrees: cluster.url(topics.subtrees),
      });
      try {
        samples.push(await held(running, sizes));
      } finally {
        await running.stop();
      }
    }
    return samples;
  } finally {
    await kafka.stop();
  }
}

const figuresOf = (name: string, samples: readonly Held[]): Figure[] => [
  figureOf(
    name,
    'MiB',
    samples.map(({ resident }) => resident),
  ),
  figureOf(
    `${name}, what processes share counted once`,
    'MiB',
    samples.map(({ proportional }) => proportional),
  ),
];

/** `sizes`: those of the benchmark unless told. */
export async function run(options: BenchmarkOptions, sizes = SIZES): Promise<BenchmarkResult> {
  const { peers, clients } = sizes;
  const { runs = RUNS, seconds = SOAK_SECONDS, rates: [given] = [], progress } = options;
  const title = 'Memory of all processes';
  if (!existsSync('/proc/self/smaps_rollup')) {
    const missing = 'all of it: what processes hold is read from Linux’s /proc';
    return { id: 'P6', title, figures: [], ratios: [], dropped: 0, notRun: [missing], notes: [] };
  }
  const go = await inGo(runs, sizes, progress);
  const idle: Held[] = [];
  const grown = { peers: [] as Held[], clients: [] as Held[] };
  for (let count = 1; count <= runs; count++) {
    for (const [name, load, into] of [
      [`${peers} peers`, withPeers, grown.peers],
      [`${clients} WebSocket clients`, withClients, grown.clients],
    ] as const) {
      progress(`run ${count} of ${runs}, idle and with ${name}`);
      const sample = await load(sizes);
      idle.push(sample.idle);
      into.push({
        resident: sample.loaded.resident - sample.idle.resident,
        proportional: sample.loaded.proportional - sample.idle.proportional,
      });
    }
  }
  if (given === undefined) progress(`flat out for ${FLAT_OUT_SECONDS} s, to take half of that rate`);
  const rate = given ?? Math.round((await flatOutRate(FLAT_OUT_SECONDS)) / 2);
  const lasting = await soak(rate, seconds, progress);
  const figures = [
    ...figuresOf('this server, idle', idle),
    ...('missing' in go ? [] : figuresOf('Go reference, idle', go)),
    ...figuresOf(`more with ${peers} peers`, grown.peers),
    ...figuresOf(`more with ${clients} WebSocket clients`, grown.clients),
    figureOf(`last half of ${seconds} s at ${rate}/s`, 'MiB', lasting.memory),
    figureOf('growth in it', 'MiB', [lasting.growth]),
    ...lasting.growths.map((growth, index) =>
      figureOf(index === 0 ? 'growth in it: main’s process' : `growth in it: process ${index + 1}`, 'MiB', [
        growth,
      ]),
    ),
  ];
  const ratio = (name: string, value: number, aim: number): Ratio => ({
    name,
    value,
    aim: `≤ ${aim}`,
    met: value <= aim,
  });
  const resident = (samples: readonly Held[]) => median(samples.map((each) => each.resident));
  return {
    id: 'P6',
    title,
    figures,
    ratios: [
      ratio('MiB idle', resident(idle), AIMS.idle),
      ...('missing' in go
        ? []
        : [{ name: 'idle, to the Go reference', value: resident(idle) / resident(go) }]),
      ratio(`MiB more with ${peers} peers`, resident(grown.peers), AIMS.peers),
      ratio(`MiB more with ${clients} WebSocket clients`, resident(grown.clients), AIMS.clients),
      ratio(
        'growth under lasting load, of what it held',
        lasting.growth / median(lasting.memory),
        AIMS.growth,
      ),
    ],
    dropped: lasting.lost,
    ...('missing' in go ? { notRun: [`beside the Go reference: ${go.missing}`] } : {}),
    notes: [
      `resident memory of all processes, what they share counted in each, unless said otherwise; ${sizes.restMs / 1000} s after each change, the median over ${sizes.readMs / 1000} s; a server started anew for peers and for clients, and once more for the soak`,
      'peers and clients are silent, on loopback, in processes of their own; the peers are subscribed to one topic; Kafka is embedded (the Go reference has a real one)',
      `the soak: one run, ${given === undefined ? `half of what one run of ${FLAT_OUT_SECONDS} s flat out took` : 'at the rate that was given'}, sent ${Math.round(lasting.rate).toLocaleString('en-US')}/s; growth is the median of the last fifth of the last half less that of its first fifth`,
    ],
  };
}
