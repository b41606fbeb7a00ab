/** Addresses as Go writes them for listening and dialling: `host:port`, `:port`, `[v6]:port`. */

import { isIP } from 'node:net';
import { ConfigurationError, errorMessage } from '../errors.js';

export interface ListenAddress {
  /** Host name or address without brackets; undefined: every interface. */
  readonly host: string | undefined;
  /** 0 takes a free port. */
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
    return { host: bracketed, port };
  }
  if (plain === '') return { host: undefined, port };
  if (isIP(plain) === 0 && !NAME.test(plain))
    throw new RangeError(`${JSON.stringify(plain)} is not a host name`);
  return { host: plain, port };
}

/** The same for the value of `setting`. Throws ConfigurationError that names it. */
export function listenAddressOf(setting: string, text: string): ListenAddress {
  try {
    return parseListenAddress(text);
  } catch (error) {
    throw new ConfigurationError([`${setting}: ${errorMessage(error)}`]);
  }
}

/** A name as Go's gRPC takes it, with the scheme of a resolver before it. */
const RESOLVED = /^(k8s|kubernetes|dns|passthrough):\/\/(?:([^/]*)\/)?(.*)$/;

/**
 * `host:port` of what a client dials: that itself, or behind the scheme of one of Go's resolvers. `dns:///host:port` and
 * `passthrough:///host:port` are gRPC's own; `k8s:` (or `kubernetes:`) is asked of the cluster's API there, as `k8s:///service.namespace:port`,
 * `k8s://namespace/service:port` or `k8s://service.namespace:port`. Here the cluster's name service answers for them: with the service's
 * address, or, of a headless one, with those of its pods. Throws RangeError where a scheme has what a name cannot say.
 */
export function dialTarget(text: string): string {
  const [whole, scheme = '', authority = '', endpoint = ''] = RESOLVED.exec(text.trim()) ?? [];
  if (whole === undefined) return text.trim();
  if (authority === '') return endpoint;
  if (!scheme.startsWith('k')) {
    throw new RangeError(`${JSON.stringify(text)} asks a name server of its own, which is not followed`);
  }
  const [service = '', ...port] = endpoint.split(':');
  return service === '' ? authority : [`${service}.${authority}`, ...port].join(':');
}

/** Reads what a client dials, as {@link dialTarget} has it. Throws RangeError; a host is needed, a port above 0 too. */
export function parseDialAddress(text: string): { readonly host: string; readonly port: number } {
  const { host = 'localhost', port } = parseListenAddress(dialTarget(text));
  if (port === 0) throw new RangeError('port 0 cannot be dialled');
  return { host, port };
}
