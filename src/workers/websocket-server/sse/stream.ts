/** One event stream: what a reader of the feed is written to. */

import { type ControlFrame, errorFrame } from '../../../shared/firehose/control-frames.js';
import type { FeedProblem } from '../../../shared/firehose/problems.js';
import type { Form } from '../feed/form.js';
import type { Outlet } from '../feed/outlet.js';
import type { ResponseStream } from '../transport/index.js';
import { COMMENT, controlEvent, retryField } from './events.js';
import type { SseHub, Subscriber } from './hub.js';

export interface EventStreamOptions {
  readonly out: ResponseStream;
  readonly hub: SseHub;
  readonly form: Form;
  /** After how many milliseconds its EventSource is to come again when it breaks. */
  readonly retryMs: number;
  /** Its client is told why it ends. */
  readonly ended: (problem: FeedProblem) => void;
}

export class EventStream implements Outlet, Subscriber {
  /** Whether something was written since somebody last asked. */
  #busy = true;

  constructor(private readonly options: EventStreamOptions) {
    options.out.write(retryField(options.retryMs));
  }

  bufferedBytes(): number {
    return this.options.out.bufferedBytes();
  }

  take(messages: Uint8Array): void {
    this.#busy = true;
    this.options.out.write(messages);
  }

  write(messages: readonly Uint8Array[]): void {
    this.#behindPublished();
    this.take(Buffer.concat(messages));
  }

  control(frame: ControlFrame): void {
    this.#behindPublished();
    this.take(controlEvent(frame, this.options));
  }

  subscribe(topic: string): void {
    this.options.hub.subscribe(topic, this);
  }

  unsubscribe(topic: string): void {
    this.options.hub.unsubscribe(topic, this);
  }

  end(problem: FeedProblem, cursor?: string): void {
    this.control(errorFrame(problem, cursor));
    this.options.ended(problem);
    this.finish();
  }

  /** Ends it without a word, behind what was published: an EventSource comes again, after `retryMs` where that is told. */
  finish(retryMs?: number): void {
    this.#behindPublished();
    if (retryMs !== undefined) this.options.out.write(retryField(retryMs));
    this.options.out.end();
  }

  /** A comment, where nothing was written since the last call. */
  keepAlive(): void {
    if (!this.#busy && this.bufferedBytes() === 0) this.options.out.write(COMMENT);
    this.#busy = false;
  }

  #behindPublished(): void {
    this.options.hub.flush(this);
  }
}
