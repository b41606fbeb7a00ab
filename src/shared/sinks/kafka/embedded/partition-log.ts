/** The records of one partition: a batch a key in the store, and an index of the batches in memory. */

import type { AbstractLevel } from 'abstract-level';
import { Serial } from '../../../async/serial.js';
import type { ConsumedRecord, KafkaRecord } from '../types.js';
import { decodeRecords, encodeRecords } from './record-batch.js';

/** Any level: `memory-level` for `memory://`. */
export type BrokerLevel = AbstractLevel<string | Buffer | Uint8Array, string, Buffer>;

interface StoredBatch {
  readonly base: number;
  readonly count: number;
  readonly bytes: number;
  readonly timestamp: number;
}

/** The batch's time, as a double, precedes its records. */
const HEADER_BYTES = 8;
const OFFSET_DIGITS = 16;

const digits = (offset: number): string => offset.toString().padStart(OFFSET_DIGITS, '0');

export class PartitionLog {
  /** Bytes and records kept. */
  bytes = 0;
  records = 0;
  readonly topic: string;
  readonly partition: number;
  readonly #level: BrokerLevel;
  readonly #prefix: string;
  #batches: StoredBatch[] = [];
  /** Index of the oldest batch still kept: what is before it is gone. */
  #head = 0;
  #next = 0;
  readonly #writing = new Serial();

  constructor(level: BrokerLevel, topic: string, partition: number) {
    this.#level = level;
    this.topic = topic;
    this.partition = partition;
    this.#prefix = `batch/${topic}/${partition}/`;
  }

  /** Offset of the oldest record kept; `next` when there is none. */
  get oldest(): number {
    return this.#batches[this.#head]?.base ?? this.#next;
  }

  /** Offset that the next record gets. */
  get next(): number {
    return this.#next;
  }

  /** Unix ms of the oldest batch; Infinity when empty. */
  get oldestTimestamp(): number {
    return this.#batches[this.#head]?.timestamp ?? Number.POSITIVE_INFINITY;
  }

  /** Rebuilds the index from the store. */
  async load(): Promise<void> {
    this.#next = Number(await this.#level.get(`next/${this.topic}/${this.partition}`, TEXT)) || 0;
    const range = { gte: this.#prefix, lt: `${this.#prefix}~` };
    for await (const [key, value] of this.#level.iterator(range)) {
      const base = Number(key.slice(this.#prefix.length));
      const count = value.readUInt32LE(HEADER_BYTES);
      this.#index({ base, count, bytes: value.length, timestamp: value.readDoubleLE(0) });
    }
  }

  #index(batch: StoredBatch): void {
    this.#batches.push(batch);
    this.bytes += batch.bytes;
    this.records += batch.count;
    this.#next = Math.max(this.#next, batch.base + batch.count);
  }

  /** Stores `records` as one batch. Appends are one after another, so that offsets have no gap when one fails. */
  append(records: readonly KafkaRecord[], timestamp: number): Promise<void> {
    return this.#writing.run(async () => {
      const value = encodeRecords(records, HEADER_BYTES);
      value.writeDoubleLE(timestamp, 0);
      const base = this.#next;
      await this.#level.put(this.#prefix + digits(base), value);
      this.#index({ base, count: records.length, bytes: value.length, timestamp });
    });
  }

  /** Records from `offset` on, until `maxBytes` are passed; whole batches are read, at least one. */
  async read(offset: number, maxBytes: number): Promise<ConsumedRecord[]> {
    const records: ConsumedRecord[] = [];
    let bytes = 0;
    const from = Math.max(offset, this.oldest);
    // Batches may be dropped while a read waits: those that are still due are looked up by offset each time.
    for (let at = from; at < this.#next && bytes < maxBytes; ) {
      const batch = this.#batches[this.#position(at)];
      if (batch === undefined) break;
      const value = await this.#level.get(this.#prefix + digits(batch.base));
      at = batch.base + batch.count;
      if (value === undefined) continue;
      decodeRecords(value, HEADER_BYTES).forEach((record, index) => {
        const position = batch.base + index;
        if (position < from) return;
        records.push({
          ...record,
          topic: this.topic,
          partition: this.partition,
          offset: BigInt(position),
          timestamp: batch.timestamp,
        });
      });
      bytes += batch.bytes;
    }
    return records;
  }

  /** Index of the first batch that ends after `offset`. */
  #position(offset: number): number {
    let low = this.#head;
    let high = this.#batches.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const batch = this.#batches[middle];
      if (batch !== undefined && batch.base + batch.count <= offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Drops the oldest batches for which `due` holds. Resolves with the number of records dropped. */
  async drop(due: (timestamp: number) => boolean): Promise<number> {
    const gone: StoredBatch[] = [];
    let dropped = 0;
    for (;;) {
      const batch = this.#batches[this.#head];
      if (batch === undefined || !due(batch.timestamp)) break;
      this.#head++;
      this.bytes -= batch.bytes;
      this.records -= batch.count;
      dropped += batch.count;
      gone.push(batch);
    }
    if (gone.length === 0) return 0;
    if (this.#head > 1024 && this.#head > this.#batches.length / 2) {
      this.#batches = this.#batches.slice(this.#head);
      this.#head = 0;
    }
    await this.#level.batch([
      // An emptied partition goes on counting where it was.
      { type: 'put', key: `next/${this.topic}/${this.partition}`, value: Buffer.from(String(this.#next)) },
      ...gone.map((batch) => ({ type: 'del' as const, key: this.#prefix + digits(batch.base) })),
    ]);
    return dropped;
  }
}

const TEXT = { valueEncoding: 'utf8' } as const;
