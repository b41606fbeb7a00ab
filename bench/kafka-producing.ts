/** P10: records a second into a real Kafka: this server's driver and its publisher, beside Kafka's own producer-perf-test. */

import { fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from './child.js';
import { inEveryThread } from './gossip/threads.js';
import { type BenchKafka, createTopics, startBenchKafka } from './kafka/cluster.js';
import {
  type Contestant,
  type ProducingOrder,
  type ProducingReport,
  RECORD_BYTES,
} from './kafka/producing.js';
import { type BenchmarkOptions, type BenchmarkResult, type Figure, figureOf, type Ratio } from './result.js';

const RUNS = 5;
/** A run is by number, as Kafka's own program is: so many records for each of the seconds asked for. */
const SECONDS = 4;
/** Of each a second's worth warms up before. */
const RECORDS_A_SECOND = 51_200;
const TITLE = 'Records into Kafka, acks=all, idempotent';
const TOPIC = { numPartitions: 1, replicationFactor: 1 };

interface Sample {
  /** Records a second. */
  readonly rate: number;
  /** µs a record by thread; of Kafka's own program nothing is known. */
  readonly cpu: Readonly<Record<string, number>>;
}

async function ours(order: ProducingOrder): Promise<Sample> {
  const folder = mkdtempSync(join(tmpdir(), 'teranode-p2p-threads-'));
  try {
    const child = fork(new URL('./kafka/producing.js', import.meta.url), ['produce'], {
      env: { ...process.env, ...inEveryThread(folder), KAFKAJS_NO_PARTITIONER_WARNING: '1' },
    });
    const produced = once<ProducingReport>(child, 'produced');
    const exited = new Promise((resolve) => child.once('exit', resolve));
    child.send(order);
    const { seconds, cpu } = await produced;
    await exited;
    return {
      rate: order.records / seconds,
      cpu: Object.fromEntries(
        Object.entries(cpu).map(([role, used]) => [role, (used * 1e6) / order.records]),
      ),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What follows the warm-up is its last line. */
async function kafkasOwn(
  kafka: BenchKafka,
  { topic, records, warmUp }: Pick<ProducingOrder, 'topic' | 'records' | 'warmUp'>,
  properties: readonly string[],
): Promise<Sample> {
  const { code, stdout, stderr } = await kafka.cluster.tool('org.apache.kafka.tools.ProducerPerformance', [
    ...['--bootstrap-server', kafka.cluster.brokers, '--topic', topic, '--throughput', '-1'],
    ...['--num-records', String(records + warmUp), '--warmup-records', String(warmUp)],
    ...['--record-size', String(RECORD_BYTES)],
    ...['--command-property', 'acks=all', 'enable.idempotence=true', ...properties],
  ]);
  const rates = [...stdout.matchAll(/records sent, ([\d.]+) records\/sec/g)].map(([, rate]) => Number(rate));
  const rate = rates.at(-1);
  if (code !== 0 || rate === undefined) {
    throw new Error(
      `kafka-producer-perf-test failed (${code}):\n${stdout.slice(-2000)}${stderr.slice(-2000)}`,
    );
  }
  return { rate, cpu: {} };
}

const CONTESTANTS = {
  'kafka-producer-perf-test': [],
  // As large as the requests of the others.
  'kafka-producer-perf-test, batches of 1 MB': ['batch.size=1000000', 'linger.ms=5'],
  'bare kafkajs producer': 'kafkajs',
  'this server’s driver': 'driver',
  'this server’s publisher, outbox included': 'publisher',
} as const satisfies Record<string, Contestant | readonly string[]>;
type Name = keyof typeof CONTESTANTS;
const NAMES = Object.keys(CONTESTANTS) as Name[];
/** Judged beside Kafka's own producer: at least so many times its records. */
const JUDGED: Name = 'this server’s publisher, outbox included';
const AIM = 2;

async function measure(kafka: BenchKafka, options: BenchmarkOptions): Promise<Map<Name, Sample[]>> {
  const { runs = RUNS, seconds = SECONDS, progress } = options;
  const records = RECORDS_A_SECOND * seconds;
  const warmUp = RECORDS_A_SECOND;
  const samples = new Map<Name, Sample[]>(NAMES.map((name) => [name, []]));
  const admin = await kafka.cluster.admin();
  for (let count = 1; count <= runs; count++) {
    for (const name of NAMES) {
      progress(`run ${count} of ${runs}, ${name}, ${records.toLocaleString('en-US')} records`);
      const topic = kafka.cluster.topic('bench');
      await createTopics(admin, [{ topic, ...TOPIC }]);
      const { brokers } = kafka.cluster;
      const contestant = CONTESTANTS[name];
      const sample =
        typeof contestant !== 'string'
          ? await kafkasOwn(kafka, { topic, records, warmUp }, contestant)
          : await ours({ contestant, brokers, topic, warmUp, records });
      samples.get(name)?.push(sample);
      const [offsets] = await admin.fetchTopicOffsets(topic);
      const missing = records + warmUp - Number(offsets?.high ?? 0);
      if (missing !== 0) throw new Error(`${name}: ${missing} of the records are not in the topic`);
      await admin.deleteTopics({ topics: [topic] });
    }
  }
  return samples;
}

export async function run(options: BenchmarkOptions): Promise<BenchmarkResult> {
  const kafka = await startBenchKafka();
  if ('missing' in kafka) {
    const notRun = [`all of it: ${kafka.missing}`];
    return { id: 'P10', title: TITLE, figures: [], ratios: [], dropped: 0, notRun, notes: [] };
  }
  try {
    const samples = await measure(kafka, options);
    const of = (name: Name) => samples.get(name) ?? [];
    const rates = NAMES.map((name) =>
      figureOf(
        name,
        'records/s',
        of(name).map(({ rate }) => rate),
      ),
    );
    const [reference] = rates;
    const ratios: Ratio[] = rates.slice(2).map((figure) => {
      const value = figure.median / (reference?.median ?? Number.NaN);
      const ratio = { name: `${figure.name}: records/s to kafka-producer-perf-test`, value };
      return figure.name === JUDGED ? { ...ratio, aim: `≥ ${AIM}`, met: value >= AIM } : ratio;
    });
    const [, large, bare, own] = rates;
    if (large !== undefined && bare !== undefined && own !== undefined) {
      ratios.push(
        {
          name: 'this server’s driver: records/s to kafka-producer-perf-test with batches of 1 MB',
          value: own.median / large.median,
        },
        { name: 'this server’s driver: records/s to bare kafkajs', value: own.median / bare.median },
      );
    }
    return {
      id: 'P10',
      title: TITLE,
      figures: [...rates, ...NAMES.flatMap((name) => cpuFigures(name, of(name)))],
      ratios,
      dropped: 0,
      notes: [
        `one broker, one partition, no compression, ${RECORD_BYTES} bytes a record; Kafka’s own program sends them as values without a key, with its own defaults for batches`,
        'every contestant in a process of its own, warmed up, after which the topic held every record exactly once',
        'kafkajs and the driver are given requests as large as the outbox’s drainer makes; the publisher besides stores, numbers and removes each record',
      ],
    };
  } finally {
    await kafka.stop();
  }
}

function cpuFigures(name: string, samples: readonly Sample[]): Figure[] {
  const roles = [...new Set(samples.flatMap(({ cpu }) => Object.keys(cpu)))];
  return roles.map((role) =>
    figureOf(
      `${name}: ${role}`,
      'CPU µs/record',
      samples.map(({ cpu }) => cpu[role] ?? 0),
    ),
  );
}
