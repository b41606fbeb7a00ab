/** When a lost connection is tried again, and where. */

import type { Abortable } from './options.js';

const FIRST_MS = 500;
/** To the next of several servers. */
const NEXT_SERVER_MS = 100;
/** A server may ask for a longer pause, within reason. */
const LONGEST_MS = 300_000;
/** A connection that worked for so long was a good one: the next pause is the shortest again. */
const GOOD_MS = 5000;

export class Backoff {
  /** Since a good connection. */
  attempts = 0;
  #server = 0;

  constructor(
    private readonly servers: number,
    /** Milliseconds between two attempts at the most. */
    private readonly longestMs: number,
    private readonly random: () => number = Math.random,
  ) {}

  /** Index of the server whose turn it is. */
  get server(): number {
    return this.#server;
  }

  /**
   * Milliseconds until the next attempt, which is at the next server. `workedMs`: how long the feed came over the connection; `askedMs`: how long the server
   * asked to wait.
   */
  failed(workedMs: number, askedMs = 0): number {
    if (workedMs >= GOOD_MS) this.attempts = 0;
    this.attempts++;
    this.#server = (this.#server + 1) % this.servers;
    const rounds = Math.floor(this.attempts / this.servers);
    const endOfRound = this.attempts % this.servers === 0;
    const longest = endOfRound ? Math.min(this.longestMs, FIRST_MS * 2 ** (rounds - 1)) : NEXT_SERVER_MS;
    // All who lost the same server come back one after the other.
    const pause = longest * (0.5 + this.random() / 2);
    return Math.round(Math.max(pause, endOfRound ? Math.min(askedMs, LONGEST_MS) : 0));
  }
}

/** Resolves after `ms`, or as soon as the signal is aborted. */
export function pause(ms: number, signal: Abortable | undefined): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    if (signal?.aborted) end();
    else signal?.addEventListener('abort', end);
  });
}
