/** Consumers in a process of their own, and a measured delivery to them. */

import { fork } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { monotonic } from '../../src/shared/clock.js';
import { once } from '../child.js';
import { announcements } from './announcements.js';
import type { ConsumersOrder, ConsumersReport } from './consumers.js';
import type { Served } from './served.js';

export interface Heard {
  readonly frames: number;
  readonly bytes: number;
}

export class Consumers {
  readonly #child = fork(new URL('./consumers.js', import.meta.url));

  /** Resolves when all are answered; rejects where one is refused. */
  async open(port: number, paths: readonly string[]): Promise<void> {
    const opened = once<ConsumersReport>(this.#child, 'opened');
    this.#order({ type: 'open', port, paths });
    await opened;
  }

  /** Whether so many frames have come to all together, before time ran out. */
  async reach(frames: number, timeoutMs: number): Promise<boolean> {
    const reached = once<ConsumersReport>(this.#child, 'reached').then(() => true);
    this.#order({ type: 'await', frames });
    const late = new AbortController();
    const inTime = await Promise.race([
      reached,
      delay(timeoutMs, false, { signal: late.signal }).catch(() => false),
    ]);
    late.abort();
    return inTime;
  }

  async count(): Promise<Heard> {
    const counted = once<ConsumersReport & { type: 'count' }>(this.#child, 'count');
    this.#order({ type: 'count' });
    const { frames, bytes } = await counted;
    return { frames, bytes };
  }

  async close(): Promise<void> {
    const closed = once<ConsumersReport>(this.#child, 'closed');
    this.#order({ type: 'close' });
    await closed;
  }

  async stop(): Promise<void> {
    if (!this.#child.connected) return;
    const gone = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.disconnect();
    await gone;
  }

  #order(order: ConsumersOrder): void {
    this.#child.send(order);
  }
}

/** How frames come to the notification server. */
export interface Pace {
  /** Handed over at once. */
  readonly burst: number;
  readonly bursts: number;
  /** Ms from one burst to the next; 0: as soon as all have the one before the last. */
  readonly everyMs: number;
  /** Of the frames; twenty nodes unless told. */
  readonly author?: string;
}

export interface Delivered {
  readonly deliveries: number;
  readonly seconds: number;
  /** µs of the notification server a delivery. */
  readonly cpu: number;
  /** On the wire, a delivery. */
  readonly bytes: number;
  readonly dropped: number;
}

const TIMEOUT_MS = 60_000;

/** Opens a consumer for each of `paths`, delivers to all of them, and closes them. */
export async function deliver(
  served: Served,
  consumers: Consumers,
  { paths, burst, bursts, everyMs, author }: Pace & { readonly paths: readonly string[] },
): Promise<Delivered> {
  await consumers.open(served.port, paths);
  // The first frames of each: whatever begins with its first frame has begun.
  served.append(announcements(1, author));
  let expected = paths.length;
  let whole = await consumers.reach(expected, TIMEOUT_MS);
  const before = await consumers.count();
  const cpu = await served.cpu();
  const began = monotonic();
  for (let sent = 0; sent < bursts && whole; sent++) {
    served.append(announcements(burst, author));
    if (everyMs > 0) await delay(Math.max(0, began + (sent + 1) * everyMs - monotonic()));
    else if (sent > 0) whole = await consumers.reach(expected, TIMEOUT_MS);
    expected += paths.length * burst;
  }
  whole &&= await consumers.reach(expected, TIMEOUT_MS);
  const seconds = (monotonic() - began) / 1000;
  const used = (await served.cpu()) - cpu;
  const heard = await consumers.count();
  await consumers.close();
  const deliveries = heard.frames - before.frames;
  return {
    deliveries,
    seconds,
    cpu: (used / deliveries) * 1e6,
    bytes: (heard.bytes - before.bytes) / deliveries,
    dropped: expected - heard.frames,
  };
}
