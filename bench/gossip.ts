/**
 * P1: signed gossip messages that the whole server takes, checks, and turns into outbox entries, Kafka records and
 * WebSocket frames, a second, beside plain js-libp2p GossipSub and go-libp2p-pubsub, both with an empty handler.
 */

import { Senders } from './gossip/arena.js';
import { type FlatOut, flatOut, SIGNED_A_SECOND, WARM_UP_MS } from './gossip/flat-out.js';
import { goReference, gossipTopic } from './reference/subjects.js';
import { type BenchmarkOptions, type BenchmarkResult, type Figure, figureOf } from './result.js';

const RUNS = 5;
const SECONDS = 30;
const RELAYS = 6;
/** A thread that is on a core for this part of the time can do no more. */
const SATURATED = 0.9;

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
const percent = (part: number): string => `${Math.round(part * 100)} %`;

function cpuFigures(name: string, samples: readonly FlatOut[]): Figure[] {
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
function saturation(name: string, samples: readonly FlatOut[]): string {
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
    const server: FlatOut[] = [];
    const plain: FlatOut[] = [];
    const inGo: FlatOut[] = [];
    const contestants = [
      ['plain', plain],
      ...('missing' in go ? [] : [['go', inGo] as const]),
      ['server', server],
    ] as const;
    try {
      for (let count = 1; count <= runs; count++) {
        for (const [kind, samples] of contestants) {
          progress(`${name}: run ${count} of ${runs}, ${kind}, ${seconds} s`);
          const measured = await flatOut(kind, senders, { seconds });
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
    const rateOf = (who: string, samples: readonly FlatOut[]) =>
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
