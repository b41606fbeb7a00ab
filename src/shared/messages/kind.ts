/** What is particular to a kind of message is one object of this type in one file of this folder. */

import type { OutcomeName } from '../pipeline/outcomes.js';
import type { AnnouncedRecord, PeerFact } from '../pipeline/types.js';
import type { SettingKey } from '../settings/table.js';
import type { Fields } from './fields.js';

/** The settings-derived facts that checks need; plain data, so that it crosses threads. */
export interface CheckContext {
  readonly allowPrivateUrls: boolean;
  /** Lower-case hosts whose data hub URLs are ignored. */
  readonly blacklistedHosts: readonly string[];
  /** Easiest compact target of the network. */
  readonly powLimitBits: number;
  /** Compact target of our tip; 0 while unknown. */
  readonly tipBits: number;
  readonly recordFormat: 'protobuf' | 'raw';
}

/** Thrown by a decoder or check: the message becomes this outcome. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  constructor(
    readonly outcome: OutcomeName,
    message: string,
  ) {
    super(message);
  }
}

/** A text field of a frame is left out when empty, a number when 0. */
export type FrameFields = Readonly<Record<string, unknown>>;

export interface MessageKind<M = unknown> {
  /** Metric label, WebSocket filter and documentation name. */
  readonly name: string;
  /** Setting that names the topic. */
  readonly topicSetting: SettingKey;
  /** Bytes of inner JSON at the most. */
  readonly sizeBound: number;
  /** Shed order within one source: the lowest goes first. */
  readonly priority: number;
  /** Whether the same announcement within 10 minutes is a repeat. */
  readonly repeats: boolean;
  /** Reads and bounds the fields; throws Refusal. */
  decode(fields: Fields, context: CheckContext): M;
  /** The `PeerId` the message claims; empty where the kind has none. */
  originator(message: M): string;
  /** Hash and URL that identify the announcement, empty where not meant. */
  identity(message: M): { readonly hash: string; readonly url: string };
  /** The WebSocket frame without `timestamp`, or undefined for none. */
  frame?(message: M): FrameFields;
  record?(message: M, context: CheckContext): AnnouncedRecord;
  fact?(message: M): PeerFact | undefined;
}
