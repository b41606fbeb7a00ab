/** Which accepted announcements are new: repeats, and originators of one hash (WIRE §2). */

import type { OutcomeName } from '../../shared/pipeline/outcomes.js';
import type { CheckedMessage } from '../../shared/pipeline/types.js';
import { Recent } from './recent.js';

/** The newest Go nodes' figures. */
const REPEAT_MS = 600_000;
const ANNOUNCERS_MS = 15_000;
const SPAM_MS = 120_000;
const SPAM_REPEATS = 50;

/** Bound of the queue `repeats remembered`. */
const MAX_REPEATS = 1_000_000;
/** What a restart finds of them: as many as are remembered in any case. */
export const STORED_REPEATS = { windowMs: REPEAT_MS, max: MAX_REPEATS / 2 } as const;
const MAX_HASHES = 100_000;
const MAX_REPEATERS = 100_000;

export interface AdmissionOptions {
  /** Originators of one hash passed on in 15 s; 0: all (`p2p_max_announcers_per_hash`). */
  readonly maxAnnouncersPerHash: number;
}

export class Admission {
  readonly #repeats = new Recent<true>({ windowMs: REPEAT_MS, max: MAX_REPEATS });
  readonly #announcers = new Recent<string[]>({ windowMs: ANNOUNCERS_MS, max: MAX_HASHES });
  readonly #repeaters = new Recent<{ count: number }>({ windowMs: SPAM_MS, max: MAX_REPEATERS });
  readonly #maxAnnouncers: number;

  constructor({ maxAnnouncersPerHash }: AdmissionOptions) {
    this.#maxAnnouncers = maxAnnouncersPerHash;
  }

  /** Announcements remembered. */
  get remembered(): number {
    return this.#repeats.size;
  }

  /** An announcement of an earlier run, made at `at` (unix ms). */
  restore(repeatKey: string, at: number): void {
    this.#repeats.set(repeatKey, true, at);
  }

  /** `ok` for what is new. Nothing is remembered but repeats of repeats. */
  check({ repeatKey, hashKey, author }: CheckedMessage, now: number): OutcomeName {
    if (repeatKey !== '' && this.#repeats.get(repeatKey, now) === true) {
      return this.#repeatsTooMuch(`${author}${hashKey || repeatKey}`, now) ? 'spam' : 'repeat';
    }
    if (hashKey !== '' && this.#maxAnnouncers > 0) {
      const announcers = this.#announcers.get(hashKey, now) ?? [];
      if (announcers.length >= this.#maxAnnouncers && !announcers.includes(author)) {
        return 'too_many_announcers';
      }
    }
    return 'ok';
  }

  #repeatsTooMuch(key: string, now: number): boolean {
    const repeater = this.#repeaters.get(key, now);
    if (repeater === undefined) {
      this.#repeaters.set(key, { count: 1 }, now);
      return false;
    }
    repeater.count++;
    return repeater.count > SPAM_REPEATS;
  }

  /** `message` is passed on. */
  remember({ repeatKey, hashKey, author }: CheckedMessage, now: number): void {
    if (repeatKey !== '') this.#repeats.set(repeatKey, true, now);
    if (hashKey === '' || this.#maxAnnouncers === 0) return;
    const announcers = this.#announcers.get(hashKey, now);
    if (announcers === undefined) this.#announcers.set(hashKey, [author], now);
    else if (!announcers.includes(author)) announcers.push(author);
  }

  /** `message` could not be passed on after all: it may come again. */
  forget({ repeatKey, hashKey, author }: CheckedMessage, now: number): void {
    if (repeatKey !== '') this.#repeats.delete(repeatKey);
    const announcers = this.#announcers.get(hashKey, now);
    const index = announcers?.indexOf(author) ?? -1;
    if (index >= 0) announcers?.splice(index, 1);
  }
}
