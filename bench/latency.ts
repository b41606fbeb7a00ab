/**
 * P3: from the moment in which a sender hands a message to its stream until a WebSocket client has its frame, and until Kafka, a real
 * broker where there is Java, has acknowledged its record.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Settings } from '../src/shared/settings/table.js';
import { Senders, Target } from './gossip/arena.js';
import { Feed } from './gossip/feed.js';
import { hashAt, indexIn } from './gossip/traffic.js';
import { acknowledgementsIn } from './kafka/acknowledgements.js';
import { startBenchKafka } from './kafka/cluster.js';
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

async function sample(senders: Senders, seconds: number, changes: Partial<Settings>): Promise<Arrivals> {
  const folder = mkdtempSync(join(tmpdir(), 'teranode-p2p-bench-'));
  const acknowledgements = join(folder, 'acknowledgements');
  const target = await Target.start('server', { changes, acknowledgements });
  const { address, httpPort } = target.ready;
  const frames = new Map<number, number>();
  const feed = await Feed.open(httpPort, (payload) => {
    const at = payload.indexOf(HASH);
    if (at === -1) return;
    const index = indexIn(payload.toString('latin1', at + HASH.length, at + HASH.length + 64));
    if (index !== undefined) frames.set(index, monotonicMs());
  });
  try {
    await senders.connect(address);
    target.watch((count) => senders.processed(count));
    senders.send({ rate: RATE });
    await delay((WARM_UP_SECONDS + seconds) * 1000);
    const [sent] = await senders.stop();
    if (sent === undefined) throw new Error('no sender');
    const waitFrom = performance.now();
    const acknowledged = async () => (await target.snapshot()).acknowledged;
    while (
      (frames.size < sent.sent || (await acknowledged()) < sent.sent) &&
      performance.now() - waitFrom < STALLED_MS
    ) {
      await delay(20);
    }
    const records = acknowledgementsIn(acknowledgements);
    const late = (arrivalOf: (index: number) => number | undefined) =>
      sent.times.flatMap((time, index) => {
        const arrival = arrivalOf(index);
        return arrival === undefined || index < WARM_UP_SECONDS * RATE ? [] : [arrival - time];
      });
    return {
      frames: late((index) => frames.get(index)),
      records: late((index) => records.get(hashAt(index))),
      dropped: Math.max(
        0,
        sent.sent - frames.size,
        sent.sent - records.size,
        sent.sent - (await acknowledged()),
      ),
      rate: sent.times.length / sent.seconds,
    };
  } finally {
    feed.close();
    await senders.disconnect().catch(() => {});
    await target.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

export async function run(options: BenchmarkOptions): Promise<BenchmarkResult> {
  const { runs = RUNS, seconds = SECONDS, progress } = options;
  const probe = await Target.start('plain');
  const { topic } = probe.ready;
  await probe.stop();
  const senders = await Senders.prepare(topic, { messages: RATE * (seconds + WARM_UP_SECONDS + 5) });
  const kafka = await startBenchKafka();
  const real = 'cluster' in kafka;
  const samples: Arrivals[] = [];
  try {
    for (let count = 1; count <= runs; count++) {
      progress(`run ${count} of ${runs}, ${WARM_UP_SECONDS + seconds} s`);
      samples.push(await sample(senders, seconds, real ? kafka.cluster.settings() : {}));
    }
  } finally {
    senders.close();
    if (real) await kafka.stop();
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
  const toRecord = figures(
    real ? 'to Kafka’s acknowledgement' : 'to the embedded broker’s acknowledgement',
    ({ records }) => records,
  );
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
      {
        name: `ms to ${real ? 'Kafka' : 'the embedded broker'}, p99`,
        value: record99,
        aim: '≤ 20',
        met: record99 <= 20,
      },
    ],
    ...('missing' in kafka ? { notRun: [`against a real Kafka: ${kafka.missing}`] } : {}),
    dropped: samples.reduce((sum, { dropped }) => sum + dropped, 0),
    notes: [
      'from the sender’s stream, before encryption and the socket: more than from the arrival here',
      real
        ? 'Kafka: one broker on the same cores, one partition, acks=all, until the publisher has its acknowledgement'
        : 'Kafka: the embedded broker, until the publisher has its acknowledgement',
      'reported, not judged, where the machine has other work (see its load)',
    ],
  };
}
