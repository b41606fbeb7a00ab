/** As many signed messages as something takes, for some seconds: P1's way, and where others take its rate from. */

import { setTimeout as delay } from 'node:timers/promises';
import { monotonic } from '../../src/shared/clock.js';
import { costOf } from '../processes.js';
import { gossipTopic } from '../reference/subjects.js';
import { Senders, type Sent, Target, type TargetKind, type TargetOptions } from './arena.js';
import { Feed } from './feed.js';
import type { Snapshot } from './target.js';

/** Connections, compiling: what it costs is not what a message costs. */
export const WARM_UP_MS = 3000;
/** Messages signed for each second of a run: more than any machine takes. With relays every one is sent six times. */
export const SIGNED_A_SECOND = { publisher: 20_000, relays: 8_000 };
const STALLED_MS = 15_000;

export interface FlatOutOptions extends TargetOptions {
  readonly seconds: number;
  /** Called before anything is sent. */
  readonly prepare?: (target: Target, senders: Senders) => void;
}

export interface FlatOut {
  /** Messages a second. */
  readonly rate: number;
  /** µs a message. */
  readonly cpu: Readonly<Record<string, number>>;
  /** The same of the senders; 0 where the system does not tell. */
  readonly senderCpu: number;
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

/** One run on a new target. The senders must have messages for the run and the warming up. */
export async function flatOut(
  kind: TargetKind,
  senders: Senders,
  { seconds, prepare = () => {}, ...options }: FlatOutOptions,
): Promise<FlatOut> {
  const target = await Target.start(kind, options);
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
    prepare(target, senders);
    senders.send();
    await delay(WARM_UP_MS);
    const from = await target.snapshot();
    const spentFrom = costOf(senders.pids).cpu;
    await delay(seconds * 1000);
    const sent = await senders.stop();
    const messages = Math.max(...sent.map((each) => each.sent));
    const to = await verdicts(target, messages);
    const spent = costOf(senders.pids).cpu - spentFrom;
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
      senderCpu: (spent * 1e6) / counted,
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

/** Messages a second that a server takes from one publisher, flat out for `seconds`. */
export async function flatOutRate(seconds: number): Promise<number> {
  const messages = SIGNED_A_SECOND.publisher * (seconds + WARM_UP_MS / 1000);
  const senders = await Senders.prepare(gossipTopic('subtree'), { messages });
  try {
    const { rate, dropped } = await flatOut('server', senders, { seconds });
    if (dropped > 0) throw new Error(`the server dropped ${dropped} messages flat out`);
    return rate;
  } finally {
    senders.close();
  }
}
