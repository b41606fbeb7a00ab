/** Where PeerService listens. */

import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { errorMessage } from '../../shared/errors.js';
import { hostAndPort, type ListenAddress } from '../../shared/net/listen-address.js';

export interface BindAddress {
  /** Host and port as they are written, for log and errors. */
  readonly target: string;
  /** An address without brackets, or a name. */
  readonly host: string;
  readonly port: number;
  /** Only this machine can reach it. */
  readonly loopback: boolean;
}

/** What the name stands for on every machine (RFC 6761), whatever its files of hosts say. */
const LOCALHOST = ['127.0.0.1', '::1'];

/** `p2p_grpcListenAddress` to bind: without a host every address. */
export function bindAddress({ host = '::', port }: ListenAddress): BindAddress {
  const loopback = host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
  return { target: hostAndPort({ host, port }), host, port, loopback };
}

/**
 * The addresses behind it, one or more: a client of a name may try any of them first. Rejects with RangeError where the name is unknown.
 */
export async function addressesOf({ host }: Pick<BindAddress, 'host'>): Promise<readonly string[]> {
  if (host === 'localhost') return LOCALHOST;
  if (isIP(host.split('%', 1)[0] ?? '') !== 0) return [host];
  try {
    const found = await lookup(host, { all: true });
    return [...new Set(found.map(({ address }) => address))];
  } catch (error) {
    throw new RangeError(`the name ${host} has no address: ${errorMessage(error)}`);
  }
}
