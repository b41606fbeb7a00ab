/**
 * What GossipSub remembers of messages, in a bounded number of bytes.
 *
 * Reason: it keeps the id of each message for two minutes three times over, as text in maps (seen, known before verification, delivered), and messages
 * for five heartbeats, all without a bound: at 6,000 messages a second some 500 MiB, which the garbage collector walks besides.
 *
 * Gain: an id is 12 bytes in a table of numbers, 28 with the digest by which a copy is known before its signature is verified. What is delivered is remembered
 * of the newest messages alone, for it only serves scores that are off (P3). When the bytes are used up, the oldest ids and the oldest messages that have their
 * verdict are forgotten: a copy that comes that late is checked once more, and is a repeat to the publisher.
 *
 * Switch: `Patches.gossipMemory`.
 */

import { randomBytes } from 'node:crypto';
import { libraryTime } from '../../../shared/clock.js';
import { QUEUES } from '../../../shared/queues.js';
import { halfSipHash } from '../gossip/half-sip-hash.js';

/** How long an id is remembered at the least, as long as there is room: GossipSub's own. */
const VALIDITY_MS = 120_000;
/** Ids are forgotten a generation at a time: this many are as long as they are valid, and one more is being filled. */
const GENERATIONS = 4;
/** Of the id: its author by number, and the two halves of the sequence number. The number is never 0, which marks an empty slot. */
const ID_WORDS = 3;
const DIGEST_WORDS = 4;
const SEQUENCE_LENGTH = 8;
const FIRST_SLOTS = 1024;
/** Slots are never fuller than three quarters. */
const fill = (slots: number): number => (slots / 4) * 3;
/** What an author takes: its text of 38 characters, in a map and in a list. */
const AUTHOR_BYTES = 160;
/** Of the bytes for ids: how many go to those known before verification, which are more than twice as large. */
const KNOWN_SHARE = 0.7;

const [K0 = 0, K1 = 0] = new Int32Array(new Uint8Array(randomBytes(8)).buffer);

/** Four characters of a latin1 text as a number. */
function word(text: string, at: number): number {
  return (
    ((text.charCodeAt(at) << 24) |
      (text.charCodeAt(at + 1) << 16) |
      (text.charCodeAt(at + 2) << 8) |
      text.charCodeAt(at + 3)) >>>
    0
  );
}

function characters(number: number): string {
  return String.fromCharCode(number >>> 24, (number >>> 16) & 0xff, (number >>> 8) & 0xff, number & 0xff);
}

/** The ids of some time: an open table of numbers, with its own numbering of authors. */
class Generation {
  readonly began: number;
  readonly authors = new Map<string, number>();
  readonly #names: string[] = [];
  readonly #width: number;
  /** Which words of an entry are its key. */
  readonly #from: number;
  #words: Uint32Array;
  #slots: number;
  count = 0;

  constructor({ began, width, slots }: { began: number; width: number; slots: number }) {
    this.began = began;
    this.#width = width;
    this.#from = width === ID_WORDS ? 0 : ID_WORDS;
    this.#slots = slots;
    this.#words = new Uint32Array(slots * width);
  }

  get bytes(): number {
    return this.#words.byteLength + this.#names.length * AUTHOR_BYTES;
  }

  /** Bytes with another id of a new author. */
  get bytesWithNext(): number {
    const grown = this.count + 1 > fill(this.#slots) ? 2 : 1;
    return this.#words.byteLength * grown + (this.#names.length + 1) * AUTHOR_BYTES;
  }

  /** Where the entry is, or -1. */
  find(entry: Uint32Array): number {
    const at = this.#slot(entry) * this.#width;
    return this.#words[at] === 0 ? -1 : at;
  }

  /** The text of the id at `at`. */
  idAt(at: number): string {
    const [author = 0, high = 0, low = 0] = this.#words.subarray(at, at + ID_WORDS);
    return `${this.#names[author - 1]}${characters(high)}${characters(low)}`;
  }

  /** The author's number, a new one where it has none. */
  number(author: string): number {
    const known = this.authors.get(author);
    if (known !== undefined) return known;
    // Cut from an id, it would keep all of it.
    const own = Buffer.from(author, 'latin1').toString('latin1');
    const number = this.#names.push(own);
    this.authors.set(own, number);
    return number;
  }

  add(entry: Uint32Array): void {
    if (this.count + 1 > fill(this.#slots)) this.#grow();
    this.#words.set(entry, this.#slot(entry) * this.#width);
    this.count++;
  }

  #slot(entry: Uint32Array): number {
    const words = this.#words;
    const width = this.#width;
    const from = this.#from;
    const mask = this.#slots - 1;
    let slot = halfSipHash(entry, from, width, K0, K1) & mask;
    for (; ; slot = (slot + 1) & mask) {
      const at = slot * width;
      if (words[at] === 0) return slot;
      let same = from;
      while (same < width && words[at + same] === entry[same]) same++;
      if (same === width) return slot;
    }
  }

  #grow(): void {
    const before = this.#words;
    this.#slots *= 2;
    this.#words = new Uint32Array(this.#slots * this.#width);
    for (let at = 0; at < before.length; at += this.#width) {
      if (before[at] === 0) continue;
      const entry = before.subarray(at, at + this.#width);
      this.#words.set(entry, this.#slot(entry) * this.#width);
    }
  }
}

/** Generations of ids, the newest first. */
class Ids {
  readonly #width: number;
  /** Of one generation. */
  readonly #bound: number;
  readonly #entry: Uint32Array;
  #generations: Generation[] = [];

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
  #begin(began: number): Generation {
    const before = this.#generations[0]?.count ?? 0;
    let slots = FIRST_SLOTS;
    while (fill(slots) < before && slots * 2 * this.#width * 4 < this.#bound / 2) slots *= 2;
    const made = new Generation({ began, width: this.#width, slots });
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

interface CachedMessage {
  readonly message: { readonly data?: Uint8Array };
  readonly validated: boolean;
}

export interface MessageCacheInternals {
  readonly msgs: Map<string, CachedMessage>;
  readonly history: { readonly msgIdStr: string }[][];
  notValidatedCount: number;
  put(
    id: { readonly msgIdStr: string },
    message: { readonly data?: Uint8Array },
    validated?: boolean,
  ): boolean;
  remove(id: string): CachedMessage | null;
  shift(): void;
}

/** What a message takes besides its data: id, author, signature, and a set and a map for who sent it and who asked for it. */
const CACHED_BYTES = 1_200;

const cachedBytes = ({ data }: { readonly data?: Uint8Array }): number => (data?.length ?? 0) + CACHED_BYTES;

/**
 * Bounds the messages that are kept for whoever asks. One without its verdict stays, or it could not be passed on: those are bounded by what may
 * be pending. Returns the bytes held now.
 */
export function boundMessages(cache: MessageCacheInternals, maxBytes: number): () => number {
  let bytes = 0;
  const forget = (id: string): void => {
    const entry = cache.msgs.get(id);
    if (entry === undefined) return;
    bytes -= cachedBytes(entry.message);
  };
  const { put, remove, shift } = cache;
  cache.put = (id, message, validated) => {
    if (!put.call(cache, id, message, validated)) return false;
    bytes += cachedBytes(message);
    if (bytes > maxBytes) makeRoom();
    return true;
  };
  cache.remove = (id) => {
    forget(id);
    return remove.call(cache, id);
  };
  cache.shift = () => {
    for (const { msgIdStr } of cache.history.at(-1) ?? []) forget(msgIdStr);
    shift.call(cache);
  };
  /** A tenth at once, or each message would walk through what is kept. */
  const makeRoom = (): void => {
    for (let age = cache.history.length - 1; age >= 0; age--) {
      const kept: { readonly msgIdStr: string }[] = [];
      for (const entry of cache.history[age] ?? []) {
        const cached = cache.msgs.get(entry.msgIdStr);
        if (bytes <= maxBytes * 0.9 || cached?.validated === false) kept.push(entry);
        else cache.remove(entry.msgIdStr);
      }
      cache.history[age] = kept;
      if (bytes <= maxBytes * 0.9) return;
    }
  };
  return () => bytes;
}

/** Newest messages of which it is remembered who delivered them; a verdict comes long before this many others have. */
const DELIVERIES = QUEUES.gossipIds.bounds.deliveries;

export interface DeliveriesInternals {
  readonly records: Map<string, unknown>;
  readonly queue: { readonly length: number; shift(): { readonly msgId: string } | undefined };
  ensureRecord(id: string): unknown;
}

/** Bounds the deliveries that the score remembers. */
export function boundDeliveries(deliveries: DeliveriesInternals, max = DELIVERIES): void {
  const { ensureRecord } = deliveries;
  deliveries.ensureRecord = (id) => {
    const record = ensureRecord.call(deliveries, id);
    while (deliveries.queue.length > max) {
      const oldest = deliveries.queue.shift();
      if (oldest !== undefined) deliveries.records.delete(oldest.msgId);
    }
    return record;
  };
}

export interface RememberingGossip {
  seenCache: { has(id: string): boolean; put(id: string): boolean };
  fastMsgIdCache?: { get(digest: string): string | undefined; put(digest: string, id: string): boolean };
  readonly mcache: MessageCacheInternals;
  readonly score: { readonly deliveryRecords: DeliveriesInternals };
}

/** Applies the patch to one GossipSub. Returns the bytes of ids and of messages held now. */
export function boundMemory(
  gossip: RememberingGossip,
  { idBytes, messageBytes }: { readonly idBytes: number; readonly messageBytes: number },
): () => { readonly ids: number; readonly messages: number } {
  const seen = new SeenIds({ maxBytes: idBytes * (1 - KNOWN_SHARE) });
  const known = new KnownIds({ maxBytes: idBytes * KNOWN_SHARE });
  gossip.seenCache = seen;
  if (gossip.fastMsgIdCache !== undefined) gossip.fastMsgIdCache = known;
  const messages = boundMessages(gossip.mcache, messageBytes);
  boundDeliveries(gossip.score.deliveryRecords);
  return () => ({ ids: seen.bytes + known.bytes, messages: messages() });
}
