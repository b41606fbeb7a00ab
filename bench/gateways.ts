/** P15: what a gateway costs, and what a second one costs the broker and the first. */

import { setTimeout as delay } from 'node:timers/promises';
import type { Producer } from 'kafkajs';
import { monotonic, wall } from '../src/shared/clock.js';
import { encodeEntry } from '../src/shared/journal/entry.js';
import { nodeStatus } from '../src/shared/messages/index.js';
import { frameForm } from '../src/shared/sinks/kafka/frame-record.js';
import type { KafkaRecord } from '../src/shared/sinks/kafka/types.js';
import { launchServer } from '../test/support/server-process.js';
import { announcements } from './firehose/announcements.js';
import { Consumers } from './firehose/arena.js';
import { type BenchKafka, createTopics, startBenchKafka } from './kafka/cluster.js';
import { costOf, treeOf } from './processes.js';
import { type BenchmarkOptions, type BenchmarkResult, figureOf } from './result.js';

const RUNS = 5;
const SECONDS = 10;
const CLIENTS = 1000;
/** A thousand frames a second, as a node writes them under load. */
const BURST = 20;
const EVERY_MS = 20;
const TIMEOUT_MS = 60_000;
const AIM = 1.1;
const TOPIC = 'bench-notifications';

/** Writes the topic as one node does. */
class Node {
  readonly #form = frameForm('0123456789abcdef');
  #seq = 0;

  constructor(private readonly producer: Producer) {}

  /** The status that greets clients. */
  async status(): Promise<void> {
    const frame = Buffer.from(`{"timestamp":"2026-01-01T00:00:00Z","type":"node_status","peer_id":"bench"}`);
    const entry = { kind: nodeStatus.id, own: true, author: 'bench', receivedAt: wall.told() };
    await this.write([encodeEntry({ ...entry, repeatKey: '', frame, record: undefined })]);
  }

  async write(entries: readonly Uint8Array[]): Promise<void> {
    const messages = entries.map((bytes): KafkaRecord => {
      const seq = this.#seq++;
      return this.#form.recordOf({ position: seq, seq, bytes });
    });
    await this.producer.send({
      topic: TOPIC,
      acks: -1,
      messages: messages.map(({ key, value }) => ({
        key: Buffer.from(key ?? ''),
        value: Buffer.from(value ?? ''),
      })),
    });
  }
}

interface Gateway {
  readonly port: number;
  readonly pid: number;
  stop(): Promise<void>;
}

async function startGateway({ cluster }: BenchKafka): Promise<Gateway> {
  const cleanUp: (() => unknown)[] = [];
  const context = { after: (fn: () => unknown) => cleanUp.push(fn) };
  const run = launchServer(context as never, {
    command: ['gateway'],
    set: {
      logLevel: 'warn',
      p2p_notification_servers: '1',
      p2p_websocket_max_connections: '0',
      kafka_notificationsConfig: cluster.url(TOPIC),
    },
  });
  const { ports, pid } = await run.ready();
  return {
    port: ports.http,
    pid,
    stop: async () => {
      run.child.kill('SIGTERM');
      await run.exit;
      for (const clean of cleanUp.reverse()) await clean();
    },
  };
}

interface Cost {
  /** CPU µs of each gateway a delivery of its own. */
  readonly gateways: readonly number[];
  /** CPU ms a second. */
  readonly broker: number;
  readonly missing: number;
}

async function measure(
  kafka: BenchKafka,
  node: Node,
  {
    gateways,
    loads,
    bursts,
    clients,
  }: { gateways: Gateway[]; loads: Consumers[]; bursts: number; clients: number },
): Promise<Cost> {
  for (const [index, { port }] of gateways.entries())
    await loads[index]?.open(port, Array<string>(clients).fill('/p2p-ws'));
  const reach = (frames: number) =>
    Promise.all(gateways.map((_, index) => loads[index]?.reach(clients * frames, TIMEOUT_MS)));
  // Each has its greeting, and the frame behind it.
  await node.write(announcements(1));
  await reach(2);
  const trees = gateways.map(({ pid }) => treeOf(pid));
  const cpu = () => [...trees, kafka.pid === undefined ? [] : [kafka.pid]].map((pids) => costOf(pids).cpu);
  const before = cpu();
  const began = monotonic();
  for (let sent = 0; sent < bursts; sent++) {
    await node.write(announcements(BURST));
    await delay(Math.max(0, began + (sent + 1) * EVERY_MS - monotonic()));
  }
  await reach(2 + bursts * BURST);
  const seconds = (monotonic() - began) / 1000;
  const used = cpu().map((value, index) => value - (before[index] ?? 0));
  const heard = await Promise.all(gateways.map((_, index) => loads[index]?.count()));
  for (const load of loads) await load.close();
  const expected = clients * (2 + bursts * BURST);
  return {
    gateways: gateways.map((_, index) => ((used[index] ?? 0) / (clients * bursts * BURST)) * 1e6),
    broker: ((used.at(-1) ?? 0) / seconds) * 1000,
    missing: heard.reduce((sum, each) => sum + Math.max(0, expected - (each?.frames ?? 0)), 0),
  };
}

export async function run(
  { runs = RUNS, seconds = SECONDS, progress }: BenchmarkOptions,
  clients = CLIENTS,
): Promise<BenchmarkResult> {
  const title = `Gateways on one broker, ${clients.toLocaleString('en-US')} clients each`;
  progress('starting a broker');
  const kafka = await startBenchKafka();
  if ('missing' in kafka)
    return {
      id: 'P15',
      title,
      figures: [],
      ratios: [],
      dropped: 0,
      notRun: [`gateways: ${kafka.missing}`],
      notes: [],
    };
  const bursts = Math.ceil((seconds * 1000) / EVERY_MS);
  const loads = [new Consumers(), new Consumers()];
  const one: Cost[] = [];
  const two: Cost[] = [];
  let dropped = 0;
  try {
    await createTopics(await kafka.cluster.admin(), [
      { topic: TOPIC, numPartitions: 1, replicationFactor: 1 },
    ]);
    const producer = kafka.cluster.client().producer();
    await producer.connect();
    const node = new Node(producer);
    await node.status();
    const first = await startGateway(kafka);
    try {
      for (let count = 0; count <= runs; count++) {
        const said = count === 0 ? 'warming up' : `run ${count} of ${runs}`;
        const take = async (taken: Cost[], gateways: Gateway[]) => {
          progress(`${gateways.length} ${gateways.length === 1 ? 'gateway' : 'gateways'}: ${said}`);
          const cost = await measure(kafka, node, { gateways, loads, bursts, clients });
          dropped += cost.missing;
          if (count > 0) taken.push(cost);
        };
        const alone = () => take(one, [first]);
        const together = async () => {
          const second = await startGateway(kafka);
          try {
            await take(two, [first, second]);
          } finally {
            await second.stop();
          }
        };
        // The broker gets faster all the time: each goes first in turn.
        for (const part of count % 2 === 0 ? [alone, together] : [together, alone]) await part();
      }
    } finally {
      await first.stop();
      await producer.disconnect();
    }
  } finally {
    for (const load of loads) await load.stop();
    await kafka.stop();
  }
  const figures = {
    alone: figureOf(
      'the first gateway, alone',
      'CPU µs/delivery',
      one.map(({ gateways }) => gateways[0] ?? 0),
    ),
    first: figureOf(
      'the first gateway, of two',
      'CPU µs/delivery',
      two.map(({ gateways }) => gateways[0] ?? 0),
    ),
    second: figureOf(
      'the second gateway',
      'CPU µs/delivery',
      two.map(({ gateways }) => gateways[1] ?? 0),
    ),
    broker: figureOf(
      'the broker, one gateway',
      'CPU ms/s',
      one.map(({ broker }) => broker),
    ),
    brokerOfTwo: figureOf(
      'the broker, two gateways',
      'CPU ms/s',
      two.map(({ broker }) => broker),
    ),
    more: figureOf(
      'the broker, for one gateway more',
      'CPU ms/s',
      one.map(({ broker }, index) => (two[index]?.broker ?? Number.NaN) - broker),
    ),
  };
  const ratio = (name: string, value: number) => ({ name, value, aim: `≤ ${AIM}`, met: value <= AIM });
  return {
    id: 'P15',
    title,
    figures: Object.values(figures).filter(({ unit }) => unit !== 'CPU ms/s' || kafka.pid !== undefined),
    ratios: [
      ratio(
        'CPU a delivery of the first gateway, of two to alone',
        figures.first.median / figures.alone.median,
      ),
      ...(kafka.pid === undefined
        ? []
        : [
            ratio(
              'CPU of the broker, two gateways to one',
              figures.brokerOfTwo.median / figures.broker.median,
            ),
          ]),
    ],
    dropped,
    notes: [
      `1,000 records a second from one producer, ${BURST} each ${EVERY_MS} ms, which the broker's figure holds; plain frames to each client`,
      'a core of the broker carries as many gateways as one more costs it parts of 1,000 ms/s, whatever they have for clients',
      'a gateway is a process that reads the topic and keeps a journal, and one notification server; its figure holds both',
    ],
  };
}
