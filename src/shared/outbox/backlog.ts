/** What waits for one topic: the live tail in memory, what does not fit there in the database. */

import { type OutboxRecord, recordBytes } from './records.js';
import type { Chunk, OutboxStore, StoredChunk } from './store.js';

export interface BacklogBound {
  /** Records and bytes held in memory, the newest chunk beyond it. */
  readonly records: number;
  readonly bytes: number;
}

/** Some records from the front, and how to say that Kafka has them. */
export interface Taken {
  readonly records: readonly OutboxRecord[];
}

const MEMORY: BacklogBound = { records: 20_000, bytes: 8 * 1024 * 1024 };

/**
 * Chunks come in at the back in the order of their ids. When memory is full, `spilled` says that the database has more than
 * memory; from then on chunks are only counted, and read back when memory is empty, until the last one counted has been
 * read. All of that happens between two waits, so that no chunk is taken twice or missed.
 */
export class Backlog {
  /** Records not yet taken and removed, in memory or not. */
  waiting = 0;
  readonly #topic: string;
  readonly #store: OutboxStore;
  readonly #bound: BacklogBound;
  #chunks: Chunk[] = [];
  #records = 0;
  #bytes = 0;
  /** Records of the first chunk that are done. */
  #done = 0;
  #spilled = false;
  /** Newest chunk that is or was in memory, and newest of all. */
  #loadedId = 0;
  #lastId = 0;

  constructor(topic: string, store: OutboxStore, bound: BacklogBound = MEMORY) {
    this.#topic = topic;
    this.#store = store;
    this.#bound = bound;
  }

  /** Unix ms of the oldest record in memory; 0 when there is none. */
  get oldest(): number {
    return this.#chunks[0]?.records[this.#done]?.receivedAt ?? 0;
  }

  get empty(): boolean {
    return this.waiting === 0;
  }

  /** A chunk that was just stored. */
  add(chunk: Chunk): void {
    this.waiting += chunk.records.length;
    this.#lastId = chunk.id;
    if (this.#spilled || this.#records >= this.#bound.records || this.#bytes >= this.#bound.bytes) {
      this.#spilled = true;
    } else {
      this.#load(chunk);
    }
  }

  /** A chunk that is in the database alone. */
  addStored({ id, count }: StoredChunk): void {
    this.waiting += count;
    this.#lastId = Math.max(this.#lastId, id);
    this.#spilled = true;
  }

  #load(chunk: Chunk): void {
    this.#chunks.push(chunk);
    this.#loadedId = chunk.id;
    this.#records += chunk.records.length;
    for (const record of chunk.records) this.#bytes += recordBytes(record);
  }

  /** Up to the bounds from the front, at least one; empty when nothing waits. Throws OutboxFailingError. */
  async take(maxRecords: number, maxBytes: number): Promise<readonly OutboxRecord[]> {
    if (this.#chunks.length === 0 && this.#spilled) await this.#refill();
    const taken: OutboxRecord[] = [];
    let bytes = 0;
    let from = this.#done;
    for (const { records } of this.#chunks) {
      for (let i = from; i < records.length; i++) {
        const record = records[i] as OutboxRecord;
        bytes += recordBytes(record);
        if (taken.length > 0 && (taken.length >= maxRecords || bytes > maxBytes)) return taken;
        taken.push(record);
      }
      from = 0;
    }
    return taken;
  }

  async #refill(): Promise<void> {
    const lastId = this.#lastId;
    const chunks = await this.#store.read(this.#topic, this.#loadedId, this.#bound.bytes);
    for (const chunk of chunks) this.#load(chunk);
    if (this.#loadedId >= this.#lastId) this.#spilled = false;
    // One that came while reading may not have been in what was read: the next round finds it.
    if (chunks.length > 0 || lastId !== this.#lastId) return;
    this.#spilled = false;
    this.waiting = 0;
  }

  /** The first `count` records are done: chunks without any other leave the database. */
  complete(count: number): void {
    this.waiting -= count;
    this.#done += count;
    const gone: Chunk[] = [];
    for (;;) {
      const [first] = this.#chunks;
      if (first === undefined || this.#done < first.records.length) break;
      this.#done -= first.records.length;
      this.#records -= first.records.length;
      for (const record of first.records) this.#bytes -= recordBytes(record);
      gone.push(first);
      this.#chunks.shift();
    }
    this.#store.remove(gone);
  }
}
