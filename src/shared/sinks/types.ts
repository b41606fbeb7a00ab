/** What takes entries from the journal elsewhere. */

import type { DependencyHealth } from '../health.js';

/** An entry and where it stands in the journal. */
export interface JournalledEntry {
  readonly position: number;
  /** Of the first frame at or behind it: its own where it has one. */
  readonly seq: number;
  /** See `journal/entry.ts`. */
  readonly bytes: Uint8Array;
  /** What goes with it where a sink has headers; never on disk. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Its faults are those of `kafka/types.ts`: RecordFaultError, TopicFaultError, and anything else for "try again". */
export interface Sink {
  /** Stable: with the topic's it names cursor and dead letters. */
  readonly name: string;
  /** For readiness, such as `kafka blocks`. */
  readonly resource: string;
  /** Bytes that an entry takes in a request, about. */
  bytesOf(entry: Uint8Array): number;
  /** Resolves when entries can be sent; rejects with a fault, or with the signal's reason at once. */
  connect(signal?: AbortSignal): Promise<void>;
  /**
   * Resolves when every entry is acknowledged, in order. Rejects with a fault when any is not; some may have arrived all
   * the same.
   */
  send(entries: readonly JournalledEntry[]): Promise<void>;
  health(signal: AbortSignal): Promise<DependencyHealth>;
  close(): Promise<void>;
}
