/** Records that Kafka refuses for good: kept, shown, put back on request. */

import { wall } from '../clock.js';
import { hashFromBytes } from '../hash.js';
import type { Logger } from '../logging.js';
import type { DeadLetter } from '../pipeline/worker-config.js';
import type { Operation } from './database.js';
import * as keys from './keys.js';
import type { OutboxMetrics } from './metrics.js';
import { decodeRecords, encodeRecords, type OutboxRecord } from './records.js';
import { seal, unlessDamaged, unseal } from './seal.js';
import type { Chunk, OutboxStore } from './store.js';

interface About {
  readonly topic: string;
  readonly reason: string;
  readonly at: number;
}

/** Bound of the queue `dead letters`. */
const MAX_DEAD_LETTERS = 10_000;
/** Letters put back with one write. */
const REPLAY_CHUNK = 200;
const MAX_REASON = 1024;

/** Every topic's drainer adds letters, and the operator puts them back: one change after the other. */
export class DeadLetters {
  readonly #store: OutboxStore;
  readonly #logger: Logger;
  readonly #metrics: OutboxMetrics;
  readonly #max: number;
  #count = 0;
  #nextId = 1;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(
    { store, logger, metrics }: { store: OutboxStore; logger: Logger; metrics: OutboxMetrics },
    { max = MAX_DEAD_LETTERS }: { readonly max?: number } = {},
  ) {
    this.#store = store;
    this.#logger = logger;
    this.#metrics = metrics;
    this.#max = max;
  }

  /** Counts what is there. */
  async open(): Promise<void> {
    const letters = await this.#store.entries(keys.DEAD_LETTERS);
    this.#count = letters.length;
    this.#nextId = idOf(letters.at(-1)?.[0]) + 1;
    this.#metrics.deadLetters.set(this.#count);
  }

  /** Keeps `record`. Past the bound the oldest letter goes. Throws OutboxFailingError. */
  add(topic: string, record: OutboxRecord, reason: string): Promise<void> {
    return this.#inTurn(() => this.#add(topic, record, reason));
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => {});
    return result;
  }

  async #add(topic: string, record: OutboxRecord, reason: string): Promise<void> {
    const about: About = { topic, reason: reason.slice(0, MAX_REASON), at: wall.shown() };
    const surplus = await this.#surplus();
    await this.#store.write([
      { type: 'put', key: keys.deadLetterKey(this.#nextId), value: encodeLetter(about, record) },
      ...surplus.map((key) => ({ type: 'del' as const, key })),
    ]);
    this.#nextId++;
    this.#count += 1 - surplus.length;
    this.#metrics.deadLetters.set(this.#count);
    const hash = hashFromBytes(record.hash);
    this.#logger.error(
      { topic, hash, reason: about.reason },
      'Kafka refuses a record: it is a dead letter now',
    );
    if (surplus.length > 0) {
      this.#metrics.deadLettersLost.inc(surplus.length);
      this.#logger.error({ lost: surplus.length }, 'too many dead letters: the oldest is lost');
    }
  }

  async #surplus(): Promise<readonly string[]> {
    const surplus = this.#count + 1 - this.#max;
    if (surplus <= 0) return [];
    return (await this.#store.entries(keys.DEAD_LETTERS, surplus)).map(([key]) => key);
  }

  /** The oldest `limit`, without those of them that are damaged: what is put back next sets them aside. */
  async list(limit: number): Promise<DeadLetter[]> {
    const letters = await this.#store.entries(keys.DEAD_LETTERS, Math.max(1, limit));
    return letters.flatMap(([key, value]) => {
      const letter = unlessDamaged(() => decodeLetter(value));
      if (letter === undefined) return [];
      return { id: String(idOf(key)), ...letter.about, hash: hashFromBytes(letter.record.hash) };
    });
  }

  /**
   * Puts letters back behind what waits, oldest first, each as long as there is `room` for records of its topic, and hands
   * each chunk to `stored`, which leaves less room. Never while a batch is being appended. Gives the number put back.
   */
  async replay(room: (topic: string) => number, stored: (chunk: Chunk) => void): Promise<number> {
    let replayed = 0;
    // Those that come back meanwhile are for the next time.
    const end = this.#nextId;
    for (let next: number | undefined = 0; next !== undefined; ) {
      const from: number = next;
      const some = await this.#inTurn(() => this.#replaySome({ from, end, room }, stored));
      replayed += some.back;
      next = some.next;
    }
    return replayed;
  }

  /** Some letters with ids from `from` on and below `end`; `next` is where to go on. Those that are damaged are set aside. */
  async #replaySome(
    { from, end, room }: { from: number; end: number; room: (topic: string) => number },
    hand: (chunk: Chunk) => void,
  ): Promise<{ readonly next: number | undefined; readonly back: number }> {
    const range = { gte: keys.deadLetterKey(from), lt: keys.deadLetterKey(end) };
    const letters = await this.#store.entries(range, REPLAY_CHUNK);
    const next = letters.length === 0 ? undefined : idOf(letters.at(-1)?.[0]) + 1;
    const damaged: [key: string, value: Buffer][] = [];
    const back: string[] = [];
    const byTopic = new Map<string, OutboxRecord[]>();
    for (const stored of letters) {
      const letter = unlessDamaged(() => decodeLetter(stored[1]));
      if (letter === undefined) {
        damaged.push(stored);
        continue;
      }
      const { about, record } = letter;
      const records = byTopic.get(about.topic) ?? [];
      if (records.length >= room(about.topic)) continue;
      records.push(record);
      byTopic.set(about.topic, records);
      back.push(stored[0]);
    }
    if (damaged.length > 0) await this.#setAside(damaged);
    if (back.length === 0) return { next, back: 0 };
    const chunks = await this.#store.putBack(byTopic, back);
    this.#forget(back.length);
    for (const chunk of chunks) hand(chunk);
    return { next, back: back.length };
  }

  async #setAside(letters: readonly (readonly [key: string, value: Buffer])[]): Promise<void> {
    await this.#store.write(
      letters.flatMap(([key, value]): Operation[] => [
        { type: 'del', key },
        { type: 'put', key: keys.damagedLetterKey(key), value },
      ]),
    );
    this.#forget(letters.length);
    this.#logger.error(
      { letters: letters.length },
      'dead letters are damaged: they are set aside in the outbox',
    );
  }

  #forget(count: number): void {
    this.#count -= count;
    this.#metrics.deadLetters.set(this.#count);
  }
}

const idOf = (key: string | undefined): number => Number(key?.slice(key.indexOf('/') + 1) ?? 0);

/** A length, what is said about the record as JSON, the record; sealed. */
function encodeLetter(about: About, record: OutboxRecord): Buffer {
  const json = Buffer.from(JSON.stringify(about));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(json.length);
  return seal(Buffer.concat([length, json, encodeRecords([record])]));
}

function decodeLetter(sealed: Buffer): { about: About; record: OutboxRecord } {
  const bytes = unseal(sealed);
  const end = 4 + bytes.readUInt32LE(0);
  const [record] = decodeRecords(bytes.subarray(end));
  if (record === undefined) throw new RangeError('a dead letter without its record');
  return { about: JSON.parse(bytes.toString('utf8', 4, end)) as About, record };
}
