/** One membership of a consumer group, from joining to its end: kafkajs ends one for good after some errors. */

import type { Consumer, ConsumerConfig, EachBatchPayload, Kafka } from 'kafkajs';

export interface GroupMemberOptions {
  readonly topic: string;
  readonly fromOldest: boolean;
  readonly config: ConsumerConfig;
  /** Silence after which the library is held to be stuck, milliseconds. */
  readonly stallMs: number;
  readonly onBatch: (payload: EachBatchPayload, member: GroupMember) => Promise<void>;
  /** With the partitions that are its own from now on. */
  readonly onJoined: (partitions: readonly number[]) => void;
  /** Whenever a fetch was answered, with records or without. */
  readonly onFetched: () => void;
}

/** The library has said nothing for longer than any of its waits can take. */
export class StalledError extends Error {
  override readonly name = 'StalledError';
}

/** How long leaving may take, when a batch or the broker holds it up. */
const LEAVE_MS = 5_000;

export class GroupMember {
  /** Resolves with what ended the membership. */
  readonly ended: Promise<Error>;
  readonly #consumer: Consumer;
  readonly #options: GroupMemberOptions;
  #end: (error: Error) => void = () => {};
  #watch: NodeJS.Timeout | undefined;
  #lastSign = performance.now();
  #batches = 0;
  #leaving = false;
  #left = false;

  constructor(kafka: Kafka, options: GroupMemberOptions) {
    this.#options = options;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.#consumer = kafka.consumer(options.config);
    this.#listen();
  }

  /** Whether batches are no longer this member's to handle: it has left, or is taken to be stuck. */
  get left(): boolean {
    return this.#left;
  }

  #listen(): void {
    const consumer = this.#consumer;
    const { events } = consumer;
    const { topic, onJoined, onFetched } = this.#options;
    const sign = (): void => {
      this.#lastSign = performance.now();
    };
    consumer.on(events.CRASH, ({ payload }) => this.#end(payload.error));
    consumer.on(events.GROUP_JOIN, ({ payload }) => {
      sign();
      onJoined(payload.memberAssignment[topic] ?? []);
    });
    consumer.on(events.FETCH, () => {
      sign();
      onFetched();
    });
    for (const event of [events.HEARTBEAT, events.COMMIT_OFFSETS, events.REBALANCING] as const) {
      consumer.on(event, sign);
    }
    this.#watch = setInterval(() => {
      // A batch in hand is the handler's time: readiness tells of that.
      if (this.#batches > 0) return sign();
      const silent = performance.now() - this.#lastSign;
      if (silent <= this.#options.stallMs) return;
      this.#left = true;
      this.#end(new StalledError(`the consumer of ${topic} is silent for ${Math.round(silent / 1000)} s`));
    }, this.#options.stallMs / 4).unref();
  }

  /** Resolves when a member, or when that has failed: `ended` then says why. */
  async join(): Promise<void> {
    const { topic, fromOldest, onBatch } = this.#options;
    await this.#consumer.connect();
    if (!this.#leaving) await this.#consumer.subscribe({ topics: [topic], fromBeginning: fromOldest });
    if (this.#leaving) return this.#disconnect();
    await this.#consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      partitionsConsumedConcurrently: 1,
      eachBatch: async (payload) => {
        this.#batches++;
        try {
          await onBatch(payload, this);
        } finally {
          this.#batches--;
        }
      },
    });
    // The library connects anew for a join that was under way when it was told to disconnect.
    if (this.#leaving) await this.#disconnect();
  }

  /** Lets the batch in hand end, leaves the group and disconnects; at the most 5 s. Never rejects. */
  async leave(): Promise<void> {
    this.#leaving = true;
    clearInterval(this.#watch);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, LEAVE_MS);
    });
    await Promise.race([this.#disconnect(), late]);
    clearTimeout(timer);
    this.#left = true;
  }

  async #disconnect(): Promise<void> {
    await this.#consumer.disconnect().catch(() => {});
  }
}
