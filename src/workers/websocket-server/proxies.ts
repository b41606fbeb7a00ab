/** Whose word is taken for where a request comes from. */

import { AddressList, canonicalIp } from '../../shared/net/ip.js';
import { valuesOf } from './handshake.js';
import type { HttpRequest } from './transport/index.js';

/** An address as proxies write it: with a port or without, IPv6 in brackets or not; undefined: none. */
function addressIn(hop: string): string | undefined {
  const text = hop.trim().replace(/^"(.*)"$/, '$1');
  return canonicalIp(text) ?? canonicalIp(/^(\[.*\]|[^:]*):\d+$/.exec(text)?.[1] ?? '');
}

/** Nearest last: of `X-Forwarded-For`, or, where there is none, of `Forwarded` (RFC 7239). */
function hopsOf(request: HttpRequest): string[] {
  const list = (name: string) => valuesOf(request, name).flatMap((value) => value.split(','));
  const forwardedFor = list('x-forwarded-for');
  if (forwardedFor.length > 0) return forwardedFor;
  return list('forwarded').map((element) => /(?:^|;)\s*for=([^;]*)/i.exec(element)?.[1] ?? '');
}

export class TrustedProxies {
  readonly #trusted: AddressList;

  /** `p2p_websocket_trusted_proxies`. Throws RangeError on an entry that does not parse. */
  constructor(proxies: readonly string[]) {
    this.#trusted = new AddressList(proxies);
  }

  /**
   * The address that a request comes from: the connection's; behind a trusted proxy the nearest hop that is none. A hop that is no
   * address says nothing of what is behind it, so there the proxy that wrote it stands for its clients.
   */
  clientOf(request: HttpRequest): string {
    let client = request.address;
    for (const hop of hopsOf(request).reverse()) {
      if (!this.#trusted.has(client)) break;
      const address = addressIn(hop);
      if (address === undefined) break;
      client = address;
    }
    return client;
  }
}
