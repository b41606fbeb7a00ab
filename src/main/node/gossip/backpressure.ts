/**
 * Inbound streams pause when too many messages await signature and verdict, and TCP tells the sender. GossipSub has
 * nothing of the kind: without this, what comes in faster than it is answered becomes memory.
 *
 * Who is paused: at the bound, the sources that have at least their share of what is pending. If the total is above the
 * bound then someone is above the share, so this always bites, and a quiet source's blocks are not held up by a loud one.
 * A paused stream can still deliver its window (256 KiB, some 850 small messages), no more.
 */

import { QUEUES } from '../../../shared/queues.js';
import type { NodeMetrics } from '../metrics/node-metrics.js';

/** Messages pending at which streams pause; at half of it they resume. */
const PENDING_BOUND = QUEUES.withoutVerdict.bounds.messages;

/** The part of a stream that is used here. */
export interface PausableStream {
  readonly status: string;
  readonly readStatus: string;
  pause(): void;
  resume(): void;
}

export interface BackpressureOptions {
  /** The stream on which a source's messages arrive now. */
  readonly streamOf: (source: string) => PausableStream | undefined;
  readonly bound?: number;
}

export class Backpressure {
  readonly #metrics: NodeMetrics;
  readonly #streamOf: BackpressureOptions['streamOf'];
  readonly #bound: number;
  readonly #bySource = new Map<string, number>();
  readonly #paused = new Map<string, PausableStream>();
  #total = 0;
  #peak = 0;

  constructor(components: { readonly metrics: NodeMetrics }, options: BackpressureOptions) {
    this.#metrics = components.metrics;
    this.#streamOf = options.streamOf;
    this.#bound = options.bound ?? PENDING_BOUND;
  }

  /** Messages pending now. */
  get pending(): number {
    return this.#total;
  }

  /** The most that were ever pending. */
  get peak(): number {
    return this.#peak;
  }

  /** A message of `source` has come in. */
  enter(source: string): void {
    const pending = (this.#bySource.get(source) ?? 0) + 1;
    this.#bySource.set(source, pending);
    this.#total++;
    if (this.#total > this.#peak) this.#peak = this.#total;
    if (this.#total > this.#bound && pending * this.#bySource.size >= this.#bound) this.#pause(source);
  }

  /** It is answered. */
  leave(source: string): void {
    const pending = this.#bySource.get(source);
    if (pending === undefined) return;
    if (pending === 1) this.#bySource.delete(source);
    else this.#bySource.set(source, pending - 1);
    this.#total--;
    if (this.#paused.size > 0 && this.#total * 2 <= this.#bound) this.resumeAll();
  }

  /** Its connections have closed: a stream that was paused is gone with them. What is pending of it still gets its verdict. */
  closed(source: string): void {
    this.#paused.delete(source);
  }

  /** Sets the gauges; for the scrape. */
  observe(): void {
    this.#metrics.pending.set(this.#total);
    this.#metrics.pausedStreams.set(this.#paused.size);
  }

  #pause(source: string): void {
    const stream = this.#streamOf(source);
    // A peer may open another stream at any time: it is that one that counts.
    if (stream === undefined || this.#paused.get(source) === stream) return;
    if (stream.status !== 'open' || stream.readStatus !== 'readable') return;
    stream.pause();
    this.#paused.set(source, stream);
    this.#metrics.pauses.inc();
  }

  /** Lets every source speak again. */
  resumeAll(): void {
    const streams = [...this.#paused.values()];
    // First empty, then resume: what was buffered arrives inside resume and may pause anew.
    this.#paused.clear();
    for (const stream of streams) {
      if (stream.readStatus === 'paused' && stream.status === 'open') stream.resume();
    }
  }
}
