/** Peers that stay connected without a gossip stream: their connections are closed, and made anew if one of them was dialled from here. */

import type { PeerId } from '@libp2p/interface';
import type { ConnectionManager } from '@libp2p/interface-internal';
import { deadlineSignal } from '../../../shared/async/deadline.js';
import { KeyedRate } from '../../../shared/async/keyed-rate.js';
import { errorMessage } from '../../../shared/errors.js';
import type { Logger } from '../../../shared/logging/logger.js';
import { closeConnection } from '../connections/closing-connections.js';
import type { WarnOfPeer } from '../connections/peer-warnings.js';
import type { NodeMetrics } from '../metrics/node-metrics.js';

/** Of one peer. */
const CLOSINGS = { perSecond: 1 / 600, burst: 1, maxKeys: 10_000 };
const REDIAL_TIMEOUT_MS = 10_000;

export interface DeafPeersComponents {
  readonly logger: Logger;
  readonly warn: WarnOfPeer;
  readonly metrics: Pick<NodeMetrics, 'deafPeers'>;
}

export class DeafPeers {
  readonly #components: DeafPeersComponents;
  readonly #closings = new KeyedRate(CLOSINGS);

  constructor(components: DeafPeersComponents) {
    this.#components = components;
  }

  /** Closes the connections to a peer, once in ten minutes at the most. `missing`: whose stream. */
  renew(
    peerId: PeerId,
    missing: 'ours' | 'its' | 'both',
    connectionManager: Pick<ConnectionManager, 'getConnections' | 'openConnection'>,
  ): void {
    const { metrics, warn, logger } = this.#components;
    const peer = peerId.toString();
    if (!this.#closings.take(peer)) return;
    metrics.deafPeers.inc();
    warn({ peer, missing }, 'connected without a gossip stream: connection closed, to be made anew');
    const connections = connectionManager.getConnections(peerId);
    const dialled = connections.some(({ direction }) => direction === 'outbound');
    Promise.all(connections.map(closeConnection))
      .then(async () => {
        if (!dialled) return;
        await connectionManager.openConnection(peerId, { signal: deadlineSignal(REDIAL_TIMEOUT_MS) });
      })
      .catch((error: unknown) => {
        logger.debug({ peer, error: errorMessage(error) }, 'not dialled again');
      });
  }
}
