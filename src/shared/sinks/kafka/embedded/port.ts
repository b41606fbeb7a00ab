/** What the embedded broker offers, in the owner's thread and through the socket alike. */

import type { ConsumedRecord, KafkaRecord } from '../types.js';

export interface TopicSpec {
  readonly topic: string;
  readonly partitions: number;
  /** Milliseconds; -1 keeps records until the broker's own bound. */
  readonly retentionMs: number;
}

/** A topic as it stands. Offsets are where the oldest kept record is, and where the next will be. */
export interface TopicState extends TopicSpec {
  readonly offsets: readonly { readonly oldest: number; readonly next: number }[];
}

export interface JoinRequest {
  readonly group: string;
  readonly topic: string;
  /** Where a group that has no offset yet starts. */
  readonly fromOldest: boolean;
}

export interface ReadRequest {
  readonly topic: string;
  readonly partition: number;
  /** Below the oldest kept: reading starts there. */
  readonly offset: number;
  /** At least one batch is given, however large. */
  readonly maxBytes: number;
  /** How long to wait for a record when there is none. */
  readonly waitMs: number;
}

/**
 * Rejects with BrokerFaultError, TopicFaultError or RecordFaultError. Members belong to whoever joined: when a
 * connection breaks its members are gone.
 */
export interface BrokerPort {
  /** Makes the topic unless it is there. An existing one keeps its partitions; retention follows the newest call. */
  createTopic(spec: TopicSpec): Promise<void>;
  topics(): Promise<readonly TopicState[]>;
  /** Resolves once all records are stored. All or none: one that is too large refuses the call. */
  produce(topic: string, records: readonly KafkaRecord[]): Promise<void>;
  /** Reads without a group. */
  read(request: ReadRequest): Promise<readonly ConsumedRecord[]>;
  /** Becomes a member of the group; resolves with the member's id. */
  join(request: JoinRequest): Promise<number>;
  /** The next uncommitted records of one of the member's partitions; empty when none came within `waitMs`. */
  poll(member: number, maxBytes: number, waitMs: number): Promise<readonly ConsumedRecord[]>;
  /** `next` is the offset after the last one done. False when the partition has meanwhile gone to another member. */
  commit(member: number, partition: number, next: number): Promise<boolean>;
  leave(member: number): Promise<void>;
}
