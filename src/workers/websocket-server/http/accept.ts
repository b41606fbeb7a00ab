/** What a client takes (RFC 9110, section 12.5). */

import { valuesOf } from '../handshake.js';
import type { HttpRequest } from '../transport/index.js';

/** The members of a list with their weights, 1 where none is told, in lower case. */
function weighted(request: HttpRequest, name: string): Map<string, number> {
  const found = new Map<string, number>();
  for (const member of valuesOf(request, name).join(',').split(',')) {
    const [token = '', ...parameters] = member.split(';').map((each) => each.trim().toLowerCase());
    if (token === '') continue;
    const weight = parameters.find((each) => each.startsWith('q='))?.slice(2);
    found.set(token, weight === undefined ? 1 : Number(weight) || 0);
  }
  return found;
}

/** Whether an answer may be compressed with gzip, and would not rather be as it is. */
export function takesGzip(request: HttpRequest): boolean {
  const codings = weighted(request, 'accept-encoding');
  const gzip = codings.get('gzip') ?? codings.get('x-gzip') ?? codings.get('*') ?? 0;
  return gzip > 0 && gzip >= (codings.get('identity') ?? 0);
}

/** Whether an answer of the media type `type` is taken. */
export function takesType(request: HttpRequest, type: string): boolean {
  const types = weighted(request, 'accept');
  if (types.size === 0) return true;
  const [family] = type.split('/');
  return (types.get(type) ?? types.get(`${family}/*`) ?? types.get('*/*') ?? 0) > 0;
}
