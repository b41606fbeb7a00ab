/** P7: how late the main thread comes to its timers at half the rate of P1, and while nothing comes. */

import { setTimeout as delay } from 'node:timers/promises';
import { Senders, Target } from './gossip/arena.js';
import { Feed } from './gossip/feed.js';
import { flatOutRate } from './gossip/flat-out.js';
import type { Lateness } from './gossip/target.js';
import { gossipTopic } from './reference/subjects.js';
import { type BenchmarkOptions, type BenchmarkResult, figureOf } from './result.js';

const RUNS = 5;
const SECONDS = 20;
/** Of one run flat out, of which half is taken. */
const FLAT_OUT_SECONDS = 10;
const AIM_MS = 20;
/** Code compiled, a mesh formed. */
const WARM_UP_MS = 5000;
const REST_MS = 2000;
const LOOK_MS = 20;
const STALLED_MS = 15_000;
const UNBOUNDED = Number.MAX_SAFE_INTEGER;

interface Sample {
  readonly idle: Lateness;
  readonly loaded: Lateness;
  readonly rate: number;
  readonly lost: number;
}

async function sample(senders: Senders, rate: number, seconds: number): Promise<Sample> {
  const target = await Target.start('server');
  let frames = 0;
  const feed = await Feed.open(target.ready.httpPort, (payload) => {
    if (payload.includes('"type":"subtree"')) frames++;
  });
  const settled = async (sent: number) => {
    let [had, progress] = [frames, performance.now()];
    while (frames < sent && performance.now() - progress < STALLED_MS) {
      await delay(LOOK_MS);
      if (frames > had) [had, progress] = [frames, performance.now()];
    }
  };
  /** Sends at the rate for so long; resolves with how many were sent in all when they are everywhere, and how late main was meanwhile. */
  const send = async (from: number, ms: number) => {
    await target.late();
    senders.send({ rate, from, window: UNBOUNDED });
    await delay(ms);
    const late = await target.late();
    const [sent] = await senders.stop();
    if (sent === undefined) throw new Error('no sender');
    await settled(sent.sent);
    return { sent: sent.sent, rate: (sent.sent - from) / sent.seconds, late };
  };
  try {
    await senders.connect(target.ready.address);
    target.look();
    const { sent: warm } = await send(0, WARM_UP_MS);
    await delay(REST_MS);
    await target.late();
    await delay(seconds * 1000);
    const idle = await target.late();
    const { sent, rate: reached, late: loaded } = await send(warm, seconds * 1000);
    const end = await target.snapshot();
    const lost = Math.max(0, sent - frames, sent - end.acknowledged, sent - end.accepted);
    return { idle, loaded, rate: reached, lost };
  } finally {
    feed.close();
    await senders.disconnect().catch(() => {});
    await target.stop();
  }
}

export async function run(options: BenchmarkOptions): Promise<BenchmarkResult> {
  const { runs = RUNS, seconds = SECONDS, rates: [given] = [], progress } = options;
  if (given === undefined) progress(`flat out for ${FLAT_OUT_SECONDS} s, to take half of that rate`);
  const rate = given ?? Math.round((await flatOutRate(FLAT_OUT_SECONDS)) / 2);
  // The sender may be behind when it is stopped, never ahead.
  const messages = Math.ceil(rate * (seconds + WARM_UP_MS / 1000 + 2));
  progress(`signing ${messages.toLocaleString('en-US')} messages`);
  const senders = await Senders.prepare(gossipTopic('subtree'), { messages });
  const samples: Sample[] = [];
  try {
    for (let count = 1; count <= runs; count++) {
      progress(`run ${count} of ${runs}, idle and at ${rate}/s, ${seconds} s each`);
      samples.push(await sample(senders, rate, seconds));
    }
  } finally {
    senders.close();
  }
  const figures = (name: string, of: (each: Sample) => Lateness) =>
    (['p50', 'p99', 'max'] as const).map((part) =>
      figureOf(
        `${name}, ${part}`,
        'ms',
        samples.map((each) => of(each)[part]),
      ),
    );
  const loaded = figures(`at ${rate}/s`, (each) => each.loaded);
  const value = loaded[1]?.median ?? Number.NaN;
  return {
    id: 'P7',
    title: 'How late the main thread is at half the rate of P1',
    figures: [
      figureOf(
        'sent',
        'messages/s',
        samples.map((each) => each.rate),
      ),
      ...loaded,
      ...figures('while nothing comes', (each) => each.idle),
    ],
    ratios: [{ name: 'ms late, p99', value, aim: `≤ ${AIM_MS}`, met: value <= AIM_MS }],
    dropped: samples.reduce((total, { lost }) => total + lost, 0),
    notes: [
      given === undefined
        ? `half of what one run of ${FLAT_OUT_SECONDS} s flat out took`
        : 'at the rate that was given, which is not taken from a run flat out',
      'a timer of 10 ms in the main thread: how much later than due it came, in the stretch in which all was sent, without what was still on its way after; its wake-ups are part of what the thread does',
      'subtree announcements, one an RPC, as P1 sends them; one sender on the same cores, one WebSocket client, embedded broker',
    ],
  };
}
