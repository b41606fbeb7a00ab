/** P3: from the moment in which a sender hands a message to its stream until a WebSocket client and a Kafka consumer have it. */

import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { pino } from 'pino';
import { createConsumer } from '../src/shared/kafka/index.js';
import { Senders, Target } from './gossip/arena.js';
import { Feed } from './gossip/feed.js';
import { indexIn } from './gossip/traffic.js';
import { type BenchmarkOptions, type BenchmarkResult, figureOf } from './result.js';
import { percentile } from './websocket/frame.js';

const RUNS = 5;
const SECONDS = 10;
const RATE = 1000;
/** Left out of the figures: code not yet compiled, a mesh not yet formed. */
const WARM_UP_SECONDS = 3;
const STALLED_MS = 10_000;
const SHARES = [
  ['p50', 0.5],
  ['p99', 0.99],
  ['p99.9', 0.999],
] as const;

const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6;
const HASH = '"hash":"';

interface Arrivals {
  readonly frames: readonly number[];
  readonly records: readonly number[];
  readonly dropped: number;
  /** Messages a second that the sender reports. */
  readonly rate: number;
}

async function sample(senders: Senders, seconds: number): Promise<Arrivals> {
  const target = await Target.start('server');
  const { settings, brokerSocketPath, address, httpPort } = target.ready;
  const frames = new Map<number, number>();
  const records = new Map<number, number>();
  const feed = await Feed.open(httpPort, (payload) => {
    const at = payload.indexOf(HASH);
    if (at === -1) return;
    const index = indexIn(payload.toString('latin1', at + HASH.length, at + HASH.length + 64));
    if (index !== undefined) frames.set(index, monotonicMs());
  });
  const consumer = createConsumer(settings, 'kafka_subtreesConfig', {
    logger: pino({ level: 'warn' }, pino.destination(2)),
    brokerSocketPath,
    group: `bench-${randomUUID()}`,
  });
  try {
    await consumer.start(async (batch) => {
      const now = monotonicMs();
      for (const { key } of batch) {
        const index = indexIn(Buffer.from(key ?? []).toString('latin1'));
        if (index !== undefined) records.set(index, now);
      }
    });
    await senders.connect(address);
    target.watch((count) => senders.processed(count));
    senders.send(RATE);
    await delay((WARM_UP_SECONDS + seconds) * 1000);
    const [sent] = await senders.stop();
    if (sent === undefined) throw new Error('no sender');
    const waitFrom = performance.now();
    while (
      (frames.size < sent.sent || records.size < sent.sent) &&
      performance.now() - waitFrom < STALLED_MS
    ) {
      await delay(20);
    }
    const late = (arrivals: ReadonlyMap<number, number>) =>
      sent.times.flatMap((time, index) => {
        const arrival = arrivals.get(index);
        return arrival === undefined || index < WARM_UP_SECONDS * RATE ? [] : [arrival - time];
      });
    return {
      frames: late(frames),
      records: late(records),
      dropped: Math.max(0, sent.sent - frames.size, sent.sent - records.size),
      rate: sent.times.length / sent.seconds,
    };
  } finally {
    feed.close();
    await consumer.stop();
    await senders.disconnect().catch(() => {});
    await target.stop();
  }
}

export async function run(options: BenchmarkOptions): Promise<BenchmarkResult> {
  const { runs = RUNS, seconds = SECONDS, progress } = options;
  const probe = await Target.start('plain');
  const { topic } = probe.ready;
  await probe.stop();
  const senders = await Senders.prepare(topic, { messages: RATE * (seconds + WARM_UP_SECONDS + 5) });
  const samples: Arrivals[] = [];
  try {
    for (let count = 1; count <= runs; count++) {
      progress(`run ${count} of ${runs}, ${WARM_UP_SECONDS + seconds} s`);
      samples.push(await sample(senders, seconds));
    }
  } finally {
    senders.close();
  }
  const figures = (name: string, values: (arrivals: Arrivals) => readonly number[]) =>
    SHARES.map(([label, share]) =>
      figureOf(
        `${name}, ${label}`,
        'ms',
        samples.map((arrivals) => percentile(values(arrivals), share)),
      ),
    );
  const toFrame = figures('to the WebSocket client', ({ frames }) => frames);
  const toRecord = figures('to the Kafka consumer', ({ records }) => records);
  const frame99 = toFrame[1]?.median ?? Number.NaN;
  const record99 = toRecord[1]?.median ?? Number.NaN;
  return {
    id: 'P3',
    title: `Latency at ${RATE} messages/s`,
    figures: [
      ...toFrame,
      ...toRecord,
      figureOf(
        'rate that the sender reports',
        'messages/s',
        samples.map(({ rate }) => rate),
      ),
    ],
    ratios: [
      { name: 'ms to the WebSocket client, p99', value: frame99, aim: '≤ 5', met: frame99 <= 5 },
      { name: 'ms to Kafka, p99', value: record99, aim: '≤ 20', met: record99 <= 20 },
    ],
    dropped: samples.reduce((sum, { dropped }) => sum + dropped, 0),
    notes: [
      'from the sender’s stream, before encryption and the socket: more than from the arrival here',
      'Kafka: until a consumer of the embedded broker has the record, which is later than the acknowledgement',
      'reported, not judged, where the machine has other work (see its load)',
    ],
  };
}
