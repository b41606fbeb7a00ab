/**
 * Of several connections to one peer, one is kept. Two nodes that dial one another at once have two; so has who met through a relay
 * and then found a direct way, or is reached over IPv4 and IPv6. Both ends keep the same one: each closing the other's would leave
 * none. The rest are closed once the kept one has gossip streams both ways.
 *
 * A Go node keeps several, and opens its stream on whichever it likes: where that is not the kept one, all stay. Nor is a peer fought that
 * comes with one more connection again and again.
 */

import type { Connection } from '@libp2p/interface';
import { KeyedRate } from '../../../shared/async/keyed-rate.js';
import type { Logger } from '../../../shared/logging/logger.js';
import { isRelayed } from '../addresses/multiaddrs.js';
import type { NodeMetrics } from '../metrics/node-metrics.js';
import { closeConnection } from './closing-connections.js';

/** Connections closed beside one that is kept; past it several are left. Two nodes that meet make two or three at the worst. */
const CLOSINGS = { perSecond: 1 / 600, burst: 5, maxKeys: 10_000 };
/** As long nothing is closed: who has dialled it is told of a connection that is open. */
const SPARED_MS = 200;
/** For what still goes over a connection that is not kept, ms. */
const WAIT_MS = 5_000;
/** Other peers' connections go through these, for as long as the relay allows. */
const RELAYING = '/libp2p/circuit/relay/';

/**
 * The connection that both ends keep, of those to one peer: a direct one before a relayed one; then one that was dialled by the peer with
 * the smaller ID (base58 text, by code unit); of several from the same dialler the one on which that dialler has its gossip stream,
 * and before there is one the oldest. Both ends see the same of all this, save which is the oldest when two open at once: there the
 * other end follows the dialler's stream.
 *
 * @param self our own ID, base58.
 * @param carries whether the gossip stream of the end that dialled the connection is on it.
 */
export function keptConnection(
  connections: readonly Connection[],
  self: string,
  carries: (connection: Connection) => boolean,
): Connection | undefined {
  const ranked = connections.map((connection) => {
    const dialledByUs = connection.direction === 'outbound';
    const weAreSmaller = self < connection.remotePeer.toString();
    return {
      connection,
      rank:
        (isRelayed(connection.remoteAddr) ? 4 : 0) +
        (dialledByUs === weAreSmaller ? 0 : 2) +
        (carries(connection) ? 0 : 1),
    };
  });
  ranked.sort((a, b) => a.rank - b.rank || a.connection.timeline.open - b.connection.timeline.open);
  return ranked[0]?.connection;
}

export interface DuplicateConnectionsComponents {
  readonly logger: Logger;
  readonly metrics: Pick<NodeMetrics, 'duplicateConnections'>;
}

export class DuplicateConnections {
  readonly #components: DuplicateConnectionsComponents;
  readonly #closings = new KeyedRate(CLOSINGS);
  /** When the kept connection was first seen to be all that is needed; monotonic, ms. */
  readonly #settled = new WeakMap<Connection, number>();
  /** When a connection was first seen; monotonic, ms. */
  readonly #seen = new WeakMap<Connection, number>();
  readonly #decided = new WeakSet<Connection>();

  constructor(components: DuplicateConnectionsComponents) {
    this.#components = components;
  }

  /** Closes those of a peer's connections that are not needed. `settled`: the kept one has gossip streams both ways. */
  look(kept: Connection, connections: readonly Connection[], settled: boolean): void {
    const now = performance.now();
    for (const connection of connections) {
      if (!this.#seen.has(connection)) this.#seen.set(connection, now);
    }
    if (!settled) {
      this.#settled.delete(kept);
      return;
    }
    if (connections.length < 2) return;
    const since = this.#settled.get(kept) ?? now;
    this.#settled.set(kept, since);
    for (const connection of connections) {
      if (connection === kept || connection.status !== 'open' || this.#decided.has(connection)) continue;
      const { streams } = connection;
      if (streams.some(({ protocol }) => protocol.startsWith(RELAYING))) continue;
      if (now < (this.#seen.get(connection) ?? now) + SPARED_MS) continue;
      // Gossip that is on its way, a request that waits for its answer.
      if (streams.length > 0 && now < since + WAIT_MS) continue;
      this.#decided.add(connection);
      this.#close(kept, connection);
    }
  }

  #close(kept: Connection, connection: Connection): void {
    const { logger, metrics } = this.#components;
    const peer = connection.remotePeer.toString();
    if (!this.#closings.take(kept.id)) {
      metrics.duplicateConnections.inc({ outcome: 'left' });
      logger.debug({ peer }, 'comes back with one more connection each time: it is left');
      return;
    }
    metrics.duplicateConnections.inc({ outcome: 'closed' });
    logger.debug({ peer, address: connection.remoteAddr.toString() }, 'closing a second connection');
    void closeConnection(connection);
  }
}
