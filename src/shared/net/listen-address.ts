/** Addresses as Go writes them for listening and dialling: `host:port`, `:port`, `[v6]:port`. */

import { isIP } from 'node:net';

export interface ListenAddress {
  /** As it was written. */
  readonly text: string;
  /** Host name or address without brackets; undefined: every interface. */
  readonly host: string | undefined;
  /** 0 takes a free port. */
  readonly port: number;
}

/** Where a client finds a server. */
export interface DialAddress {
  /** As it was written, a scheme of Go's resolvers included. */
  readonly text: string;
  /** Host name or address without brackets. */
  readonly host: string;
  /** 1 to 65,535. */
  readonly port: number;
}

const NAME = /^(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_.])?$/;

/** Reads `host:port`. Throws RangeError, naming what is wrong with it. */
export function parseListenAddress(text: string): ListenAddress {
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(text.trim());
  if (!match) throw new RangeError(`${JSON.stringify(text)} is not host:port or :port`);
  const [, bracketed, plain = '', digits] = match;
  const port = Number(digits);
  if (port > 65_535) throw new RangeError(`port ${port} is above 65535`);
  if (bracketed !== undefined) {
    if (isIP(bracketed.split('%', 1)[0] ?? '') !== 6) {
      throw new RangeError(`${JSON.stringify(bracketed)} is not an IPv6 address`);
    }
    return { text, host: bracketed, port };
  }
  if (plain === '') return { text, host: undefined, port };
  if (isIP(plain) === 0 && !NAME.test(plain))
    throw new RangeError(`${JSON.stringify(plain)} is not a host name`);
  return { text, host: plain, port };
}

/** A name as Go's gRPC takes it, with the scheme of a resolver before it. */
const RESOLVED = /^(k8s|kubernetes|dns|passthrough):\/\/(?:([^/]*)\/)?(.*)$/;

/**
 * `host:port` of what a client dials: that itself, or behind the scheme of one of Go's resolvers. `dns:///host:port` and
 * `passthrough:///host:port` are gRPC's own; `k8s:` (or `kubernetes:`) is asked of the cluster's API there, as `k8s:///service.namespace:port`,
 * `k8s://namespace/service:port` or `k8s://service.namespace:port`. Here the cluster's name service answers for them: with the service's
 * address, or, of a headless one, with those of its pods. Throws RangeError where a scheme has what a name cannot say.
 */
function dialTarget(text: string): string {
  const [whole, scheme = '', authority = '', endpoint = ''] = RESOLVED.exec(text.trim()) ?? [];
  if (whole === undefined) return text.trim();
  if (authority === '') return endpoint;
  if (!scheme.startsWith('k')) {
    throw new RangeError(`${JSON.stringify(text)} asks a name server of its own, which is not followed`);
  }
  const [service = '', ...port] = endpoint.split(':');
  return service === '' ? authority : [`${service}.${authority}`, ...port].join(':');
}

/** Reads what a client dials, behind the scheme of a resolver of Go's too. Throws RangeError; `localhost` where no host is named. */
export function parseDialAddress(text: string): DialAddress {
  const { host = 'localhost', port } = parseListenAddress(dialTarget(text));
  if (port === 0) throw new RangeError('port 0 cannot be dialled');
  return { text, host, port };
}

/** The same of a service, where a host must be named. Throws RangeError. */
export function parseServiceAddress(text: string): DialAddress {
  const address = parseDialAddress(text);
  if (dialTarget(text).startsWith(':')) {
    throw new RangeError(`${JSON.stringify(text)} is not host:port or k8s:///host:port`);
  }
  return address;
}

/** `host:port`, with brackets where the host is an IPv6 address. */
export function hostAndPort({ host, port }: { readonly host: string; readonly port: number }): string {
  return isIP(host.split('%', 1)[0] ?? '') === 6 ? `[${host}]:${port}` : `${host}:${port}`;
}
