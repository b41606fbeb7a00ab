/** Which announcements of the last minutes were accepted, as the outbox keeps them: they outlast the ring of frames. */

import { monotonic, monotonicOf } from '../clock.js';
import type { Logger } from '../logging.js';
import type { Operation, OutboxDatabase } from './database.js';
import * as keys from './keys.js';
import { seal, unlessDamaged, unseal } from './seal.js';

export interface RepeatsOptions {
  /** Milliseconds that an announcement is kept. */
  readonly windowMs: number;
  /** Announcements kept at the most. */
  readonly max: number;
}

/** An announcement and when it was accepted (unix ms). */
export interface Remembered {
  /** 16 bytes, as latin1 text. */
  readonly key: string;
  readonly at: number;
}

interface Part {
  readonly key: string;
  /** Monotonic. */
  readonly at: number;
  readonly count: number;
}

const KEY_BYTES = 16;

/** One value a write, which goes whole when it is older than the window or there are too many. */
export class StoredRepeats {
  readonly #logger: Logger;
  readonly #options: RepeatsOptions;
  #parts: Part[] = [];
  #count = 0;
  #nextId = 0;

  constructor({ logger }: { readonly logger: Logger }, options: RepeatsOptions) {
    this.#logger = logger;
    this.#options = options;
  }

  /** Reads what the database holds; gives what was not known here before. */
  async open(level: OutboxDatabase): Promise<Remembered[]> {
    const known = new Set(this.#parts.map(({ key }) => key));
    const found: Remembered[] = [];
    this.#parts = [];
    this.#count = 0;
    for await (const [key, value] of level.entries(keys.REPEATS)) {
      const at = keys.repeatsAt(key);
      const bytes = unlessDamaged(() => unseal(value));
      // It costs no more than that a repeat of these is taken for news.
      if (bytes === undefined)
        this.#logger.warn({ key }, 'remembered announcements are damaged: they are forgotten');
      const count = Math.floor((bytes?.length ?? 0) / KEY_BYTES);
      this.#keep({ key, at: monotonicOf(at), count });
      if (bytes === undefined || known.has(key)) continue;
      for (let n = 0; n < count; n++) {
        found.push({ key: bytes.toString('latin1', n * KEY_BYTES, (n + 1) * KEY_BYTES), at });
      }
    }
    return found;
  }

  /**
   * What remembering `repeatKeys` at `now` (unix ms) takes: the operations of one write, and what to call when that is done.
   */
  add(repeatKeys: readonly string[], now: number): { operations: readonly Operation[]; done: () => void } {
    if (repeatKeys.length === 0) return { operations: [], done: () => {} };
    const part = { key: keys.repeatsKey(now, this.#nextId++), at: monotonic(), count: repeatKeys.length };
    const value = seal(Buffer.from(repeatKeys.join(''), 'latin1'));
    const gone = this.#expired(part);
    return {
      operations: [
        { type: 'put', key: part.key, value },
        ...gone.map(({ key }) => ({ type: 'del' as const, key })),
      ],
      done: () => {
        this.#parts.splice(0, gone.length);
        for (const { count } of gone) this.#count -= count;
        this.#keep(part);
      },
    };
  }

  #keep(part: Part): void {
    this.#parts.push(part);
    this.#count += part.count;
  }

  /** The oldest that are not needed once `more` has come. */
  #expired(more: Part): readonly Part[] {
    const { windowMs, max } = this.#options;
    let left = this.#count + more.count;
    let end = 0;
    for (const { at, count } of this.#parts) {
      if (left <= max && more.at - at < windowMs) break;
      left -= count;
      end++;
    }
    return this.#parts.slice(0, end);
  }
}
