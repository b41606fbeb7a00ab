/**
 * Frames that go out many at a time: one message for all readers with the same filter, form, time and encoding. It is made while there are such readers
 * alone. Compression happens on another thread, one message after the other, so that their order is kept.
 */

import { promisify } from 'node:util';
import { gzip as gzipWithCallback } from 'node:zlib';
import { monotonic } from '../../../shared/clock.js';
import type { Place } from '../../../shared/firehose/cursor-scheme.js';
import { QUEUES } from '../../../shared/queues.js';
import type { LiveFrames } from './live-frames.js';
import type { Subscriber, Subscription } from './subscription.js';
import type { Publish } from './topics.js';
import { filterOf, linesOf, type View } from './view.js';

export const gzip = promisify<Uint8Array, Buffer>(gzipWithCallback);

/** Of one message before it is compressed, a frame beyond it. */
const MESSAGE_BYTES = 256 * 1024;
/** Not yet published, of one batch. */
const WAITING_BYTES = QUEUES.batches.bounds.bytes;

export interface BatchComponents {
  readonly publish: Publish;
  readonly live: () => Place | undefined;
  /** A message of so many frames was published to so many readers. */
  readonly published: (frames: number, readers: number) => void;
  /** Somebody who waits for the seam to move on may look again. */
  readonly moved: () => void;
}

interface Message {
  /** Of its first frame. */
  readonly from: Place;
  readonly lines: Uint8Array;
  readonly frames: number;
}

/** What all readers with one view get. */
export class Batch {
  readonly #sees: (entry: Uint8Array) => boolean;
  readonly #subscribers = new Set<Subscriber>();
  /** Gathered for the next message. */
  #frames: Uint8Array[] = [];
  #from: Place | undefined;
  #bytes = 0;
  #timer: NodeJS.Timeout | undefined;
  /** Being compressed, the oldest first. */
  #compressing: Message[] = [];
  #waitingBytes = 0;
  #publishedAt = 0;

  /** `topic`: no other batch's. */
  constructor(
    private readonly components: BatchComponents,
    private readonly view: View,
    private readonly topic: string,
  ) {
    this.#sees = filterOf(view);
  }

  subscription(release: () => void): Subscription {
    return {
      view: this.view,
      seam: () => this.#compressing[0]?.from ?? this.#from ?? this.components.live(),
      join: (subscriber) => {
        this.#subscribers.add(subscriber);
        subscriber.subscribe(this.topic);
      },
      leave: (subscriber) => {
        subscriber.unsubscribe(this.topic);
        this.#subscribers.delete(subscriber);
        if (this.#subscribers.size === 0) this.#forget();
      },
      publishedAt: () => this.#publishedAt,
      release,
    };
  }

  /** Gathers those that the view lets through. */
  add(live: LiveFrames): void {
    for (const [index, { bytes, position, seq }] of live.entries.entries()) {
      // They may leave in the midst of it.
      if (this.#subscribers.size === 0) return;
      if (this.#sees(bytes))
        this.#gather(live.rendered(this.view.form, index), { epoch: live.epoch, position, seq });
    }
  }

  #gather(frame: Uint8Array, from: Place): void {
    this.#from ??= from;
    this.#timer ??= setTimeout(() => this.#flush(), this.view.batchMs);
    this.#frames.push(frame);
    this.#bytes += frame.length + 1;
    if (this.#bytes >= MESSAGE_BYTES) this.#flush();
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#from === undefined) return;
    const message = { from: this.#from, lines: linesOf(this.#frames), frames: this.#frames.length };
    this.#from = undefined;
    this.#frames = [];
    this.#bytes = 0;
    if (!this.view.gzip) {
      this.#publish(message, message.lines);
      return;
    }
    this.#compressing.push(message);
    this.#waitingBytes += message.lines.length;
    if (this.#waitingBytes > WAITING_BYTES) this.#drop();
    else if (this.#compressing.length === 1) this.#compress(message);
  }

  #compress(message: Message): void {
    gzip(message.lines).then(
      (bytes) => {
        // Nobody may have been here meanwhile, or others than before.
        if (this.#compressing[0] !== message) return;
        this.#compressing.shift();
        this.#waitingBytes -= message.lines.length;
        this.#publish(message, bytes);
        const [next] = this.#compressing;
        if (next !== undefined) this.#compress(next);
      },
      // Out of memory.
      () => {
        if (this.#compressing[0] === message) this.#drop();
      },
    );
  }

  #publish({ frames }: Message, bytes: Uint8Array): void {
    this.components.publish(this.topic, bytes, this.view.gzip);
    this.#publishedAt = monotonic();
    this.components.published(frames, this.#subscribers.size);
    this.components.moved();
  }

  /** It is not compressed as fast as frames come: readers go on by themselves. */
  #drop(): void {
    for (const subscriber of [...this.#subscribers]) subscriber.dropped();
  }

  #forget(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#from = undefined;
    this.#frames = [];
    this.#bytes = 0;
    this.#compressing = [];
    this.#waitingBytes = 0;
    this.components.moved();
  }
}
