/** Connecting to a peer because somebody asks for it, who is to learn why it failed. */

import type { Libp2p } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr';
import { errorMessage, UnavailableError } from '../../../shared/errors.js';
import { multiaddrPeerId } from '../addresses/multiaddrs.js';
import type { OwnKey } from '../identity/own-key.js';
import type { Preambles } from '../identity/preambles.js';

export interface ConnectComponents {
  readonly host: Pick<Libp2p, 'peerId' | 'dial' | 'getConnections'>;
  readonly ownKey: OwnKey;
  readonly preambles: Preambles;
}

/** A multiaddr and the base58 ID that it ends in. Throws RangeError where it does not parse or has none. */
function parsed(text: string): { readonly address: Multiaddr; readonly peerId: string } {
  let address: Multiaddr;
  try {
    address = multiaddr(text.trim());
  } catch (error) {
    throw new RangeError(`${text}: ${errorMessage(error)}`);
  }
  const peerId = multiaddrPeerId(address);
  if (peerId === undefined) throw new RangeError(`${text}: does not end in /p2p/<peer ID>`);
  return { address, peerId };
}

/**
 * Dials a multiaddr. Throws RangeError where it does not parse or names no peer, UnavailableError where there is no connection.
 * `isPrivate`: this node has a pre-shared key.
 */
export async function connectTo(
  text: string,
  { host, ownKey, preambles }: ConnectComponents,
  { isPrivate, signal }: { readonly isPrivate: boolean; readonly signal?: AbortSignal | undefined },
): Promise<void> {
  const { address, peerId } = parsed(text);
  if (peerId === host.peerId.toString()) {
    await ownKey.look(host, [address], signal);
    const { warning } = ownKey;
    throw new UnavailableError(
      `no connection to ${text}: that is this node's own peer ID${warning === undefined ? '' : `; ${warning}`}`,
    );
  }
  try {
    await host.dial(address, signal === undefined ? {} : { signal });
  } catch (error) {
    // It has dialled us at the same time, and its connection is the one that both keep.
    if (host.getConnections(peerIdFromString(peerId)).some(({ status }) => status === 'open')) return;
    // With another key each side waits for a handshake that it can read: all there is to see is silence.
    const unseen = isPrivate
      ? 'on a private network this is also what another p2p_shared_key looks like'
      : '';
    const why = preambles.hintFor(address) || unseen;
    const hint = why === '' ? '' : ` (${why})`;
    throw new UnavailableError(`no connection to ${text}: ${errorMessage(error)}${hint}`, { cause: error });
  }
}
