/** What waits for one topic: the live tail in memory, what does not fit there in the database. */

import { monotonic, wall } from '../clock.js';
import { type OutboxRecord, recordBytes } from './records.js';
import type { Chunk, OutboxStore, StoredChunk } from './store.js';

export interface BacklogBound {
  /** Records and bytes held in memory, the newest chunk beyond it. */
  readonly records: number;
  readonly bytes: number;
}

const MEMORY: BacklogBound = { records: 20_000, bytes: 8 * 1024 * 1024 };

/**
 * Chunks come in at the back in the order of their ids. When memory is full, `spilled` says that the database has more than
 * memory; from then on chunks are only counted, and read back when memory is half empty, until the last one counted has
 * been read. All of that happens between two waits, so that no chunk is taken twice or missed. Reading goes on
 * while what was taken is on its way to Kafka.
 */
export class Backlog {
  /** Records not yet taken and removed, in memory or not. */
  waiting = 0;
  readonly #topic: string;
  readonly #store: OutboxStore;
  readonly #bound: BacklogBound;
  #chunks: Chunk[] = [];
  /** When (monotonic) what is in each chunk in memory was received. */
  readonly #since = new WeakMap<Chunk, number>();
  #records = 0;
  #bytes = 0;
  /** Records of the first chunk that are done. */
  #done = 0;
  #spilled = false;
  /** Newest chunk that is or was in memory, and newest of all. */
  #loadedId = 0;
  #lastId = 0;
  #reading: Promise<void> | undefined;

  /** Called with the number of records that wait and cannot be read back. */
  onDamaged: (count: number) => void = () => {};

  constructor(topic: string, store: OutboxStore, bound: BacklogBound = MEMORY) {
    this.#topic = topic;
    this.#store = store;
    this.#bound = bound;
  }

  /** Unix ms of the oldest record in memory; 0 when there is none. */
  get oldest(): number {
    return this.#chunks[0]?.records[this.#done]?.receivedAt ?? 0;
  }

  /** Ms since the oldest record in memory was received, whatever became of the clock; 0 when there is none. */
  get ageMs(): number {
    const [first] = this.#chunks;
    const since = first === undefined ? undefined : this.#since.get(first);
    return since === undefined ? 0 : monotonic() - since;
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
    const [oldest] = chunk.records;
    this.#since.set(
      chunk,
      monotonic() - Math.max(0, wall.told() - (oldest?.receivedAt ?? Number.POSITIVE_INFINITY)),
    );
    this.#loadedId = chunk.id;
    this.#records += chunk.records.length;
    for (const record of chunk.records) this.#bytes += recordBytes(record);
  }

  /** Up to the bounds from the front, at least one; empty when nothing waits. Throws OutboxFailingError. */
  async take(maxRecords: number, maxBytes: number): Promise<readonly OutboxRecord[]> {
    for (;;) {
      const { taken, whole } = this.#front(maxRecords, maxBytes);
      if (whole || !this.#spilled) {
        this.readAhead();
        return taken;
      }
      try {
        await this.#read();
      } catch (error) {
        if (taken.length === 0) throw error;
        return taken;
      }
    }
  }

  /** From memory; `whole` when there was enough to reach one of the bounds. */
  #front(maxRecords: number, maxBytes: number): { taken: readonly OutboxRecord[]; whole: boolean } {
    const taken: OutboxRecord[] = [];
    let bytes = 0;
    let from = this.#done;
    for (const { records } of this.#chunks) {
      for (let i = from; i < records.length; i++) {
        const record = records[i] as OutboxRecord;
        bytes += recordBytes(record);
        if (taken.length > 0 && (taken.length >= maxRecords || bytes > maxBytes))
          return { taken, whole: true };
        taken.push(record);
      }
      from = 0;
    }
    return { taken, whole: false };
  }

  /** Reads on in the database when there is more and memory has room for it. What fails, fails again in `take`. */
  readAhead(): void {
    if (!this.#spilled || this.#bytes > this.#bound.bytes / 2 || this.#records > this.#bound.records / 2)
      return;
    this.#read().catch(() => {});
  }

  #read(): Promise<void> {
    this.#reading ??= this.#readSome().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #readSome(): Promise<void> {
    const lastId = this.#lastId;
    const chunks = await this.#store.read(this.#topic, this.#loadedId, this.#bound.bytes / 2);
    for (const chunk of chunks) {
      // One that is stored and not yet told of comes with `add`.
      if (chunk.id > this.#lastId) break;
      if (chunk.damaged === undefined) this.#load(chunk);
      else this.#lost(chunk.damaged);
      this.#loadedId = chunk.id;
    }
    if (this.#loadedId < this.#lastId) {
      // One that came while reading may not have been in what was read: the next round finds it.
      if (chunks.length > 0 || lastId !== this.#lastId) return;
      this.#loadedId = lastId;
    }
    this.#spilled = false;
    // All that waits is in memory now: what is not was in no chunk that was read, and would be waited for without end.
    this.#lost(this.waiting - (this.#records - this.#done));
  }

  #lost(count: number): void {
    if (count <= 0) return;
    this.waiting -= count;
    this.onDamaged(count);
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
