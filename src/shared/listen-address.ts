/** Addresses as Go writes them for listening and dialling: `host:port`, `:port`, `[v6]:port`. */

import { isIP } from 'node:net';
import { ConfigurationError, errorMessage } from './errors.js';

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

/** Reads what a client dials: `host:port`, or `k8s:///host:port`. Throws RangeError; a host is needed, a port above 0 too. */
export function parseDialAddress(text: string): { readonly host: string; readonly port: number } {
  const { host = 'localhost', port } = parseListenAddress(text.replace(/^k8s:\/\/\//, ''));
  if (port === 0) throw new RangeError('port 0 cannot be dialled');
  return { host, port };
}
