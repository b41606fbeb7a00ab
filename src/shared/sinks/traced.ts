/** A sink whose entries may be traced: a span for each of these, from the first attempt to send it to what came of that. */

import { errorMessage } from '../errors.js';
import type { DependencyHealth } from '../health.js';
import type { JournalledEntry } from '../journal/entry.js';
import { messagingValues } from '../tracing/messaging.js';
import type { Tracers } from '../tracing/tracing.js';
import type { SpanValues, TraceParent, TraceSpan } from '../tracing/types.js';
import { RecordFaultError } from './kafka/types.js';
import type { Sink } from './types.js';

export interface TracedSinkComponents {
  readonly sink: Sink;
  readonly tracers: Tracers;
}

export interface TracedSinkOptions {
  /** OpenTelemetry's name of what it sends to. */
  readonly system: string;
  /** There. */
  readonly topic: string;
  /** Whether the trace's context goes with an entry, in its headers. */
  readonly context: boolean;
  /** Of the journal. */
  readonly epoch: string;
  /** Entries before this position are of an earlier run: of them a trace begins here, as of messages that come. */
  readonly from: number;
}

interface Followed {
  readonly values: SpanValues;
  readonly parent: TraceParent | undefined;
  span: TraceSpan | undefined;
  headers: Readonly<Record<string, string>> | undefined;
}

/** Entries followed at the most: with more before a sink, the oldest are forgotten. */
const MAX_FOLLOWED = 10_000;

export class TracedSink implements Sink {
  readonly name: string;
  readonly #sink: Sink;
  readonly #tracers: Tracers;
  readonly #options: TracedSinkOptions;
  /** By position. */
  readonly #followed = new Map<number, Followed>();
  /** Up to which position of an earlier run it was asked whether to trace. */
  #asked = -1;

  constructor({ sink, tracers }: TracedSinkComponents, options: TracedSinkOptions) {
    this.name = sink.name;
    this.#sink = sink;
    this.#tracers = tracers;
    this.#options = options;
  }

  get resource(): string {
    return this.#sink.resource;
  }

  /** The entry at `position` is traced; nothing is known of what came before where there is no `parent`. */
  follow(position: number, parent: TraceParent | undefined, values: SpanValues): void {
    this.#followed.set(position, { parent, values, span: undefined, headers: undefined });
    if (this.#followed.size <= MAX_FOLLOWED) return;
    const [oldest] = this.#followed.keys();
    if (oldest !== undefined) this.#end(oldest, (span) => span.fail('forgotten'));
  }

  bytesOf(entry: Uint8Array): number {
    return this.#sink.bytesOf(entry);
  }

  connect(signal?: AbortSignal): Promise<void> {
    return this.#sink.connect(signal);
  }

  async send(entries: readonly JournalledEntry[]): Promise<void> {
    const { from } = this.#options;
    if ((entries[0]?.position ?? from) < from) this.#followOld(entries);
    if (this.#followed.size === 0) return this.#sink.send(entries);
    const positions: number[] = [];
    const sent = entries.map((entry) => {
      const followed = this.#followed.get(entry.position);
      if (followed === undefined) return entry;
      positions.push(entry.position);
      const headers = this.#began(followed);
      return headers === undefined ? entry : { ...entry, headers };
    });
    try {
      await this.#sink.send(sent);
    } catch (error) {
      const reason = errorMessage(error);
      const refused = error instanceof RecordFaultError;
      for (const position of positions) {
        // Who is refused alone is not sent again.
        if (refused && entries.length === 1) this.#end(position, (span) => span.fail(error.name, reason));
        else this.#followed.get(position)?.span?.event('send failed', { 'exception.message': reason });
      }
      throw error;
    }
    for (const position of positions) this.#end(position);
  }

  /** Entries of an earlier run, whose traces ended with it: its own begin anew, found by epoch and position. */
  #followOld(entries: readonly JournalledEntry[]): void {
    const { from, epoch } = this.#options;
    for (const { position } of entries) {
      if (position >= from || position <= this.#asked) continue;
      this.#asked = position;
      if (this.#tracers.sampled() !== undefined)
        this.follow(position, undefined, placeValues(epoch, position));
    }
  }

  /** Begins its span at the first attempt; gives the headers that go with it. */
  #began(followed: Followed): Readonly<Record<string, string>> | undefined {
    const { tracer } = this.#tracers;
    if (followed.span !== undefined || tracer === undefined) return followed.headers;
    const { system, topic, context } = this.#options;
    const { parent } = followed;
    const options = {
      kind: 'producer',
      values: { ...messagingValues(system, 'send', topic), ...followed.values },
    } as const;
    const name = `send ${topic}`;
    followed.span =
      parent === undefined ? tracer.message(name, options) : tracer.start(name, { ...options, parent });
    if (context && followed.span !== undefined) followed.headers = tracer.headers(followed.span.context);
    return followed.headers;
  }

  #end(position: number, as: (span: TraceSpan) => void = () => {}): void {
    const span = this.#followed.get(position)?.span;
    this.#followed.delete(position);
    if (span === undefined) return;
    as(span);
    span.end();
  }

  health(signal: AbortSignal): Promise<DependencyHealth> {
    return this.#sink.health(signal);
  }

  async close(): Promise<void> {
    for (const position of [...this.#followed.keys()])
      this.#end(position, (span) => span.fail('unsent', 'it stays in the outbox'));
    await this.#sink.close();
  }
}

/** Where an entry is in the journal: by it the spans of one message are found, also where a restart has parted them. */
export function placeValues(epoch: string, position: number): SpanValues {
  return { 'teranode.p2p.journal.epoch': epoch, 'teranode.p2p.journal.position': position };
}
