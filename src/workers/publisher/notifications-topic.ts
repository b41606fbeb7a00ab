/** Writes the frames to a Kafka topic too, for gateways on other machines (`kafka_notificationsConfig`). */

import { setTimeout as delay } from 'node:timers/promises';
import { monotonic } from '../../shared/clock.js';
import { errorMessage } from '../../shared/errors.js';
import type { Frame } from '../../shared/frames/types.js';
import type { DependencyHealth } from '../../shared/health.js';
import { type KafkaProducer, type KafkaRecord, RecordFaultError } from '../../shared/kafka/types.js';
import type { Logger } from '../../shared/logging.js';
import { NOTIFIED_KEY } from '../../shared/outbox/keys.js';
import type { OutboxStore } from '../../shared/outbox/store.js';
import type { PublisherMetrics } from './metrics.js';

const MAX_FRAMES = 1000;
const FIRST_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 5000;

/**
 * Reads the frames back from the outbox's ring, from where the topic last acknowledged. An outage longer than the ring
 * loses frames, which is counted, and never holds up anything else.
 *
 * One request flies at a time and its frames' numbers ascend, so a reader sees `seq` go up by one each, save that what a lost
 * acknowledgement or a death left undecided comes again, whole and unchanged. The epoch is the records' key: on a topic of
 * several partitions all of an epoch's frames are in one, in this order.
 */
export class NotificationsTopic {
  readonly #producer: KafkaProducer;
  readonly #store: OutboxStore;
  readonly #metrics: PublisherMetrics;
  readonly #logger: Logger;
  readonly #stopping = new AbortController();
  #next = 0;
  /** Behind the last frame that is stored; the store's own next number runs ahead of its write. */
  #end = 0;
  /** Why frames are not taken; empty while they are. */
  #error = '';
  #wake: () => void = () => {};
  #running: Promise<void> | undefined;

  constructor({
    producer,
    store,
    metrics,
    logger,
  }: { producer: KafkaProducer; store: OutboxStore; metrics: PublisherMetrics; logger: Logger }) {
    this.#producer = producer;
    this.#store = store;
    this.#metrics = metrics;
    this.#logger = logger;
  }

  async start(): Promise<void> {
    this.#end = this.#store.nextSeq;
    const notified = await this.#store.get(NOTIFIED_KEY);
    // A topic that is new in the settings begins with what comes, not with the past. That is written down at once: what
    // comes is owed from now on, also when the broker is first reached by a later run.
    if (notified === undefined) await this.#skipTo(this.#store.nextSeq);
    else this.#next = notified.readDoubleLE(0);
    this.#running = this.#run();
  }

  /** These frames are stored. */
  add(frames: readonly Frame[]): void {
    const last = frames.at(-1);
    if (last === undefined) return;
    this.#end = last.seq + 1;
    this.#wake();
  }

  /** As a drainer's: what is known to be at fault is said at once. */
  async health(signal: AbortSignal): Promise<DependencyHealth> {
    if (this.#error === '') return this.#producer.health(signal);
    return {
      resource: `kafka ${this.#producer.topic}`,
      status: 503,
      error: this.#error,
      message: 'frames wait in the ring',
    };
  }

  /** Gives what is left until `deadline` (monotonic); the rest follows after the next start, if the ring still has it. */
  async stop(deadline: number): Promise<void> {
    while (this.#next < this.#end && monotonic() < deadline) await delay(10);
    this.#stopping.abort();
    this.#wake();
    const patience = new AbortController();
    const { signal } = patience;
    const late = delay(Math.max(200, deadline - monotonic()), undefined, { signal }).catch(() => {});
    await Promise.race([this.#finish(), late]);
    patience.abort();
  }

  async #finish(): Promise<void> {
    await this.#running;
    await this.#producer.disconnect().catch(() => {});
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    let connected = false;
    for (let backoff = FIRST_BACKOFF_MS; !signal.aborted; ) {
      try {
        if (!connected) await this.#producer.connect(signal);
        connected = true;
        const waits = this.#next < this.#end;
        if (waits) await this.#sendSome();
        backoff = FIRST_BACKOFF_MS;
        this.#error = '';
        if (!waits) await this.#someFrame();
      } catch (error) {
        if (signal.aborted) return;
        connected = false;
        const reason = errorMessage(error);
        if (reason !== this.#error) this.#logger.warn({ reason }, 'frames cannot be sent to Kafka');
        this.#error = reason;
        await delay(backoff, undefined, { signal }).catch(() => {});
        backoff = Math.min(backoff * 2, MAX_BACKOFF_MS);
      }
    }
  }

  #someFrame(): Promise<void> {
    if (this.#stopping.signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  async #sendSome(): Promise<void> {
    const end = this.#end;
    const frames = await this.#store.readFrames(this.#next, MAX_FRAMES);
    const [first] = frames;
    const last = frames.at(-1);
    if (first === undefined || last === undefined) {
      // The ring has moved on.
      this.#lost(end - this.#next);
      return this.#skipTo(end);
    }
    if (first.seq > this.#next) this.#lost(first.seq - this.#next);
    try {
      await this.#producer.send(frames.map((frame) => this.#record(frame)));
      this.#metrics.notified.inc({ outcome: 'acknowledged' }, frames.length);
    } catch (error) {
      if (!(error instanceof RecordFaultError)) throw error;
      await this.#sendEach(frames);
    }
    await this.#skipTo(last.seq + 1);
  }

  async #sendEach(frames: readonly Frame[]): Promise<void> {
    for (const frame of frames) {
      try {
        await this.#producer.send([this.#record(frame)]);
        this.#metrics.notified.inc({ outcome: 'acknowledged' });
      } catch (error) {
        if (!(error instanceof RecordFaultError)) throw error;
        this.#lost(1);
      }
      // A fault of the broker before the last one repeats none of those that it has.
      this.#next = frame.seq + 1;
    }
  }

  async #skipTo(seq: number): Promise<void> {
    const position = Buffer.alloc(8);
    position.writeDoubleLE(seq);
    // What Kafka has it gets once, also when that cannot be written down.
    this.#next = seq;
    await this.#store.write([{ type: 'put', key: NOTIFIED_KEY, value: position }]);
  }

  #lost(count: number): void {
    this.#metrics.notified.inc({ outcome: 'lost' }, count);
    this.#logger.error({ frames: count }, 'frames did not reach the notifications topic');
  }

  #record(frame: Frame): KafkaRecord {
    return { key: Buffer.from(this.#store.epoch), value: this.#stamped(frame) };
  }

  /** The frame's JSON with `epoch`, `seq` and `received_at` behind its own fields. */
  #stamped({ json, seq, receivedAt }: Frame): Uint8Array {
    const stamp = `"epoch":${JSON.stringify(this.#store.epoch)},"seq":${seq},"received_at":${receivedAt}}`;
    const open = Buffer.from(json.buffer, json.byteOffset, json.length - 1);
    return Buffer.concat([open, Buffer.from(open.length > 1 ? `,${stamp}` : stamp)]);
  }
}
