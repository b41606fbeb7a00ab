/** Who announced which block and subtree, for as long as somebody may find it invalid. */

import { LRUCache } from 'lru-cache';
import type { HashHex } from '../../shared/hash.js';
import type { AnnouncedRecord, Announcer } from '../../shared/pipeline/types.js';

/** Bound of the queue `who announced what`: announcements of a topic, and how long each is remembered. */
const MAX_ANNOUNCEMENTS = 10_000;
const REMEMBERED_MS = 10 * 60_000;
/** Identities cost nothing: of one hash no more announcers than this are worth a place. */
const MAX_A_HASH = 64;

export interface AnnouncersOptions {
  /** 10,000 of each topic unless told. */
  readonly max?: number;
  /** Ms, never going back; performance.now unless told. */
  readonly clock?: () => number;
}

type Topic = AnnouncedRecord['topic'];

interface Announced {
  readonly announcers: readonly Announcer[];
  /** When the last of them did. */
  readonly at: number;
}

export class Announcers {
  readonly #topics: Readonly<Record<Topic, LRUCache<string, Announced>>>;
  readonly #clock: () => number;
  /** When an announcement of each topic last found no place or lost it. */
  readonly #lost: Record<Topic, number> = {
    blocks: Number.NEGATIVE_INFINITY,
    subtrees: Number.NEGATIVE_INFINITY,
  };

  constructor({ max = MAX_ANNOUNCEMENTS, clock = () => performance.now() }: AnnouncersOptions = {}) {
    this.#clock = clock;
    // Subtrees cost nothing to make, so they do not push blocks out. lru-cache takes 0 for "no time".
    const memory = (topic: Topic) =>
      new LRUCache<string, Announced>({
        maxSize: max,
        sizeCalculation: ({ announcers }) => announcers.length,
        ttl: REMEMBERED_MS,
        ttlResolution: 0,
        perf: { now: () => clock() + 1 },
        dispose: ({ at }, _, reason) => {
          if (reason === 'evict' && clock() - at <= REMEMBERED_MS) this.#lost[topic] = clock();
        },
      });
    this.#topics = { blocks: memory('blocks'), subtrees: memory('subtrees') };
  }

  /** Announcements remembered. */
  get size(): number {
    const { blocks, subtrees } = this.#topics;
    return blocks.calculatedSize + subtrees.calculatedSize;
  }

  /** An accepted announcement, signed by `peer`. */
  remember({ topic, hash, url }: Pick<AnnouncedRecord, 'topic' | 'hash' | 'url'>, peer: string): void {
    const memory = this.#topics[topic];
    const key = Buffer.from(hash.buffer, hash.byteOffset, hash.byteLength).toString('latin1');
    const before = memory.get(key)?.announcers ?? [];
    if (before.some((known) => known.peer === peer && known.url === url)) return;
    if (before.length >= MAX_A_HASH) {
      this.#lost[topic] = this.#clock();
      return;
    }
    memory.set(key, { announcers: [...before, { peer, url }], at: this.#clock() });
  }

  /** Whether every announcement of the last ten minutes is remembered: then whom `of` does not give has announced nothing. */
  isWhole(topic: Topic): boolean {
    return this.#clock() - this.#lost[topic] > REMEMBERED_MS;
  }

  /** Who announced `hash`, the first first. */
  of(topic: Topic, hash: HashHex): readonly Announcer[] {
    return this.#topics[topic].get(Buffer.from(hash, 'hex').reverse().toString('latin1'))?.announcers ?? [];
  }
}
