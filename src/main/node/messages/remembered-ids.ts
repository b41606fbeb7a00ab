/**
 * Ids of messages that were seen, known for two minutes as long as there is room, in a bounded number of bytes: 12 an id, 28 with the
 * digest by which a copy is known before its signature is verified. When the bytes are used up, the oldest are forgotten.
 */

import { libraryTime } from '../../../shared/clock.js';
import { ID_WORDS, IdTable, slotsFor, word } from './id-table.js';
import { SEQUENCE_LENGTH } from './signed-message.js';

/** How long an id is remembered at the least, as long as there is room: GossipSub's own. */
const VALIDITY_MS = 120_000;
/** Ids are forgotten a generation at a time: this many are as long as they are valid, and one more is being filled. */
const GENERATIONS = 4;
const DIGEST_WORDS = 4;

/** Generations of ids, the newest first. */
class Ids {
  readonly #width: number;
  /** Of one generation. */
  readonly #bound: number;
  readonly #entry: Uint32Array;
  #generations: IdTable[] = [];

  constructor(width: number, maxBytes: number) {
    this.#width = width;
    this.#bound = maxBytes / (GENERATIONS + 1);
    this.#entry = new Uint32Array(width);
  }

  get size(): number {
    return this.#generations.reduce((sum, { count }) => sum + count, 0);
  }

  get bytes(): number {
    return this.#generations.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** As GossipSub calls it at each heartbeat. */
  prune(): void {
    const now = libraryTime();
    const [newest] = this.#generations;
    if (newest !== undefined && newest.count > 0 && now - newest.began >= VALIDITY_MS / GENERATIONS)
      this.#begin(now);
    // A generation ended when the one after it began.
    for (let ended = this.#generations.at(-2); ended !== undefined; ended = this.#generations.at(-2)) {
      if (now - ended.began < VALIDITY_MS) return;
      this.#generations.pop();
    }
  }

  clear(): void {
    this.#generations = [];
  }

  protected known(id: string, digest: string | undefined): string | undefined {
    const entry = this.#entry;
    if (digest !== undefined) this.#digest(digest);
    else if (!this.#sequence(id)) return undefined;
    const author = digest === undefined ? id.slice(0, -SEQUENCE_LENGTH) : '';
    for (const generation of this.#generations) {
      if (digest === undefined) {
        const number = generation.authors.get(author);
        if (number === undefined) continue;
        entry[0] = number;
      }
      const at = generation.find(entry);
      if (at >= 0) return digest === undefined ? id : generation.idAt(at);
    }
    return undefined;
  }

  protected add(id: string, digest?: string): void {
    if (!this.#sequence(id)) return;
    let [newest] = this.#generations;
    if (newest === undefined || newest.bytesWithNext > this.#bound) newest = this.#begin(libraryTime());
    this.#entry[0] = newest.number(id.slice(0, -SEQUENCE_LENGTH));
    if (digest !== undefined) this.#digest(digest);
    newest.add(this.#entry);
  }

  /** As large as the one before it came to be, so that it need not grow. */
  #begin(began: number): IdTable {
    const width = this.#width;
    const slots = slotsFor(this.#generations[0]?.count ?? 0, { width, maxBytes: this.#bound / 2 });
    const made = new IdTable({ began, width, slots });
    this.#generations.unshift(made);
    if (this.#generations.length > GENERATIONS + 1) this.#generations.pop();
    return made;
  }

  /** Whether it is long enough to be an id. */
  #sequence(id: string): boolean {
    const at = id.length - SEQUENCE_LENGTH;
    if (at < 0) return false;
    this.#entry[1] = word(id, at);
    this.#entry[2] = word(id, at + 4);
    return true;
  }

  #digest(digest: string): void {
    for (let each = 0; each < DIGEST_WORDS; each++) this.#entry[ID_WORDS + each] = word(digest, each * 4);
  }
}

/** In place of GossipSub's cache of seen ids. An id is latin1 text: an author, then 8 bytes. */
export class SeenIds extends Ids {
  constructor({ maxBytes }: { readonly maxBytes: number }) {
    super(ID_WORDS, maxBytes);
  }

  has(id: string): boolean {
    return this.known(id, undefined) !== undefined;
  }

  /** Answers whether it was there before. */
  put(id: string): boolean {
    if (this.has(id)) return true;
    this.add(id);
    return false;
  }
}

/** In place of GossipSub's cache of ids by what is known before the signature is verified: at least 128 bits of a digest, as latin1 text. */
export class KnownIds extends Ids {
  constructor({ maxBytes }: { readonly maxBytes: number }) {
    super(ID_WORDS + DIGEST_WORDS, maxBytes);
  }

  /** The id, where it is known. */
  get(digest: string): string | undefined {
    return this.known('', digest);
  }

  /** Answers whether it was there before. */
  put(digest: string, id: string): boolean {
    if (this.get(digest) !== undefined) return true;
    this.add(id, digest);
    return false;
  }
}
