/** What the owner of a journal decides about it. */

import type { FileCalls } from './files.js';
import type { EpochStart } from './head.js';
import type { Clocks } from './steady-age.js';

export interface JournalOptions {
  /** Made when missing. */
  readonly directory: string;
  /** Wait for the disk with every batch (`p2p_outbox_fsync`). */
  readonly fsync: boolean;
  /** Bytes and age, ms, of a segment from which on the next batch begins another. */
  readonly segmentBytes: number;
  readonly segmentMs: number;
  /** Age, ms, and bytes in all from which on the oldest segments go (`p2p_feed_retention`, `p2p_feed_retention_bytes`). */
  readonly retentionMs: number;
  readonly retentionBytes: number;
  /** Announcements that are found again at the next start: the newest `max` of `windowMs`. No segment goes that has one of them. */
  readonly repeats: { readonly windowMs: number; readonly max: number };
  /** Numbers of the first entry of a journal that is new. */
  readonly birth?: EpochStart;
  /** What tells this run of the machine from others; asked of the system unless given. */
  readonly boot?: string;
  readonly files?: FileCalls;
  readonly clocks?: Clocks;
}
