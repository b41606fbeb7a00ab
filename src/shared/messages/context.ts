/** What checks go by besides the message. */

import type { RecordFormat } from './kafka-topic.js';

/** The settings-derived facts that checks need; plain data, so that it crosses threads. */
export interface CheckContext {
  readonly allowPrivateUrls: boolean;
  /** Lower-case hosts whose data hub URLs are ignored. */
  readonly blacklistedHosts: readonly string[];
  /** Easiest compact target of the network. */
  readonly powLimitBits: number;
  /** Compact target of our tip; 0 while unknown. */
  readonly tipBits: number;
  /** The network allows blocks of the easiest target at any time, whatever the tip's. */
  readonly allowsMinimumDifficulty: boolean;
  /** The first generation's frames lack what the current one's always carry. */
  readonly generation: 'first' | 'current';
  /** The message is this node's: its data hub may be where it likes. */
  readonly own: boolean;
  readonly recordFormat: RecordFormat;
  /**
   * Texts with escapes or beyond ASCII are not to be read: `checkMessage` throws NOT_PLAIN at the first.
   * @default false
   */
  readonly plainOnly?: true;
}
