/**
 * P3: what one message costs each thread of a server that has little to do, apart from what the server costs while nothing comes; and what it
 * costs a plain GossipSub peer and go-libp2p-pubsub, who do nothing with it.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { Senders, Target, type TargetKind } from './gossip/arena.js';
import { Feed } from './gossip/feed.js';
import type { Snapshot } from './gossip/target.js';
import { goReference, gossipTopic } from './reference/subjects.js';
import { type BenchmarkOptions, type BenchmarkResult, figureOf, type Ratio } from './result.js';

const RUNS = 5;
const SECONDS = 10;
const RATES = [100, 1000];
/** Code compiled, a mesh formed. */
const WARM_UP = { rate: 1000, seconds: 5 };
/** After each stretch of sending, before anything is measured. */
const REST_MS = 1000;
const LOOK_MS = 20;
const ASK_MS = 250;
const STALLED_MS = 10_000;
const UNBOUNDED = Number.MAX_SAFE_INTEGER;
/** ms of CPU a message at each rate, without what it costs idle; ms of CPU a second idle. */
const AIMS: ReadonlyMap<number, number> = new Map([
  [100, 2.5],
  [1000, 0.8],
]);
const IDLE_AIM = 10;

const NAMES: Readonly<Record<TargetKind, string>> = {
  server: 'this server',
  plain: 'plain GossipSub',
  go: 'go-libp2p-pubsub',
};

type ByRole = Readonly<Record<string, number>>;

interface Sample {
  /** ms of CPU a second by thread, while nothing comes. */
  readonly idle: ByRole;
  /** µs of CPU a message by thread, without the idle cost of the time that it took, for each of the rates. */
  readonly messages: readonly ByRole[];
  readonly lost: number;
}

const sum = (values: ByRole): number => Object.values(values).reduce((total, value) => total + value, 0);

/** CPU seconds by thread from one to the other. */
function between(from: Snapshot, to: Snapshot): ByRole {
  return Object.fromEntries(
    Object.entries(to.cpu).map(([role, total]) => [role, total - (from.cpu[role] ?? 0)]),
  );
}

async function sample(
  kind: TargetKind,
  senders: Senders,
  seconds: number,
  rates: readonly number[],
): Promise<Sample> {
  const target = await Target.start(kind);
  let frames = 0;
  const isServer = kind === 'server';
  const feed = isServer
    ? await Feed.open(target.ready.httpPort, (payload) => {
        if (payload.includes('"type":"subtree"')) frames++;
      })
    : undefined;
  /** Whoever has no clients is asked, which costs it something, and so more rarely. */
  const through = async (): Promise<number> => {
    if (isServer) return frames;
    await delay(ASK_MS);
    return (await target.snapshot()).accepted;
  };
  let sent = 0;
  /** Sends for so long; resolves with how many when all of them are everywhere, or nothing more comes. */
  const send = async (rate: number, ms: number): Promise<number> => {
    const before = sent;
    senders.send({ rate, from: sent, window: UNBOUNDED });
    await delay(ms);
    const [stopped] = await senders.stop();
    if (stopped === undefined) throw new Error('no sender');
    sent = stopped.sent;
    const waitFrom = performance.now();
    while ((await through()) < sent && performance.now() - waitFrom < STALLED_MS) await delay(LOOK_MS);
    return sent - before;
  };
  try {
    await senders.connect(target.ready.address);
    await send(WARM_UP.rate, WARM_UP.seconds * 1000);
    await delay(REST_MS);
    const idleFrom = await target.snapshot();
    await delay(seconds * 1000);
    const idleTo = await target.snapshot();
    // Seconds of CPU and ms of time make thousands of ms a second.
    const perSecond = (from: Snapshot, to: Snapshot) =>
      Object.entries(between(from, to)).map(
        ([role, cpu]) => [role, (cpu * 1e6) / (to.at - from.at)] as const,
      );
    const idle = Object.fromEntries(perSecond(idleFrom, idleTo));
    const messages: ByRole[] = [];
    for (const rate of rates) {
      await delay(REST_MS);
      const from = await target.snapshot();
      const count = await send(rate, seconds * 1000);
      const to = await target.snapshot();
      messages.push(
        Object.fromEntries(
          perSecond(from, to).map(([role, used]) => [
            role,
            ((used - (idle[role] ?? 0)) * (to.at - from.at)) / count,
          ]),
        ),
      );
    }
    const end = await target.snapshot();
    const lost = Math.max(
      sent - end.accepted,
      isServer ? Math.max(sent - frames, sent - end.acknowledged) : 0,
    );
    return { idle, messages, lost: Math.max(0, lost) };
  } finally {
    feed?.close();
    await senders.disconnect().catch(() => {});
    await target.stop();
  }
}

export async function run(options: BenchmarkOptions): Promise<BenchmarkResult> {
  const { runs = RUNS, seconds = SECONDS, rates = RATES, progress } = options;
  const messages =
    rates.reduce((total, rate) => total + rate * (seconds + 1), 0) + WARM_UP.rate * (WARM_UP.seconds + 1);
  const senders = await Senders.prepare(gossipTopic('subtree'), { messages, framing: 'message-bus' });
  const go = await goReference();
  const kinds: readonly TargetKind[] = ['server', 'plain', ...('missing' in go ? [] : (['go'] as const))];
  const samplesOf = new Map<TargetKind, Sample[]>(kinds.map((kind) => [kind, []]));
  try {
    for (let count = 1; count <= runs; count++) {
      for (const kind of kinds) {
        progress(
          `run ${count} of ${runs}, ${NAMES[kind]}, ${rates.join('/s, ')}/s and idle, ${seconds} s each`,
        );
        samplesOf.get(kind)?.push(await sample(kind, senders, seconds, rates));
      }
    }
  } finally {
    senders.close();
  }
  const samples = samplesOf.get('server') ?? [];
  const figures = (name: string, unit: string, of: (each: Sample) => ByRole) => {
    const roles = [...new Set(samples.flatMap((each) => Object.keys(of(each))))];
    return [
      ...roles.map((role) =>
        figureOf(
          `${name}: ${role}`,
          unit,
          samples.map((each) => of(each)[role] ?? 0),
        ),
      ),
      figureOf(
        `${name}: in all`,
        unit,
        samples.map((each) => sum(of(each))),
      ),
    ];
  };
  /** Of those that do nothing with a message, all their threads together. */
  const others = kinds
    .filter((kind) => kind !== 'server')
    .flatMap((kind) =>
      rates.map((rate, index) =>
        figureOf(
          `at ${rate}/s: ${NAMES[kind]}`,
          'CPU µs/message',
          (samplesOf.get(kind) ?? []).map(({ messages }) => sum(messages[index] ?? {})),
        ),
      ),
    );
  const idle = figures('while nothing comes', 'CPU ms/s', (each) => each.idle);
  const atRates = rates.map((rate, index) =>
    figures(`at ${rate}/s`, 'CPU µs/message', (each) => each.messages[index] ?? {}),
  );
  const ratios = rates.map((rate, index): Ratio => {
    const value = (atRates[index]?.at(-1)?.median ?? Number.NaN) / 1000;
    const aim = AIMS.get(rate);
    const name = `ms of CPU a message at ${rate}/s`;
    return aim === undefined ? { name, value } : { name, value, aim: `≤ ${aim}`, met: value <= aim };
  });
  const idleValue = idle.at(-1)?.median ?? Number.NaN;
  return {
    id: 'P3',
    title: 'What one message costs, apart from an idle server',
    figures: [...atRates.flat(), ...others, ...idle],
    ratios: [
      ...ratios,
      { name: 'ms of CPU a second idle', value: idleValue, aim: `≤ ${IDLE_AIM}`, met: idleValue <= IDLE_AIM },
    ],
    dropped: samples.reduce((total, { lost }) => total + lost, 0),
    notes: [
      ...('missing' in go ? [`go-libp2p-pubsub was not measured: ${go.missing}`] : []),
      `one server a run, warmed up with ${WARM_UP.rate} messages/s for ${WARM_UP.seconds} s, idle, then at each rate; a message’s figures are without the idle cost of the time that they took`,
      'subtree announcements, one an RPC, in the message bus’s envelope; one sender, one WebSocket client, embedded broker; CPU time of a process, and of a thread where the kernel keeps no finer count, in steps of 10 ms',
    ],
  };
}
