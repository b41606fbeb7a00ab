/**
 * Which accepted announcements are new: repeats, and originators of one hash (WIRE §2).
 *
 * Originators of a hash have places of their own by standing, and by whether their announcement proves the work that the hash
 * took: identities and hubs cost nothing, so strangers would else take every place before a peer comes that was chosen, is
 * connected or was of use.
 */

import type { OutcomeName } from '../../shared/messages/outcomes.js';
import { standingIndex } from '../../shared/pipeline/standing.js';
import type { CheckedMessage } from '../../shared/pipeline/types.js';
import { QUEUES } from '../../shared/queues.js';
import { Recent } from './recent.js';

/** The newest Go nodes' figures. */
const REPEAT_MS = QUEUES.repeats.bounds.windowMs;
const ANNOUNCERS_MS = 15_000;
const SPAM_MS = 120_000;
const SPAM_REPEATS = 50;

/** Bound of the queue `repeats remembered`. */
const MAX_REPEATS = QUEUES.repeats.bounds.announcements;
const MAX_HASHES = 100_000;
const MAX_REPEATERS = 100_000;

/** A hash, and whose places of it. */
function slotsKey({ hashKey, standing, proven }: CheckedMessage): string {
  return hashKey + String.fromCharCode(standingIndex(standing) * 2 + (proven ? 1 : 0));
}

export interface AdmissionOptions {
  /** Strangers that are passed on as originators of one hash in 15 s; 0: everybody is (`p2p_max_announcers_per_hash`). */
  readonly maxAnnouncersPerHash: number;
  /** The same of each other standing. */
  readonly maxAcquaintancesPerHash: number;
}

export class Admission {
  readonly #repeats = new Recent<true>({ windowMs: REPEAT_MS, max: MAX_REPEATS });
  readonly #announcers = new Recent<string[]>({ windowMs: ANNOUNCERS_MS, max: MAX_HASHES });
  readonly #repeaters = new Recent<{ count: number }>({ windowMs: SPAM_MS, max: MAX_REPEATERS });
  readonly #maxStrangers: number;
  readonly #maxAcquaintances: number;

  constructor({ maxAnnouncersPerHash, maxAcquaintancesPerHash }: AdmissionOptions) {
    this.#maxStrangers = maxAnnouncersPerHash;
    this.#maxAcquaintances = maxAcquaintancesPerHash;
  }

  /** Announcements remembered. */
  get remembered(): number {
    return this.#repeats.size;
  }

  /** An announcement of an earlier run, made at `at` (monotonic). */
  restore(repeatKey: string, at: number): void {
    this.#repeats.set(repeatKey, true, at);
  }

  /** `ok` for what is new. Nothing is remembered but repeats of repeats. */
  check(message: CheckedMessage, now: number): OutcomeName {
    const { repeatKey, hashKey, author, standing } = message;
    if (repeatKey !== '' && this.#repeats.get(repeatKey, now) === true) {
      return this.#repeatsTooMuch(`${author}${hashKey || repeatKey}`, now) ? 'spam' : 'repeat';
    }
    if (hashKey !== '' && this.#maxStrangers > 0) {
      const announcers = this.#announcers.get(slotsKey(message), now) ?? [];
      const places = standing === 'stranger' ? this.#maxStrangers : this.#maxAcquaintances;
      if (announcers.length >= places && !announcers.includes(author)) return 'too_many_announcers';
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
  remember(message: CheckedMessage, now: number): void {
    const { repeatKey, hashKey, author } = message;
    if (repeatKey !== '') this.#repeats.set(repeatKey, true, now);
    if (hashKey === '' || this.#maxStrangers === 0) return;
    const key = slotsKey(message);
    const announcers = this.#announcers.get(key, now);
    if (announcers === undefined) this.#announcers.set(key, [author], now);
    else if (!announcers.includes(author)) announcers.push(author);
  }

  /** `message` could not be passed on after all: it may come again. */
  forget(message: CheckedMessage, now: number): void {
    const { repeatKey, author } = message;
    if (repeatKey !== '') this.#repeats.delete(repeatKey);
    const announcers = this.#announcers.get(slotsKey(message), now);
    const index = announcers?.indexOf(author) ?? -1;
    if (index >= 0) announcers?.splice(index, 1);
  }
}
