/**
 * P0: the whole server at several rates, beside a Go program that does the same job on the modules of the Go service it takes the place of:
 * what is lost, what a message costs, how long it takes to a WebSocket client and into Kafka, and the memory.
 */

import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Admin } from 'kafkajs';
import { monotonic, wall } from '../src/shared/clock.js';
import { Senders } from './gossip/arena.js';
import { Feed } from './gossip/feed.js';
import { hashAt, indexIn } from './gossip/traffic.js';
import { arrivalsIn, createStampedTopics } from './kafka/arrivals.js';
import { type BenchKafka, startBenchKafka } from './kafka/cluster.js';
import { type Cost, costOf, treeOf } from './processes.js';
import {
  goReference,
  gossipTopic,
  program,
  type Running,
  type Subject,
  server,
} from './reference/subjects.js';
import { type BenchmarkOptions, type BenchmarkResult, type Figure, figureOf, type Ratio } from './result.js';
import { percentile } from './websocket/frame.js';

const RUNS = 5;
const SECONDS = 60;
const RATES = [100, 1000, 4000, 8000];
const TITLE = 'The whole server beside the Go reference';
/** Code compiled, a mesh formed: what it costs is not what a message costs. The same before every rate. */
const WARM_UP = { rate: 1000, ms: 5000 };
/** Between warming up and sending, for what is still on its way. */
const REST_MS = 1000;
/** Once a turn: what it costs idle does not depend on what comes later. */
const IDLE_MS = 8000;
const STALLED_MS = 5000;
const LOOK_MS = 100;
/** How Teranode ships this topic: each record goes at once, and what gathers meanwhile goes with the next. */
const FLUSH = { flush_bytes: 64, flush_messages: 1 };
/** Author keys are made of one byte; 1 to 8 are those of other benchmarks. */
const FIRST_AUTHOR = 16;
const AUTHORS = 200;
/** Between the hashes of two runs, so that none is a repeat. */
const HASHES_A_RUN = 100_000_000;
/** Messages signed beyond those that a run takes. */
const SPARE_SECONDS = 2;
const UNBOUNDED = Number.MAX_SAFE_INTEGER;
const HASH = '"hash":"';
/** Up to here latency is judged: above it, the sender takes the cores that it is measured on. */
const JUDGED_RATE = 4000;

interface Sample {
  readonly sent: number;
  /** Messages a second that the sender got rid of. */
  readonly rate: number;
  readonly lostToClient: number;
  readonly lostToKafka: number;
  /** µs a message that was sent, of all its processes. */
  readonly cpu: number;
  /** The same of Kafka; undefined where it is not of this run. */
  readonly kafkaCpu: number | undefined;
  /** ms of CPU a second in which nothing came; undefined where it was not measured. */
  readonly idle: number | undefined;
  readonly memory: number;
  /** ms, p50 and p99. */
  readonly toClient: readonly [number, number];
  readonly toKafka: readonly [number, number];
  /** How often the client was cut, and came back. */
  readonly reconnects: number;
  /** The last that it said on standard error; of the Go reference, at which queues it dropped. */
  readonly said: string;
}

/** What is added to the monotonic clock's ms for the time of day: found at the tick of its whole ms. */
function wallAhead(): number {
  const before = wall.record();
  let now = before;
  while (now === before) now = wall.record();
  return now - monotonic();
}

/** A client that comes back at once when it is cut. */
class Client {
  /** ms of the monotonic clock by the number in the hash. */
  readonly arrivals = new Map<number, number>();
  reconnects = 0;
  #feed: Feed | undefined;
  #closed = false;

  constructor(readonly port: number) {}

  async open(): Promise<void> {
    this.#feed = await Feed.open(
      this.port,
      (payload) => this.#hear(payload),
      () => {
        if (this.#closed) return;
        this.reconnects++;
        this.open().catch((error: unknown) => console.error(error));
      },
    );
  }

  close(): void {
    this.#closed = true;
    this.#feed?.close();
  }

  #hear(payload: Buffer): void {
    const at = payload.indexOf(HASH);
    if (at === -1) return;
    const index = indexIn(payload.toString('latin1', at + HASH.length, at + HASH.length + 64));
    if (index !== undefined && !this.arrivals.has(index)) this.arrivals.set(index, monotonic());
  }
}

interface Load {
  readonly senders: Senders;
  /** Number in the hash of the first message. */
  readonly first: number;
  readonly rate: number;
  readonly seconds: number;
  /** Whether the time in which nothing comes is measured too. */
  readonly idle: boolean;
}

async function sample(subject: Subject, kafka: BenchKafka, load: Load): Promise<Sample> {
  const { cluster } = kafka;
  const topics = { blocks: cluster.topic('blocks'), subtrees: cluster.topic('subtrees') };
  await createStampedTopics(cluster, Object.values(topics));
  const running = await subject.start({
    blocks: cluster.url(topics.blocks, FLUSH),
    subtrees: cluster.url(topics.subtrees, FLUSH),
  });
  const client = new Client(running.httpPort);
  const admin = await cluster.admin();
  let measured: Omit<Sample, 'said'>;
  try {
    await client.open();
    measured = await measure({ ...load, kafka, running, client, admin, topic: topics.subtrees });
  } catch (error) {
    throw new Error(`${subject.name}: ${running.said()}`, { cause: error });
  } finally {
    client.close();
    await load.senders.disconnect().catch(() => {});
    await running.stop();
    await admin.deleteTopics({ topics: Object.values(topics) });
    await admin.disconnect();
  }
  return { ...measured, said: running.said().trim().split('\n').at(-1) ?? '' };
}

interface Setting extends Load {
  readonly kafka: BenchKafka;
  readonly running: Running;
  readonly client: Client;
  readonly admin: Admin;
  readonly topic: string;
}

async function measure(setting: Setting): Promise<Omit<Sample, 'said'>> {
  const { senders, first, rate, seconds, kafka, running, client, admin, topic } = setting;
  const pids = treeOf(running.pid);
  const cost = () => ({
    subject: costOf(pids),
    kafka: kafka.pid === undefined ? undefined : costOf([kafka.pid]),
  });
  const inKafka = async () => {
    const ends = await admin.fetchTopicOffsets(topic);
    return ends.reduce((sum, { high }) => sum + Number(high), 0);
  };
  /** Waits until all of `sent` is with the client and in Kafka, or nothing more comes; the cost is that of when the last came. */
  const settled = async (sent: number): Promise<ReturnType<typeof cost>> => {
    let last = cost();
    let [had, progress] = [-1, monotonic()];
    for (;;) {
      const [frames, records] = [client.arrivals.size, await inKafka()];
      if (frames + records > had) {
        [had, progress] = [frames + records, monotonic()];
        last = cost();
      }
      if ((frames >= sent && records >= sent) || monotonic() - progress > STALLED_MS) return last;
      await delay(LOOK_MS);
    }
  };
  const stopped = async () => {
    const [sent] = await senders.stop();
    if (sent === undefined) throw new Error('no sender');
    return sent;
  };

  await senders.connect(running.address);
  senders.send({ rate: WARM_UP.rate, window: UNBOUNDED });
  await delay(WARM_UP.ms);
  const { sent: from } = await stopped();
  await settled(from);
  await delay(REST_MS);
  const [rest, restFrom] = [cost(), monotonic()];
  if (setting.idle) await delay(IDLE_MS);
  const before = cost();
  const idle = setting.idle
    ? ((before.subject.cpu - rest.subject.cpu) * 1e6) / (monotonic() - restFrom)
    : undefined;

  senders.send({ rate, from, window: UNBOUNDED });
  await delay(seconds * 1000);
  const { memory } = cost().subject;
  const sent = await stopped();
  const after = await settled(sent.sent);
  const ahead = wallAhead();
  const records = await arrivalsIn(kafka.cluster, topic);

  const latencies = (arrivalOf: (index: number) => number | undefined) =>
    sent.times.flatMap((time, index) => {
      const arrival = arrivalOf(first + from + index);
      return arrival === undefined ? [] : [arrival - time];
    });
  const toClient = latencies((index) => client.arrivals.get(index));
  const toKafka = latencies((index) => {
    const stamp = records.get(hashAt(index));
    // The stamp is whole ms, rounded down.
    return stamp === undefined ? undefined : stamp + 0.5 - ahead;
  });
  const count = sent.times.length;
  const perMessage = (one: Cost, other: Cost) => ((other.cpu - one.cpu) * 1e6) / count;
  return {
    sent: count,
    rate: count / sent.seconds,
    lostToClient: count - toClient.length,
    lostToKafka: count - toKafka.length,
    cpu: perMessage(before.subject, after.subject),
    kafkaCpu: before.kafka && after.kafka && perMessage(before.kafka, after.kafka),
    idle,
    memory,
    toClient: [percentile(toClient, 0.5), percentile(toClient, 0.99)],
    toKafka: [percentile(toKafka, 0.5), percentile(toKafka, 0.99)],
    reconnects: client.reconnects,
  };
}

const lossOf = ({ lostToClient, lostToKafka }: Sample): number => Math.max(lostToClient, lostToKafka);

/** `samples` of one subject at one rate, a figure a line. */
function figuresOf(name: string, seconds: number, samples: readonly Sample[]): Figure[] {
  const figure = (what: string, unit: string, of: (sample: Sample) => number) =>
    figureOf(`${name}: ${what}`, unit, samples.map(of));
  const percent = (part: number, sample: Sample) => (100 * part) / sample.sent;
  return [
    figure('sent', 'messages/s', ({ rate }) => rate),
    figure('lost on the way to Kafka', '%', (sample) => percent(sample.lostToKafka, sample)),
    figure('lost on the way to the client', '%', (sample) => percent(sample.lostToClient, sample)),
    figure('CPU', 'µs/message', ({ cpu }) => cpu),
    ...(samples.some(({ kafkaCpu }) => kafkaCpu === undefined)
      ? []
      : [figure('Kafka’s own CPU', 'µs/message', ({ kafkaCpu = 0 }) => kafkaCpu)]),
    figure('to the client, p50', 'ms', ({ toClient }) => toClient[0]),
    figure('to the client, p99', 'ms', ({ toClient }) => toClient[1]),
    figure('into Kafka, p50', 'ms', ({ toKafka }) => toKafka[0]),
    figure('into Kafka, p99', 'ms', ({ toKafka }) => toKafka[1]),
    figure(`memory after ${seconds} s`, 'MiB', ({ memory }) => memory),
  ];
}

interface Compared {
  readonly name: string;
  readonly of: (sample: Sample) => number;
  /** At the most so many times the reference's. */
  readonly aim: number;
  readonly latency?: boolean;
}

const COMPARED: readonly Compared[] = [
  { name: 'CPU', of: ({ cpu }) => cpu, aim: 1 },
  { name: 'to the client, p50', of: ({ toClient }) => toClient[0], aim: 1.5, latency: true },
  { name: 'to the client, p99', of: ({ toClient }) => toClient[1], aim: 1, latency: true },
  { name: 'into Kafka, p50', of: ({ toKafka }) => toKafka[0], aim: 1.5, latency: true },
  { name: 'into Kafka, p99', of: ({ toKafka }) => toKafka[1], aim: 1, latency: true },
  { name: 'memory', of: ({ memory }) => memory, aim: 2 },
];

/** Each turn's own ratio: what else the machine did meanwhile, it did to both. The aims are those beside the Go reference. */
function compare(
  rate: number,
  { name, judged }: { readonly name: string; readonly judged: boolean },
  measured: readonly Sample[],
  reference: readonly Sample[],
): { readonly figures: Figure[]; readonly ratios: Ratio[] } {
  const figures = COMPARED.map((each) =>
    figureOf(
      `${rate}/s, ${each.name}: this server to ${name}`,
      '×',
      measured.flatMap((sample, turn) => {
        const beside = reference[turn];
        return beside === undefined ? [] : [each.of(sample) / each.of(beside)];
      }),
    ),
  );
  const ratios = COMPARED.map(({ aim, latency }, index): Ratio => {
    const { name: ratio = '', median: value = Number.NaN } = figures[index] ?? {};
    return judged && !(latency && rate > JUDGED_RATE)
      ? { name: ratio, value, aim: `≤ ${aim}`, met: value <= aim }
      : { name: ratio, value };
  });
  return { figures, ratios };
}

export async function run(options: BenchmarkOptions): Promise<BenchmarkResult> {
  const { runs = RUNS, seconds = SECONDS, rates = RATES, against, beside, progress } = options;
  const nothing = (reason: string): BenchmarkResult => ({
    ...{ id: 'P0', title: TITLE, figures: [], ratios: [], dropped: 0, notes: [] },
    notRun: [`all of it: ${reason}`],
  });
  if (!existsSync('/proc/self/stat')) return nothing('what processes cost is read from Linux’s /proc');
  const kafka = await startBenchKafka();
  if ('missing' in kafka) return nothing(kafka.missing);
  const reference = await goReference();
  const hasReference = !('missing' in reference);
  const ours = server('this server');
  const subjects: Subject[] = [
    ...(hasReference ? [reference] : []),
    ours,
    ...(against === undefined ? [] : [server('the other build', against)]),
    ...(beside === undefined ? [] : [program('the other program', beside)]),
  ];
  const samples = new Map<string, Sample[]>();
  const of = (subject: Subject, rate: number): Sample[] => {
    const key = `${rate}/s, ${subject.name}`;
    const known = samples.get(key) ?? [];
    samples.set(key, known);
    return known;
  };
  try {
    let round = 0;
    for (let count = 1; count <= runs; count++) {
      for (const [nth, rate] of rates.entries()) {
        const first = ++round * HASHES_A_RUN;
        const messages =
          Math.ceil((WARM_UP.rate * WARM_UP.ms) / 1000 + rate * (seconds + SPARE_SECONDS)) + WARM_UP.rate;
        progress(`run ${count} of ${runs}, ${rate}/s: signing ${messages.toLocaleString('en-US')} messages`);
        const senders = await Senders.prepare(
          gossipTopic('subtree'),
          { messages, first, framing: 'message-bus' },
          { authors: [FIRST_AUTHOR + (round % AUTHORS)] },
        );
        try {
          // Each is the first as often as the others.
          const turn = subjects.map((_, index) => subjects[(index + count) % subjects.length] as Subject);
          for (const subject of turn) {
            progress(`run ${count} of ${runs}, ${rate}/s, ${subject.name}, ${seconds} s`);
            const load = { senders, first, rate, seconds, idle: nth === 0 };
            of(subject, rate).push(await sample(subject, kafka, load));
          }
        } finally {
          senders.close();
        }
      }
    }
  } finally {
    await kafka.stop();
  }
  const compared = rates.flatMap((rate) =>
    subjects
      .filter((subject) => subject !== ours)
      .map((subject) =>
        compare(
          rate,
          { name: subject.name, judged: subject === reference },
          of(ours, rate),
          of(subject, rate),
        ),
      ),
  );
  const lost = rates.flatMap((rate) => of(ours, rate)).map(lossOf);
  const idle = subjects.map((subject) =>
    figureOf(
      `${subject.name}: CPU while nothing comes`,
      'ms/s',
      rates.flatMap((rate) => of(subject, rate)).flatMap(({ idle: ms }) => (ms === undefined ? [] : [ms])),
    ),
  );
  const losses = rates.flatMap((rate) =>
    subjects.flatMap((subject) => {
      const [worst] = [...of(subject, rate)].sort((one, other) => lossOf(other) - lossOf(one));
      if (worst === undefined || lossOf(worst) === 0) return [];
      const { sent, lostToKafka, lostToClient, reconnects, said } = worst;
      return [
        `${rate}/s, ${subject.name}: ${lostToKafka} and ${lostToClient} of ${sent} lost on the way to Kafka and the client, which was cut ${reconnects} times and came back at once, in the run that lost most${said === '' ? '' : ` (“${said}”)`}`,
      ];
    }),
  );
  return {
    id: 'P0',
    title: TITLE,
    figures: [
      ...rates.flatMap((rate) =>
        subjects.flatMap((subject) => figuresOf(`${rate}/s, ${subject.name}`, seconds, of(subject, rate))),
      ),
      ...idle,
      ...compared.flatMap(({ figures }) => figures),
    ],
    ratios: compared.flatMap(({ ratios }) => ratios),
    dropped: lost.reduce((sum, each) => sum + each, 0),
    ...(hasReference ? {} : { notRun: [`the Go reference: ${reference.missing}`] }),
    notes: [
      `each a process of its own, started anew for every run, warmed up with ${WARM_UP.rate} messages/s for ${WARM_UP.ms / 1000} s; one sender, one author, signed subtree announcements in the message bus’s envelope, of an author and hashes that no other run has; one WebSocket client; a Kafka of one broker; all on the same cores`,
      `Kafka’s topics have flush_bytes=${FLUSH.flush_bytes} and flush_messages=${FLUSH.flush_messages}, as Teranode ships them; this server has no use for either`,
      'lost: sent, less what arrived, whatever the reason; CPU: user and system time of all its processes until the last message arrived, by messages sent; memory: resident, of all its processes, what they share in each',
      'latency from the sender’s stream, before encryption and the socket, until the client reads the frame, and until Kafka’s own stamp of when it appended the record (whole ms): the acknowledgement follows that stamp; of what arrived',
      'ratios: the median of each turn’s own',
      ...losses,
    ],
  };
}
