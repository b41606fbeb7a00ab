/** Where a feed keeps its cursor from one run of the program to the next. */

import type { Position } from './position.js';

/** Something that keeps one text: a file, a row of a database, `localStorage`. */
export interface CursorStore {
  /** What `save` was last given; nothing (`undefined`, `null` or an empty text) the first time. */
  load(): string | null | undefined | Promise<string | null | undefined>;
  /**
   * Keeps `cursor`, an opaque text of at most 200 characters, in place of the one before. Called one at a time: while one call is under way the feed goes on,
   * and the next call has the newest.
   */
  save(cursor: string): void | Promise<void>;
}

/** Hands a feed's position on to its store: one call at a time, each with the newest. */
export class Saver {
  #due = false;
  #saving: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(
    private readonly store: CursorStore | undefined,
    private readonly position: Position,
  ) {}

  /** The position has changed. Throws what an earlier save threw. */
  changed(): void {
    this.#check();
    if (this.store === undefined) return;
    this.#due = true;
    this.#saving ??= this.#save(this.store);
  }

  /** Resolves when the position is saved; rejects with what a save threw. */
  async finish(): Promise<void> {
    await this.#saving;
    this.#check();
  }

  async #save(store: CursorStore): Promise<void> {
    try {
      while (this.#due) {
        this.#due = false;
        const { text } = this.position;
        if (text !== undefined) await store.save(text);
      }
    } catch (error) {
      this.#failure = { error };
    } finally {
      this.#saving = undefined;
    }
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}
