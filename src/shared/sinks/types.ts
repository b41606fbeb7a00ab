/** What takes entries from the journal elsewhere. */

import type { DependencyHealth } from '../health.js';
import type { JournalledEntry } from '../journal/entry.js';

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

/** A topic's part of the outbox, as it is told of. */
export interface OutboxTopic {
  readonly topic: string;
  readonly waiting: number;
  /** Unix ms of the oldest; 0 when empty. */
  readonly oldest: number;
  /** `damaged`: what comes next cannot be read back, and its loss is not yet accepted. */
  readonly state: 'flowing' | 'broker_down' | 'topic_fault' | 'damaged';
  readonly error: string;
}

/** A record that a sink refused for good. */
export interface DeadLetter {
  readonly id: string;
  readonly topic: string;
  readonly reason: string;
  /** Unix ms. */
  readonly at: number;
  /** Display-order hash, where the record has one. */
  readonly hash: string;
}
