/**
 * What `GET /api/status` answers, and the page shows. Main makes it. Everybody may read it: no addresses are in it, neither of
 * peers nor of the services around the node, and nothing that those services said.
 */

import type { DependencyHealth } from './health.js';
import type { Shown } from './messages/shown.js';

export interface NodeStatusReport {
  readonly node: {
    /** Base58 peer ID. */
    readonly id: string;
    /** `clientName`. */
    readonly name: string;
    readonly version: string;
    readonly network: string;
    readonly generation: 'first' | 'current';
    readonly listenMode: 'full' | 'listen_only' | 'silent';
    /** Unix ms. */
    readonly startedAt: number;
    /** Seconds. */
    readonly uptime: number;
    /** Of our best block; 0 while unknown. */
    readonly height: number;
    /** Display order; empty while unknown. */
    readonly bestBlock: string;
    /** State of the blockchain service; empty while unknown. */
    readonly fsmState: string;
    /** Whether the feed says PING every 10 s: while it is silent for longer, it is broken. */
    readonly textPing: boolean;
  };
  readonly peers: readonly PeerStatus[];
  /** Kinds of the feed's frames, in the order in which they are listed. */
  readonly kinds: readonly FrameKind[];
  /** The peer from which the node catches up; absent while it does not. */
  readonly sync?: SyncStatus;
  /** Which dependencies are well. Why one is not, the health port says. */
  readonly health: PublicHealth;
  /** Running totals, by a name a person reads, such as "messages accepted". */
  readonly counters: Readonly<Record<string, number>>;
  /** Unix ms when this was made. */
  readonly at: number;
}

/** A kind of frames, and how a person is shown them. */
interface FrameKind extends Partial<Shown> {
  /** What a frame has as its `type`. */
  readonly name: string;
}

interface PeerStatus {
  /** Base58 peer ID. */
  readonly id: string;
  /** What the peer calls itself; empty while unknown. */
  readonly name: string;
  /** Told by the peer; 0 while unknown. */
  readonly height: number;
  readonly banScore: number;
  readonly inbound: boolean;
  /** Unix ms. */
  readonly connectedAt: number;
  readonly messagesReceived: number;
  /** Round trip in ms; absent before the first ping. */
  readonly pingMs?: number;
}

interface SyncStatus {
  /** Base58 peer ID. */
  readonly id: string;
  /** What the peer calls itself; empty while unknown. */
  readonly name: string;
  /** Told by the peer. */
  readonly height: number;
  /** Unix ms. */
  readonly since: number;
}

interface PublicHealth {
  readonly status: 200 | 503;
  readonly dependencies: readonly Pick<DependencyHealth, 'resource' | 'status'>[];
}
