/** The event streams there are. */

import { FeedProblem } from '../../../shared/firehose/problems.js';
import { QUEUES } from '../../../shared/queues.js';
import type { Reader } from '../feed/reader.js';
import type { NotificationServerMetrics } from '../metrics.js';
import type { EventStream } from './stream.js';

const { commentMs, retryMs } = QUEUES.eventStreams.bounds;
/** Streams are kept alive in so many parts, one after the other, so that not all are written to at once. */
const PARTS = 15;

/** Whose stream it is. */
interface StreamOf {
  /** Name of the token; empty: none was needed. */
  readonly token: string;
  readonly reader: Reader;
}

export class EventStreams {
  readonly #all = new Map<EventStream, StreamOf>();
  /** By which part of the round they are in. */
  readonly #parts: readonly Set<EventStream>[] = Array.from({ length: PARTS }, () => new Set());
  #part = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(private readonly components: { readonly metrics: NotificationServerMetrics }) {}

  get size(): number {
    return this.#all.size;
  }

  start(): void {
    // Who was written to just after one look is written to at the next but one at the latest.
    this.#timer = setInterval(() => this.#keepAlive(), commentMs / 2 / PARTS);
  }

  /** Ends every stream: an EventSource comes again by itself, to this server or to another. */
  stop(): void {
    clearInterval(this.#timer);
    for (const stream of [...this.#all.keys()]) stream.finish(this.retryMs());
  }

  /** Different for each, so that after a restart not all come again at once. */
  retryMs(): number {
    return retryMs * (1 + Math.random());
  }

  /** Ends those whose token nobody knows any more. */
  tokensChanged(holds: (token: string) => boolean): void {
    for (const { token, reader } of [...this.#all.values()])
      if (!holds(token)) reader.end(new FeedProblem('token_unknown'));
  }

  add(stream: EventStream, of: StreamOf): void {
    this.#all.set(stream, of);
    this.#parts[(this.#part + PARTS - 1) % PARTS]?.add(stream);
    this.components.metrics.eventStreams.set(this.#all.size);
  }

  remove(stream: EventStream): void {
    this.#all.delete(stream);
    for (const part of this.#parts) part.delete(stream);
    this.components.metrics.eventStreams.set(this.#all.size);
  }

  #keepAlive(): void {
    this.#part = (this.#part + 1) % PARTS;
    for (const stream of this.#parts[this.#part] ?? []) stream.keepAlive();
  }
}
