/** Where PeerService listens, as p2p_grpcListenAddress says it. */

import { isIP } from 'node:net';
import { ConfigurationError } from '../../shared/errors.js';

export interface ListenAddress {
  /** As grpc-js binds it. */
  readonly target: string;
  readonly port: number;
  /** Only this machine can reach it. */
  readonly loopback: boolean;
}

/**
 * `host:port`, `[IPv6]:port`, or `:port` for every address, as in Go. `localhost` is 127.0.0.1: bound by name, a port taken on
 * one of its addresses would go unnoticed. Port 0 takes a free one. Throws ConfigurationError.
 */
export function parseListenAddress(text: string, settingKey = 'p2p_grpcListenAddress'): ListenAddress {
  const match = /^(?:\[([^\]]+)\]|([^:[\]/\s]*)):(\d{1,5})$/.exec(text.trim());
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw new ConfigurationError([`${settingKey}: "${text}" is not host:port or :port`]);
  }
  const written = match[1] ?? match[2] ?? '';
  if (match[1] !== undefined && isIP(written) !== 6) {
    throw new ConfigurationError([`${settingKey}: "${written}" is not an IPv6 address`]);
  }
  const host = written === '' ? '::' : written === 'localhost' ? '127.0.0.1' : written;
  const loopback = host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
  return { target: isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`, port, loopback };
}
