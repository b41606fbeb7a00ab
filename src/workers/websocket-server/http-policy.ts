/** How much HTTP one source may ask of this process, before and besides the WebSockets that `Admission` counts. */

import { KeyedRate } from '../../shared/async/keyed-rate.js';
import {
  ConnectionLedger,
  type ConnectionLimits,
  trustedSources,
} from '../../shared/net/connection-ledger.js';
import { AddressList, sourceOf } from '../../shared/net/ip.js';

/** Connections that are no WebSocket yet, at the least; one source may have a twentieth. */
const MIN_CONNECTIONS = 1000;
/** Of one source, handshakes too: a page is some ten files, and a dashboard asks for the status every few seconds. */
const REQUESTS = { perSecond: 50, burst: 200, maxKeys: 10_000 } as const;

const HOLDER = 'http';

export class HttpPolicy {
  readonly #connections: ConnectionLedger;
  readonly #requests = new KeyedRate(REQUESTS);
  readonly #trusted: AddressList;

  /** `limits` of WebSockets: as many may come at once as may stay. The connections of `proxies` are those of many sources. */
  constructor(limits: ConnectionLimits, proxies: readonly string[]) {
    this.#connections = new ConnectionLedger({
      max: Math.max(limits.max, MIN_CONNECTIONS),
      // A source that may hold any number of WebSockets may also open them at once.
      perSource: Math.min(limits.perSource ?? 0, 0),
      trusted: [...trustedSources(limits.trusted), ...proxies],
    });
    this.#trusted = new AddressList(trustedSources(limits.trusted));
  }

  /** Whether a connection from `address` may stay until it has become a WebSocket or is gone. */
  enter(address: string): boolean {
    return this.#connections.admit(HOLDER, address);
  }

  leave(address: string): void {
    this.#connections.release(HOLDER, address);
  }

  /** Whether one more request of this source is answered now. */
  admits(address: string): boolean {
    return this.#trusted.has(address) || this.#requests.take(sourceOf(address));
  }
}
