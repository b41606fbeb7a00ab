/** What a request must be like, whatever the transport lets through. */

import type { HttpRequest } from './transport/index.js';

/** The first header of this name; empty: none. */
export function headerOf({ headers }: HttpRequest, name: string): string {
  return headers.find(([each]) => each === name)?.[1] ?? '';
}

/** The values of all headers of this name. */
export function valuesOf({ headers }: HttpRequest, name: string): string[] {
  return headers.filter(([each]) => each === name).map(([, value]) => value.trim());
}

function hasToken(request: HttpRequest, name: string, token: string): boolean {
  return valuesOf(request, name).some((value) =>
    value.split(',').some((each) => each.trim().toLowerCase() === token),
  );
}

/** Why a request's framing cannot be trusted (RFC 9112, sections 3.2, 6.1 and 6.3); undefined: it can. */
export function framingFault(request: HttpRequest): string | undefined {
  const lengths = new Set(valuesOf(request, 'content-length'));
  if (lengths.size > 1) return 'more than one Content-Length';
  for (const length of lengths) if (!/^\d{1,15}$/.test(length)) return 'bad Content-Length';
  if (lengths.size > 0 && valuesOf(request, 'transfer-encoding').length > 0)
    return 'both Content-Length and Transfer-Encoding';
  if (valuesOf(request, 'host').length > 1) return 'more than one Host';
  return undefined;
}

/** Why a request is no opening handshake (RFC 6455, section 4.2.1), with the status that says so; undefined: it is one. */
export function handshakeFault(request: HttpRequest): { status: 400 | 426; why: string } | undefined {
  if (!hasToken(request, 'upgrade', 'websocket') || !hasToken(request, 'connection', 'upgrade'))
    return { status: 426, why: 'WebSocket only' };
  const versions = valuesOf(request, 'sec-websocket-version');
  if (versions.length !== 1 || versions[0] !== '13') return { status: 426, why: 'WebSocket version 13 only' };
  const keys = valuesOf(request, 'sec-websocket-key');
  // Sixteen bytes: the last of 22 digits has four bits that stand for nothing.
  if (keys.length !== 1 || !/^[+/0-9A-Za-z]{21}[AQgw]==$/.test(keys[0] ?? ''))
    return { status: 400, why: 'bad Sec-WebSocket-Key' };
  return undefined;
}
