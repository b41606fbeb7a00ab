/** What is particular to a kind of message is one object of this type in one file of this folder. */

import type { CheckContext } from './context.js';
import type { PeerFact } from './fact.js';
import type { FrameLayout } from './frame-fields.js';
import type { AnnouncedRecord } from './record.js';
import type { Shown } from './shown.js';
import type { GossipTopicSetting } from './topic-setting.js';
import type { WireField } from './wire-fields.js';

export interface MessageKind<M = unknown, K extends string = string> {
  /** What the kind is called on disk and between threads: 1 to 255, never another's, also of a kind that is gone. */
  readonly id: number;
  /** In frames, metric labels, the command line and the documentation. */
  readonly name: string;
  /** The setting that names its gossip topic. */
  readonly topic: GossipTopicSetting<K>;
  /** Bytes of inner JSON at the most. */
  readonly sizeBound: number;
  /**
   * Bytes of inner JSON that the newest nodes take of it (WIRE §8), where that is less: what is larger is taken, not passed on, and
   * not sent.
   */
  readonly forwardBound?: number;
  /** The fields on the wire, in the order in which they are sent; empty where any JSON will do. */
  readonly wire: readonly WireField[];
  /** Shed order within one source: the lowest goes first. */
  readonly priority: number;
  /**
   * Whether main may check small plain messages of it while it is quiet: what this file does with one costs the time of its bytes and can
   * neither hang nor end a thread.
   * @default never
   */
  readonly atHome?: true;
  /** Whether the same announcement within 10 minutes is a repeat. */
  readonly repeats: boolean;
  /**
   * Whether this node publishes messages of it. `news`: while its chain is RUNNING and `listen_mode` is `full`; `status`: in every state, and
   * with `listen_only` too.
   * @default never
   */
  readonly published?: 'news' | 'status';
  /** Ignored of peers whose reputation is below 20. */
  readonly needsReputation?: true;
  /** The message, its fields held to their bounds; throws Refusal. */
  decode(message: M, context: CheckContext): M;
  /** The `PeerId` the message claims; empty where the kind has none. */
  originator(message: M): string;
  /** Hash and URL that identify the announcement, empty where not meant. */
  identity(message: M): { readonly hash: string; readonly url: string };
  /**
   * Whether the message, decoded, carries the proof that work was spent on its hash.
   * @default never
   */
  proven?(message: M): boolean;
  /** The header of the block that the message, decoded, announces: 160 hex digits, checked, or empty. */
  header?(message: M): string;
  /** The WebSocket frame, whose `type` is the name; a kind without has no frames. */
  readonly frame?: FrameLayout<M>;
  /**
   * How a person is shown its frames.
   * @default as one of a kind that nobody knows
   */
  readonly shown?: Shown;
  record?(message: M, context: CheckContext): AnnouncedRecord;
  fact?(message: M): PeerFact | undefined;
}

/** Bytes of inner JSON of a kind that every node takes: what is larger does not leave this one. */
export function forwardBoundOf(kind: Pick<MessageKind, 'sizeBound' | 'forwardBound'>): number {
  return kind.forwardBound ?? kind.sizeBound;
}
