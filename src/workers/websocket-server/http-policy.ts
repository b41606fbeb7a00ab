/** How much HTTP one source may ask of this process, before and besides the WebSockets that `Admission` counts. */

import { KeyedRate } from '../../shared/async/keyed-rate.js';
import { ConnectionLedger, type ConnectionLimits } from '../../shared/net/connection-ledger.js';
import { AddressList, sourceOf } from '../../shared/net/ip.js';
import { trustedSources } from '../../shared/net/sources.js';
import { QUEUES } from '../../shared/queues.js';
import { displacedBy, type Occupant } from './displacement.js';

/** Connections that are no WebSocket yet, at the least; one source may have a twentieth. */
const MIN_CONNECTIONS = QUEUES.feedConnections.bounds.speaking;
/** Of one source, handshakes too: a page is some ten files, and a dashboard asks for the status every few seconds. */
const REQUESTS = { perSecond: 50, burst: 200, maxKeys: 10_000 } as const;

const HOLDER = 'http';

export class HttpPolicy {
  readonly #connections: ConnectionLedger;
  /** The eldest first. */
  readonly #visitors = new Set<Occupant>();
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

  /**
   * Counts a connection from `address` until what is given back is called: it has become a WebSocket or is gone. Undefined: it may not stay. `close`: is called, if
   * ever, where one from a source with fewer takes its place.
   */
  enter(address: string, close: () => void): (() => void) | undefined {
    const ledger = this.#connections;
    if (!ledger.admit(HOLDER, address)) {
      if (!ledger.hasShare(address)) return undefined;
      displacedBy(address, { ledger, all: this.#visitors })?.go();
      if (!ledger.admit(HOLDER, address)) return undefined;
    }
    const leave = () => {
      if (this.#visitors.delete(visitor)) ledger.release(HOLDER, address);
    };
    const visitor: Occupant = {
      from: ledger.provenance(address),
      go: () => {
        leave();
        close();
      },
    };
    this.#visitors.add(visitor);
    return leave;
  }

  /** Whether one more request of this source is answered now. */
  admits(address: string): boolean {
    return this.#trusted.has(address) || this.#requests.take(sourceOf(address));
  }
}
