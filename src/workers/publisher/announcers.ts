/** Who announced which block and subtree, for as long as somebody may find it invalid. */

import { LRUCache } from 'lru-cache';
import type { HashHex } from '../../shared/bitcoin/hash.js';
import type { AnnouncedRecord } from '../../shared/messages/record.js';
import { ANNOUNCED_TOPICS } from '../../shared/messages/topics.js';
import type { PeerIdText } from '../../shared/net/peer-id.js';
import type { Announcer } from '../../shared/pipeline/types.js';
import { QUEUES } from '../../shared/queues.js';

/** Identities cost nothing: of one hash no more announcers than this are worth a place. */
const MAX_A_HASH = QUEUES.announcers.bounds.perHash;
/** Nor of one peer more data hubs than this: it would take the places of all others. */
const MAX_URLS_A_PEER = QUEUES.announcers.bounds.perHashAndPeer;

export interface AnnouncersOptions {
  /** Bound of the queue `who announced what`: announcers of each topic. Default 10,000. */
  readonly max?: number;
  /** How long each is remembered, ms. Default ten minutes. */
  readonly rememberMs?: number;
  /**
   * Ms, never going back.
   * @default performance.now
   */
  readonly clock?: () => number;
}

interface Announced {
  readonly announcers: readonly Announcer[];
  /** When the last of them did. */
  readonly at: number;
  /** Whether somebody found no place among them. */
  readonly crowded: boolean;
}

export class Announcers {
  /** By the ids of the topics. */
  readonly #topics: ReadonlyMap<number, LRUCache<string, Announced>>;
  readonly #clock: () => number;
  readonly #rememberMs: number;
  /** When an announcement of each topic last lost its place. */
  readonly #lost = new Map<number, number>();

  constructor({
    max = 10_000,
    rememberMs = 600_000,
    clock = () => performance.now(),
  }: AnnouncersOptions = {}) {
    this.#clock = clock;
    this.#rememberMs = rememberMs;
    // Subtrees cost nothing to make, so they do not push blocks out. lru-cache takes 0 for "no time".
    const memory = (topic: number) =>
      new LRUCache<string, Announced>({
        maxSize: max,
        sizeCalculation: ({ announcers }) => announcers.length,
        ttl: rememberMs,
        ttlResolution: 0,
        perf: { now: () => clock() + 1 },
        dispose: ({ at }, _, reason) => {
          if (reason === 'evict' && clock() - at <= rememberMs) this.#lost.set(topic, clock());
        },
      });
    this.#topics = new Map(ANNOUNCED_TOPICS.map(({ id }) => [id, memory(id)]));
  }

  /** Announcements remembered. */
  get size(): number {
    let size = 0;
    for (const { calculatedSize } of this.#topics.values()) size += calculatedSize;
    return size;
  }

  /** An accepted announcement, signed by `peer`. */
  remember(
    { topic, hash, dataHubUrl }: Pick<AnnouncedRecord, 'topic' | 'hash' | 'dataHubUrl'>,
    peer: PeerIdText,
  ): void {
    const memory = this.#topics.get(topic);
    if (memory === undefined) return;
    const key = Buffer.from(hash.buffer, hash.byteOffset, hash.byteLength).toString('latin1');
    const at = this.#clock();
    const known = memory.get(key);
    if (known === undefined) {
      memory.set(key, { announcers: [{ peer, dataHubUrl }], at, crowded: false });
      return;
    }
    const { announcers, crowded } = known;
    const own = announcers.filter((announcer) => announcer.peer === peer);
    if (own.some((announcer) => announcer.dataHubUrl === dataHubUrl)) return;
    const full = announcers.length >= MAX_A_HASH || own.length >= MAX_URLS_A_PEER;
    memory.set(key, {
      announcers: full ? announcers : [...announcers, { peer, dataHubUrl }],
      at,
      crowded: crowded || full,
    });
  }

  /** Whether everybody who announced `hash` in the last ten minutes is remembered. */
  isWhole(topic: number, hash: HashHex): boolean {
    if (this.#clock() - (this.#lost.get(topic) ?? Number.NEGATIVE_INFINITY) <= this.#rememberMs) return false;
    return this.#announced(topic, hash)?.crowded !== true;
  }

  /** Who announced `hash`, the first first. */
  of(topic: number, hash: HashHex): readonly Announcer[] {
    return this.#announced(topic, hash)?.announcers ?? [];
  }

  #announced(topic: number, hash: HashHex): Announced | undefined {
    return this.#topics.get(topic)?.get(Buffer.from(hash, 'hex').reverse().toString('latin1'));
  }
}
