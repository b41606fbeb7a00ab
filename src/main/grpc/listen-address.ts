/** Where PeerService listens. */

import { isIP } from 'node:net';
import { listenAddressOf } from '../../shared/listen-address.js';

export interface BindAddress {
  /** Host and port as they are written, for log and errors. */
  readonly target: string;
  /** An address without brackets, or a name. */
  readonly host: string;
  readonly port: number;
  /** Only this machine can reach it. */
  readonly loopback: boolean;
}

/**
 * `p2p_grpcListenAddress` to bind: without a host every address. `localhost` is 127.0.0.1: bound by name, a port taken on one
 * of its addresses would go unnoticed. Throws ConfigurationError.
 */
export function bindAddress(text: string): BindAddress {
  const { host: written = '::', port } = listenAddressOf('p2p_grpcListenAddress', text);
  const host = written === 'localhost' ? '127.0.0.1' : written;
  const loopback = host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
  return { target: isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`, host, port, loopback };
}
