/**
 * How many peers are kept. Go's connection manager lets the count pass a high mark and then closes the least valued
 * down to a low one, sparing those younger than a grace period; libp2p here only has a ceiling at which it refuses whoever comes. So it
 * has none, the gater has one well above (see admission.ts), and the trimming is done here.
 */

import type { Connection, Libp2p, PeerId } from '@libp2p/interface';
import { Repeating } from '../../../shared/async/repeat.js';
import { libraryTime } from '../../../shared/clock.js';
import { errorMessage } from '../../../shared/errors.js';
import type { Logger } from '../../../shared/logging/logger.js';
import { AddressList } from '../../../shared/net/ip.js';
import type { Settings } from '../../../shared/settings/table.js';
import { multiaddrHost } from '../addresses/multiaddrs.js';
import type { PeripheryMetrics } from '../metrics/periphery-metrics.js';
import { closeConnection } from './closing-connections.js';

/** Go's marks are 25 and 35. */
const LOW_SHARE = 25 / 35;
const GRACE_MS = 20_000;
const TRIM_INTERVAL_MS = 10_000;
/** Connections of one peer. A Go node keeps two or three: TCP over both IP versions, a relayed one. */
const CONNECTIONS_A_PEER = 8;

export interface ConnectionMarks {
  readonly low: number;
  readonly high: number;
  /** Inbound connections at the most, before the trimming comes by. */
  readonly ceiling: number;
}

/** The marks for `p2p_max_connections`, with room for `configured` static and bootstrap peers besides. */
export function connectionMarks(
  settings: Pick<Settings, 'p2p_max_connections'>,
  configured: number,
): ConnectionMarks {
  const high = settings.p2p_max_connections;
  return { low: Math.max(1, Math.floor(high * LOW_SHARE)), high, ceiling: high * 2 + configured + 16 };
}

/**
 * libp2p's `connectionManager` options. Its own inbound limits (connections, pending ones, new ones a second and host) precede the gater, know
 * neither sources nor exemptions, and count nothing: they stand aside for admission.ts.
 */
export function connectionManagerLimits(): {
  maxConnections: number;
  inboundConnectionThreshold: number;
  maxIncomingPendingConnections: number;
} {
  return {
    maxConnections: Number.POSITIVE_INFINITY,
    inboundConnectionThreshold: Number.POSITIVE_INFINITY,
    maxIncomingPendingConnections: Number.POSITIVE_INFINITY,
  };
}

/** Of one peer's connections the youngest, where there are too many. */
function beyondAPeersShare(connections: readonly Connection[]): Connection[] {
  return [...connections].sort((a, b) => a.timeline.open - b.timeline.open).slice(CONNECTIONS_A_PEER);
}

export interface ConnectionTrimmerComponents {
  readonly libp2p: Pick<Libp2p, 'getConnections' | 'peerStore'>;
  readonly logger: Logger;
  readonly metrics: Pick<PeripheryMetrics, 'connectionsTrimmed'>;
}

export interface ConnectionTrimmerOptions {
  readonly marks: ConnectionMarks;
  /** Static, bootstrap and allow-listed peers: never closed, not counted. */
  readonly isProtected: (peerId: string) => boolean;
  /** `p2p_allowed_addresses`: likewise. */
  readonly allowedAddresses?: readonly string[];
  /**
   * Worth of a peer besides its tags, higher is kept.
   * @default 0
   */
  readonly worthOf?: (peerId: string) => number;
  /**
   * Younger connections are spared, ms.
   * @default 20,000
   */
  readonly graceMs?: number;
  /**
   * Milliseconds between looks.
   * @default 10,000
   */
  readonly intervalMs?: number;
}

export class ConnectionTrimmer {
  readonly #components: ConnectionTrimmerComponents;
  readonly #options: ConnectionTrimmerOptions;
  readonly #allowed: AddressList;
  readonly #looks: Repeating;
  #running = false;

  constructor(components: ConnectionTrimmerComponents, options: ConnectionTrimmerOptions) {
    this.#components = components;
    this.#options = options;
    this.#allowed = new AddressList(options.allowedAddresses ?? []);
    this.#looks = new Repeating(
      async () => {
        await this.trim();
      },
      {
        everyMs: options.intervalMs ?? TRIM_INTERVAL_MS,
        onError: (error) =>
          components.logger.warn({ error: errorMessage(error) }, 'could not trim connections'),
      },
    );
  }

  start(): void {
    this.#looks.start();
  }

  stop(): void {
    void this.#looks.stop();
  }

  /** One look. Resolves with how many peers were let go. */
  async trim(): Promise<number> {
    if (this.#running) return 0;
    this.#running = true;
    try {
      return await this.#trim();
    } finally {
      this.#running = false;
    }
  }

  async #trim(): Promise<number> {
    const { marks, graceMs = GRACE_MS } = this.#options;
    const peers = new Map<string, Connection[]>();
    for (const connection of this.#components.libp2p.getConnections()) {
      const id = connection.remotePeer.toString();
      peers.set(id, [...(peers.get(id) ?? []), connection]);
    }
    const counted = [...peers.values()].filter((ofPeer) => !ofPeer.some((each) => this.#isProtected(each)));
    await Promise.all(counted.flatMap(beyondAPeersShare).map((connection) => this.#close(connection)));
    if (counted.length <= marks.high) return 0;
    const youngest = libraryTime() - graceMs;
    const valued = await Promise.all(
      counted.map(async (connections) => ({
        connections,
        since: Math.min(...connections.map(({ timeline }) => timeline.open)),
        value: await this.#value(connections[0]?.remotePeer),
      })),
    );
    const old = valued.filter(({ since }) => since <= youngest);
    old.sort((a, b) => a.value - b.value || b.since - a.since);
    // As Go does: the young are not made room for, or a crowd of newcomers would cost everybody else's place.
    const closing = old.slice(0, Math.max(0, old.length - marks.low));
    const connections = closing.flatMap((peer) => peer.connections);
    await Promise.all(connections.map((connection) => this.#close(connection)));
    return closing.length;
  }

  #isProtected(connection: Connection): boolean {
    if (this.#options.isProtected(connection.remotePeer.toString())) return true;
    const host = multiaddrHost(connection.remoteAddr);
    return host?.kind === 'ip' && this.#allowed.has(host.address);
  }

  async #value(peerId: PeerId | undefined): Promise<number> {
    if (peerId === undefined) return 0;
    let value = this.#options.worthOf?.(peerId.toString()) ?? 0;
    try {
      const peer = await this.#components.libp2p.peerStore.get(peerId);
      for (const tag of peer.tags.values()) value += tag.value;
    } catch {
      // Not in the store: no tags.
    }
    return value;
  }

  async #close(connection: Connection): Promise<void> {
    this.#components.metrics.connectionsTrimmed.inc();
    this.#components.logger.debug(
      { peer: connection.remotePeer.toString() },
      'too many connections: closing one',
    );
    await closeConnection(connection);
  }
}
