/** Ways to end a connection. */

import type { Connection } from '@libp2p/interface';
import { deadlineSignal } from '../../../shared/async/deadline.js';
import { errorMessage } from '../../../shared/errors.js';
import { type PeerIdText, peerIdText } from '../../../shared/net/peer-id.js';
import { multiaddrHost } from '../addresses/multiaddrs.js';

/** Until a remote that does not answer is cut off. */
const CLOSE_TIMEOUT_MS = 1000;

/** Closes a connection with what is on its way on it, or ends it where that does not come to an end within a second. */
export async function closeConnection(connection: Connection): Promise<void> {
  try {
    await connection.close({ signal: deadlineSignal(CLOSE_TIMEOUT_MS) });
  } catch (error) {
    connection.abort(error instanceof Error ? error : new Error(errorMessage(error)));
  }
}

/**
 * Ends the connections whose remote address (IP text, else empty) or base58 peer ID matches: aborted, not closed, for the remote has no say in
 * when. Returns how many.
 */
export function abortMatching(
  connections: readonly Connection[],
  matches: (remote: { readonly address: string; readonly peerId: PeerIdText }) => boolean,
): number {
  const matching = connections.filter(({ remoteAddr, remotePeer }) => {
    const host = multiaddrHost(remoteAddr);
    const address = host?.kind === 'ip' ? host.address : '';
    return matches({ address, peerId: peerIdText(remotePeer) });
  });
  for (const connection of matching) connection.abort(new Error('closed by this node'));
  return matching.length;
}
