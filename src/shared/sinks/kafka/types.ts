/** What the server asks of Kafka. Two implementations: the embedded broker and kafkajs. */

import type { DependencyHealth } from '../../health.js';

export interface KafkaRecord {
  /** Absent in the first generation. */
  readonly key?: Uint8Array;
  readonly value: Uint8Array;
  /** In ASCII; the embedded broker leaves them out. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** A record as read. */
export interface ConsumedRecord extends KafkaRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  /** Unix ms. */
  readonly timestamp: number;
}

/** The record itself is refused (too large, invalid): retrying it is useless, the others are fine. */
export class RecordFaultError extends Error {
  override readonly name = 'RecordFaultError';
}

/** The topic or the authorisation is at fault: everything for this topic waits. */
export class TopicFaultError extends Error {
  override readonly name = 'TopicFaultError';
}

/** The broker cannot be reached or did not answer: worth a retry of the same batch. */
export class BrokerFaultError extends Error {
  override readonly name = 'BrokerFaultError';
}

/** Producer for one topic. */
export interface KafkaProducer {
  readonly topic: string;
  /** Resolves when connected and the topic exists; rejects with one of the faults above, or with the signal's reason at once. */
  connect(signal?: AbortSignal): Promise<void>;
  /**
   * Resolves when every record is acknowledged by all in-sync replicas, in order. Rejects with a fault when any is
   * not; some of the batch may then be in Kafka all the same (a retry repeats them).
   */
  send(records: readonly KafkaRecord[]): Promise<void>;
  health(signal: AbortSignal): Promise<DependencyHealth>;
  disconnect(): Promise<void>;
}

/** Consumer of one topic in one group. */
export interface KafkaConsumer {
  readonly topic: string;
  /**
   * Calls `handle` with each batch in offset order. The offsets are committed after it resolved; a rejection repeats
   * the batch after a backoff.
   */
  start(handle: (records: readonly ConsumedRecord[]) => Promise<void>): Promise<void>;
  health(signal: AbortSignal): Promise<DependencyHealth>;
  /** Finishes the batch under way, commits, leaves the group. Ends a start under way. Every call waits for the same stop. */
  stop(): Promise<void>;
}
