/** What the outbox asks of its database: a little of abstract-level, by which it can also live in another thread. */

import { ClassicLevel } from 'classic-level';

export type Operation =
  | { readonly type: 'put'; readonly key: string; readonly value: Uint8Array }
  | { readonly type: 'del'; readonly key: string };

/** Keys from `gte` on, or after `gt`, and below `lt`. */
export interface KeyRange {
  readonly gte?: string;
  readonly gt?: string;
  readonly lt: string;
}

/** Rejects with LevelDB's errors, codes and causes. Once closed it stays closed. */
export interface OutboxDatabase {
  /** Takes the lock; made when missing. */
  open(): Promise<void>;
  get(key: string): Promise<Buffer | undefined>;
  /** All of them or none; with `sync` they are on the disk when it resolves. */
  batch(operations: readonly Operation[], options: { readonly sync: boolean }): Promise<void>;
  keys(range: KeyRange): AsyncIterable<string>;
  entries(range: KeyRange): AsyncIterable<readonly [key: string, value: Buffer]>;
  close(): Promise<void>;
}

/** The database at `path`, not yet open. */
export type OpenDatabase = (path: string) => OutboxDatabase;

/** LevelDB in this thread. Not for a thread that can be ended: see `database-port.ts`. */
export class LevelDatabase implements OutboxDatabase {
  readonly #level: ClassicLevel<string, Buffer>;

  constructor(path: string) {
    this.#level = new ClassicLevel(path, {
      keyEncoding: 'utf8',
      valueEncoding: 'buffer',
      // Hashes and digests do not shrink.
      compression: false,
    });
  }

  open(): Promise<void> {
    return this.#level.open();
  }

  get(key: string): Promise<Buffer | undefined> {
    return this.#level.get(key);
  }

  batch(operations: readonly Operation[], options: { readonly sync: boolean }): Promise<void> {
    // LevelDB takes any view; the encoding's type is narrower.
    return this.#level.batch(operations as { type: 'put'; key: string; value: Buffer }[], options);
  }

  keys(range: KeyRange): AsyncIterable<string> {
    return this.#level.keys(range);
  }

  entries(range: KeyRange): AsyncIterable<readonly [key: string, value: Buffer]> {
    return this.#level.iterator(range);
  }

  close(): Promise<void> {
    return this.#level.close();
  }
}
