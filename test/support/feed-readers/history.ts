/** All that was ever accepted, in order: what readers are held against. */

import type { FiledJournal } from '../deaths/journal-files.js';
import { type Kind, wordOf } from '../deaths/oracle.js';
import { numberOf } from '../gossip.js';

/** An entry that readers see. */
export interface Shown {
  readonly epoch: string;
  readonly seq: number;
  readonly kind: string;
  /** Base58. */
  readonly author: string;
  /** JSON of the plain frame. */
  readonly text: string;
  /** Unix ms. */
  readonly receivedAt: number;
  /** The server's own word. */
  readonly own: boolean;
  /** From which of the server's lives on it cannot be read any more. */
  lostFrom: number;
}

/** What whoever serves the feed has to show, and how it names places in it. */
export interface FeedHistory {
  /** In the order in which they are shown. */
  readonly shown: readonly Shown[];
  /** Index of the frame in a frame that says where it stands. Throws where it is none, or is told otherwise than it is. */
  indexOf(text: string): number;
  /** Index of a frame that says nothing of where it stands; undefined where there is none such. */
  indexOfPlain(text: string): number | undefined;
  /** How many are at or before the place that a cursor names. Throws where it names none. */
  countAt(cursor: unknown): number;
  /** Index of the oldest that is kept in a life. */
  oldestIn(life: number): number;
  /** Index of the first that was received at `ms` or later. */
  firstSince(ms: number): number;
  /** Index behind the last of these announcements. */
  behind(words: readonly string[]): number;
}

/** Of an announcement. */
export function wordOfShown({ kind, author, text }: Pick<Shown, 'kind' | 'author' | 'text'>): string {
  const { hash } = JSON.parse(text) as { hash?: string };
  return wordOf({ kind: kind as Kind, author }, numberOf(hash));
}

/** Index of the first that was received at `ms` or later. */
export function firstSince(shown: readonly Shown[], ms: number): number {
  const at = shown.findIndex(({ receivedAt }) => receivedAt >= ms);
  return at === -1 ? shown.length : at;
}

/** What a node's journal had in its files, before anything of it was taken away. */
export class JournalHistory implements FeedHistory {
  /** In the order in which they were stored. */
  readonly shown: Shown[] = [];
  /** By the server's lives: how many of the oldest were gone when it began. */
  readonly #gone: number[] = [];
  readonly #index = new Map<string, number>();
  readonly #byText = new Map<string, number>();
  readonly #byWord = new Map<string, number>();

  /** Takes in a journal at rest. What was known before must be in it still, but for what was taken away. */
  take({ entries }: FiledJournal): void {
    for (const { epoch, seq, own, author, frame, text, receivedAt } of entries) {
      if (seq === undefined || frame === undefined || text === undefined) continue;
      const cursor = `${epoch}.${seq}`;
      const known = this.#index.get(cursor);
      if (known !== undefined) {
        if (this.shown[known]?.text !== text) throw new Error(`${cursor} is another frame than before`);
        continue;
      }
      this.#index.set(cursor, this.shown.length);
      this.#byText.set(text, this.shown.length);
      const { type: kind } = frame;
      if (!own) this.#byWord.set(wordOfShown({ kind, author, text }), this.shown.length);
      this.shown.push({
        epoch,
        seq,
        kind,
        author,
        text,
        receivedAt,
        own,
        lostFrom: Number.POSITIVE_INFINITY,
      });
    }
  }

  /** From life `life` on, the oldest `count` are gone. */
  forget(count: number, life: number): void {
    this.#gone[life] = Math.max(count, this.oldestIn(life));
  }

  /** From life `life` on, those of this index that are in `seqs` cannot be read. */
  lose(epoch: string, seqs: { readonly from: number; readonly to: number }, life: number): void {
    for (const one of this.shown)
      if (one.epoch === epoch && one.seq >= seqs.from && one.seq < seqs.to) one.lostFrom = life;
  }

  oldestIn(life: number): number {
    let oldest = 0;
    this.#gone.forEach((count, from) => {
      if (from <= life) oldest = Math.max(oldest, count);
    });
    return oldest;
  }

  countAt(cursor: unknown): number {
    const at = this.#index.get(String(cursor));
    if (at !== undefined) return at + 1;
    // Before the first one, or before the first of an epoch.
    const [epoch, seq] = String(cursor).split('.');
    const next = this.#index.get(`${epoch}.${Number(seq) + 1}`);
    if (next === undefined) throw new Error(`the cursor ${cursor} names no place`);
    return next;
  }

  indexOf(text: string): number {
    const { epoch, seq } = JSON.parse(text) as { epoch?: unknown; seq?: unknown };
    const at = this.#index.get(`${epoch}.${seq}`);
    const one = this.shown[at ?? -1];
    if (at === undefined || one === undefined) throw new Error(`there is no frame ${epoch}.${seq}`);
    const place = `,"cursor":"${one.epoch}.${one.seq}","epoch":"${one.epoch}","seq":${one.seq}`;
    const received = `,"received_at":"${new Date(one.receivedAt).toISOString()}"}`;
    if (text !== one.text.slice(0, -1) + place + received)
      throw new Error(`${text} is not as it was stored: ${one.text}`);
    return at;
  }

  indexOfPlain(text: string): number | undefined {
    return this.#byText.get(text);
  }

  behind(words: readonly string[]): number {
    return 1 + Math.max(...words.map((word) => this.#byWord.get(word) ?? -1));
  }

  firstSince(ms: number): number {
    return firstSince(this.shown, ms);
  }
}
