/** One membership of a consumer group, from joining to its end: kafkajs ends one for good after some errors. */

import type { Consumer, ConsumerConfig, EachBatchPayload, Kafka } from 'kafkajs';
import pTimeout from 'p-timeout';
import { faultType } from './faults.js';
import { startOffsets } from './start-offsets.js';

export interface GroupMemberOptions {
  readonly topic: string;
  /** Where a new group starts, and one goes on whose offset retention has taken. */
  readonly fromOldest: boolean;
  /** Whether a partition in which the group has no offset is one that came since the group began. */
  readonly began: () => boolean;
  readonly config: ConsumerConfig;
  /** Silence after which the library is held to be stuck, milliseconds. */
  readonly stallMs: number;
  readonly onBatch: (payload: EachBatchPayload, member: GroupMember) => Promise<void>;
  /** With the partitions that are its own from now on. */
  readonly onJoined: (partitions: readonly number[]) => void;
  /** Whenever a fetch is over: answered, with records or without, or failed in a way that the library sees to by itself. */
  readonly onFetched: () => void;
  /** When the group has an offset in each of this member's partitions, where it does not start at the oldest. */
  readonly onStarted: () => void;
}

/** The group is dealt out anew, and the library joins again. */
const REBALANCING: ReadonlySet<string> = new Set([
  'REBALANCE_IN_PROGRESS',
  'ILLEGAL_GENERATION',
  'UNKNOWN_MEMBER_ID',
]);

/** The library has said nothing for longer than any of its waits can take. */
export class StalledError extends Error {
  override readonly name = 'StalledError';
}

/** How long leaving may take, when a batch or the broker holds it up. */
const LEAVE_MS = 5_000;

export class GroupMember {
  /** Resolves with what ended the membership. */
  readonly ended: Promise<Error>;
  readonly #kafka: Kafka;
  readonly #consumer: Consumer;
  readonly #options: GroupMemberOptions;
  #end: (error: Error) => void = () => {};
  #watch: NodeJS.Timeout | undefined;
  #lastSign = performance.now();
  #batches = 0;
  #leaving = false;
  #left = false;
  /** Joins so far. */
  #turn = 0;
  #started: Promise<void> = Promise.resolve();
  #placing = false;
  readonly #running: Promise<void>;
  #ran: () => void = () => {};

  constructor(kafka: Kafka, options: GroupMemberOptions) {
    this.#kafka = kafka;
    this.#options = options;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.#running = new Promise((resolve) => {
      this.#ran = resolve;
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
      const partitions = payload.memberAssignment[topic] ?? [];
      // The oldest is the same again, or further on because retention took what was before.
      if (!this.#options.fromOldest) this.#takeOffsets(partitions);
      onJoined(partitions);
    });
    consumer.on(events.FETCH, () => {
      sign();
      if (!this.#placing) onFetched();
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

  /** Ends the membership. */
  end(error: Error): void {
    this.#end(error);
  }

  /**
   * Lets nothing be fetched until the group has an offset in each of `partitions`. The library looks the newest offset up and keeps
   * it to itself until something was handled: the next member would look it up again, and what came between would be skipped.
   * Pausing is in time because the library joins and fetches one after the other, and tells of the one in between.
   */
  #takeOffsets(partitions: readonly number[]): void {
    const turn = ++this.#turn;
    const { topic } = this.#options;
    this.#placing = true;
    this.#consumer.pause([{ topic }]);
    this.#started = this.#startFrom(turn, partitions).catch((error: Error) => {
      if (turn !== this.#turn) return;
      if (!REBALANCING.has(faultType(error) ?? '')) return this.#end(error);
      // Places are taken with the next join, which comes by itself.
      setTimeout(() => {
        if (turn === this.#turn) this.#end(error);
      }, this.#options.stallMs).unref();
    });
  }

  async #startFrom(turn: number, partitions: readonly number[]): Promise<void> {
    const { topic, began, config, onStarted } = this.#options;
    const from = began() ? 'oldest' : 'newest';
    const offsets = await startOffsets(this.#kafka, { group: config.groupId, topic, partitions, from });
    // Before that the library drops what is to be committed without a word.
    await this.#running;
    if (turn !== this.#turn || this.#leaving) return;
    for (const offset of offsets) this.#consumer.seek(offset);
    if (offsets.length > 0) await this.#consumer.commitOffsets([...offsets]);
    if (turn !== this.#turn || this.#leaving) return;
    this.#placing = false;
    this.#consumer.resume([{ topic }]);
    if (partitions.length > 0) onStarted();
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
    this.#ran();
    // The library connects anew for a join that was under way when it was told to disconnect.
    if (this.#leaving) return this.#disconnect();
    // A place is taken, or never will be.
    await Promise.race([this.#started, this.ended]);
  }

  /** Lets the batch in hand end, leaves the group and disconnects; at the most 5 s. Never rejects. */
  async leave(): Promise<void> {
    this.#leaving = true;
    clearInterval(this.#watch);
    await pTimeout(this.#disconnect(), { milliseconds: LEAVE_MS, message: false });
    this.#left = true;
  }

  async #disconnect(): Promise<void> {
    await this.#consumer.disconnect().catch(() => {});
  }
}
