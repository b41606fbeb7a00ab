/** A request's target in its four forms (RFC 9112, section 3.2): a path, an absolute URL as proxies send it, `host:port`, or `*`. */

/** Scheme and authority of an absolute URL (RFC 3986, section 3). */
const BEFORE_PATH = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i;

/** The path, `/` where a target has none, and the query behind it; empty: none. */
export function targetOf(target: string): { path: string; query: string } {
  const local = target.replace(BEFORE_PATH, '');
  const mark = local.indexOf('?');
  const path = mark === -1 ? local : local.slice(0, mark);
  return {
    path: path.startsWith('/') || path === '*' ? path : '/',
    query: mark === -1 ? '' : local.slice(mark + 1),
  };
}
