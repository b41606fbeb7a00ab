/**
 * P1: signed gossip messages that the whole server takes, checks, and turns into outbox entries, Kafka records and
 * WebSocket frames, a second, beside plain js-libp2p GossipSub and go-libp2p-pubsub, both with an empty handler.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { monotonic } from '../src/shared/clock.js';
import { Senders, type Sent, Target, type TargetKind } from './gossip/arena.js';
import { Feed } from './gossip/feed.js';
import type { Snapshot } from './gossip/target.js';
import { goReference, gossipTopic } from './reference/subjects.js';
import { type BenchmarkOptions, type BenchmarkResult, type Figure, figureOf } from './result.js';

const RUNS = 5;
const SECONDS = 30;
const RELAYS = 6;
/** Messages signed for each second of a run: more than any machine takes. With relays every one is sent six times. */
const SIGNED_A_SECOND = { publisher: 20_000, relays: 8_000 };
/** Connections, compiling: what it costs is not what a message costs. */
const WARM_UP_MS = 3000;
const STALLED_MS = 15_000;
/** A thread that is on a core for this part of the time can do no more. */
const SATURATED = 0.9;

interface Sample {
  readonly rate: number;
  /** µs a message. */
  readonly cpu: Readonly<Record<string, number>>;
  /** Part of the time that each thread was on a core. */
  readonly busy: Readonly<Record<string, number>>;
  readonly sent: readonly Sent[];
  readonly dropped: number;
}

/** As soon as `sent` have their verdict, or when no more get one: then what it was when the last did. */
async function verdicts(target: Target, sent: number): Promise<Snapshot> {
  let last = await target.snapshot();
  while (last.processed < sent && monotonic() - last.at < STALLED_MS) {
    await delay(5);
    const now = await target.snapshot();
    if (now.processed > last.processed) last = now;
  }
  return last;
}

async function settled(target: Target, sent: number, frames: () => number): Promise<Snapshot> {
  let last = await target.snapshot();
  let progress = performance.now();
  const total = (snapshot: Snapshot) => snapshot.processed + snapshot.acknowledged + frames();
  while (last.processed < sent || last.acknowledged < sent || frames() < sent) {
    const before = total(last);
    await delay(50);
    last = await target.snapshot();
    if (total(last) > before) progress = performance.now();
    else if (performance.now() - progress > STALLED_MS) break;
  }
  return last;
}

async function sample(kind: TargetKind, senders: Senders, seconds: number): Promise<Sample> {
  const target = await Target.start(kind);
  let frames = 0;
  const feed =
    kind === 'server'
      ? await Feed.open(target.ready.httpPort, (payload) => {
          if (payload.includes('"type":"subtree"')) frames++;
        })
      : undefined;
  try {
    await senders.connect(target.ready.address);
    target.watch((count) => senders.processed(count));
    senders.send();
    await delay(WARM_UP_MS);
    const from = await target.snapshot();
    await delay(seconds * 1000);
    const sent = await senders.stop();
    const messages = Math.max(...sent.map((each) => each.sent));
    const to = await verdicts(target, messages);
    const end = await settled(target, messages, () => (feed === undefined ? messages : frames));
    const missing = [end.accepted, end.acknowledged, feed === undefined ? messages : frames].map((count) =>
      Math.max(0, messages - count),
    );
    const [counted, ms] = [to.processed - from.processed, to.at - from.at];
    const used = Object.entries(to.cpu).map(
      ([role, total]) => [role, total - (from.cpu[role] ?? 0)] as const,
    );
    return {
      rate: (counted * 1000) / ms,
      cpu: Object.fromEntries(used.map(([role, cpu]) => [role, (cpu * 1e6) / counted])),
      busy: Object.fromEntries(used.map(([role, cpu]) => [role, (cpu * 1000) / ms])),
      sent,
      dropped: Math.max(...missing),
    };
  } finally {
    feed?.close();
    await senders.disconnect().catch(() => {});
    await target.stop();
  }
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
const percent = (part: number): string => `${Math.round(part * 100)} %`;

function cpuFigures(name: string, samples: readonly Sample[]): Figure[] {
  const roles = [...new Set(samples.flatMap(({ cpu }) => Object.keys(cpu)))];
  const unit = 'CPU µs/message';
  return [
    ...roles.map((role) =>
      figureOf(
        `${name}: ${role}`,
        unit,
        samples.map(({ cpu }) => cpu[role] ?? 0),
      ),
    ),
    figureOf(
      `${name}: in all`,
      unit,
      samples.map(({ cpu }) => sum(Object.values(cpu))),
    ),
  ];
}

/** Which thread is at its end, in the run in the middle. */
function saturation(name: string, samples: readonly Sample[]): string {
  const middle = [...samples].sort((a, b) => a.rate - b.rate)[samples.length >> 1];
  if (middle === undefined) return '';
  const busiest = Object.entries(middle.busy)
    // Several threads together are no thread.
    .filter(([role]) => role !== 'Node’s own threads')
    .sort(([, a], [, b]) => b - a);
  const shares = busiest.map(([role, busy]) => `${role} ${percent(busy)}`).join(', ');
  const [first] = busiest;
  const verdict =
    first !== undefined && first[1] >= SATURATED
      ? `${first[0]} is saturated`
      : 'no thread is saturated: the cores are shared out';
  const waited = Math.min(...middle.sent.map((sent) => sent.waited));
  const rates = middle.sent.map(({ sent, seconds }) => Math.round(sent / seconds).toLocaleString('en-US'));
  return `${name}: ${verdict} (on a core: ${shares}); senders sent ${rates.join(', ')}/s and waited ${percent(waited)} of their time for the receiver`;
}

export async function run(options: BenchmarkOptions): Promise<BenchmarkResult> {
  const { runs = RUNS, seconds = SECONDS, progress } = options;
  const figures: Figure[] = [];
  const ratios: BenchmarkResult['ratios'] = [];
  const notes: string[] = [];
  let dropped = 0;
  const go = await goReference();
  for (const [name, relays, signed, aims] of [
    ['one publisher', 0, SIGNED_A_SECOND.publisher, { plain: 3, go: 0.7 }],
    ['six relays', RELAYS, SIGNED_A_SECOND.relays, { plain: 8, go: 1 }],
  ] as const) {
    progress(`${name}: signing ${(signed * seconds).toLocaleString('en-US')} messages`);
    const senders = await Senders.prepare(
      gossipTopic('subtree'),
      { messages: signed * (seconds + WARM_UP_MS / 1000) },
      { relays },
    );
    const server: Sample[] = [];
    const plain: Sample[] = [];
    const inGo: Sample[] = [];
    const contestants = [
      ['plain', plain],
      ...('missing' in go ? [] : [['go', inGo] as const]),
      ['server', server],
    ] as const;
    try {
      for (let count = 1; count <= runs; count++) {
        for (const [kind, samples] of contestants) {
          progress(`${name}: run ${count} of ${runs}, ${kind}, ${seconds} s`);
          const measured = await sample(kind, senders, seconds);
          samples.push(measured);
          if (kind === 'server') dropped += measured.dropped;
          else if (measured.dropped > 0) {
            notes.push(`${name}, run ${count}: ${kind} dropped ${measured.dropped}`);
          }
        }
      }
    } finally {
      senders.close();
    }
    const rateOf = (who: string, samples: readonly Sample[]) =>
      figureOf(
        `${name}: ${who}`,
        'messages/s',
        samples.map(({ rate }) => rate),
      );
    const measured = rateOf('this server', server);
    const references = [
      { ...rateOf('plain GossipSub', plain), to: 'plain GossipSub', aim: aims.plain },
      ...(inGo.length === 0
        ? []
        : [{ ...rateOf('go-libp2p-pubsub', inGo), to: 'go-libp2p-pubsub', aim: aims.go }]),
    ];
    const mainThread = figureOf(
      '',
      '',
      server.map(({ cpu }) => cpu.main ?? cpu.process ?? 0),
    ).median;
    figures.push(
      measured,
      ...references.map(({ to: _to, aim: _aim, ...figure }) => figure),
      ...cpuFigures(`${name}, server`, server),
      ...cpuFigures(`${name}, plain`, plain),
      ...(inGo.length === 0 ? [] : cpuFigures(`${name}, Go`, inGo)),
    );
    ratios.push(
      ...references.map(({ to, aim, median }) => {
        const value = measured.median / median;
        return { name: `${name}: messages/s to ${to}`, value, aim: `≥ ${aim}`, met: value >= aim };
      }),
      { name: `${name}: main-thread µs a message`, value: mainThread, aim: '≤ 30', met: mainThread <= 30 },
    );
    notes.push(saturation(name, server));
  }
  return {
    id: 'P1',
    title: 'Signed gossip messages to outbox, Kafka and WebSocket',
    figures,
    ratios,
    dropped,
    ...('missing' in go ? { notRun: [`beside go-libp2p-pubsub: ${go.missing}`] } : {}),
    notes: [
      ...notes,
      `${seconds} s a run after warming up; subtree announcements, one an RPC; senders on the same cores; one WebSocket client; embedded broker; the budget of a connection lifted`,
      'with six relays a message is counted once, and forwarding it to relays that have not sent it yet is part of its cost',
    ],
  };
}
