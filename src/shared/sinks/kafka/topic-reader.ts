/** Reading a topic of one partition from an offset of one's own: no group, and nothing is committed. Two implementations, as of producers and consumers. */

import { createHash } from 'node:crypto';

export interface TopicBounds {
  readonly partitions: number;
  /** Of partition 0: its oldest record kept, and the next that will be written. */
  readonly oldest: number;
  readonly next: number;
}

export interface TopicRecord {
  readonly offset: number;
  /** Unix ms. */
  readonly timestamp: number;
  /** Undefined where the record has none, or could not be read: it is passed. */
  readonly value: Uint8Array | undefined;
}

export interface ReadRecords {
  /** In the order of their offsets, none below the one asked for. */
  readonly records: readonly TopicRecord[];
  /** From where to read on. */
  readonly next: number;
  /** Where the topic ended. */
  readonly end: number;
}

export interface ReadOptions {
  /** Of records, unpacked; at least one batch comes, however large. */
  readonly maxBytes: number;
  /** How long to wait for a record where there is none, ms. */
  readonly waitMs: number;
}

/** The offset asked for is not in the topic: retention has taken it, or it was never given there. */
export class OffsetRangeError extends Error {
  override readonly name = 'OffsetRangeError';
}

/** All methods reject with the faults of `types.ts`; after any of them the next call begins anew. One call at a time. */
export interface TopicReader {
  readonly topic: string;
  /** Where the topic is, for a person. */
  readonly place: string;
  bounds(): Promise<TopicBounds>;
  /** The offset of the first record of `ms` (unix ms) or later; the next that will be written where there is none. */
  offsetAt(ms: number): Promise<number>;
  /** Rejects also with OffsetRangeError. */
  read(offset: number, options: ReadOptions): Promise<ReadRecords>;
  /** Ends what is under way, with a rejection. */
  close(): Promise<void>;
}

/** By what a record is known: SHA-256 of its value, 32 bytes. */
export const recordHash = (value: Uint8Array): Buffer => createHash('sha256').update(value).digest();

/** What is wrong with a topic of `partitions` for who reads it from an offset of its own. */
export const severalPartitions = (topic: string, partitions: number): string =>
  `topic ${topic} has ${partitions} partitions: a gateway reads a topic of one, in which records have an order`;
