/** Requests of strangers that are served at once, each on a stream: so many in all, and of one peer and one source. */

import type { Connection } from '@libp2p/interface';
import { isLoopbackAddress } from '../../../shared/net/ip.js';
import { type Holder, Shares } from '../../../shared/net/shares.js';
import { isRelayed, multiaddrHost, multiaddrSource } from '../addresses/multiaddrs.js';

export interface StreamShares {
  /** Served at once, of all peers. */
  readonly slots: number;
  /** Of one peer, over all its connections. */
  readonly peer: number;
  /** Of one address, IPv6 /64 or relay. */
  readonly source: number;
}

/** Why a stream was cut: newer ones took its place. */
export class GaveWayError extends Error {
  override readonly name = 'GaveWayError';
}

export class ServedStreams {
  readonly #shares: Shares<AbortController>;
  readonly #limits: StreamShares;

  constructor(limits: StreamShares) {
    this.#limits = limits;
    this.#shares = new Shares({ slots: limits.slots, givesWay: 'eldest' });
  }

  /** Does `work` in a slot of the connection's. Its signal aborts with GaveWayError when the slot is needed. Rejects as `work` does. */
  async serve(connection: Connection, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const slot = new AbortController();
    for (const { item } of this.#shares.take(slot, this.#holders(connection))) {
      item.abort(new GaveWayError('others have taken the place of this stream'));
    }
    try {
      await work(slot.signal);
    } finally {
      this.#shares.release(slot);
    }
  }

  /** Loopback is no source: behind a proxy on this machine everybody is there. */
  #holders({ remotePeer, remoteAddr }: Connection): Holder[] {
    const peer = { name: `peer ${remotePeer}`, share: this.#limits.peer };
    const host = multiaddrHost(remoteAddr);
    const isLocal = host?.kind === 'ip' && isLoopbackAddress(host.address) && !isRelayed(remoteAddr);
    const source = isLocal ? undefined : multiaddrSource(remoteAddr);
    return source === undefined ? [peer] : [peer, { name: source, share: this.#limits.source }];
  }
}
