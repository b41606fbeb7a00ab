/** What `GET /api/status` answers, and the page shows. Main makes it; no addresses of peers are in it. */

import type { HealthReport } from './health.js';

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
  };
  readonly peers: readonly PeerStatus[];
  readonly health: HealthReport;
  /** Running totals, by a name a person reads, such as "messages accepted". */
  readonly counters: Readonly<Record<string, number>>;
  /** Unix ms when this was made. */
  readonly at: number;
}

export interface PeerStatus {
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
