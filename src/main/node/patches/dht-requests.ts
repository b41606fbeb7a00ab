/**
 * Requests to the DHT have a budget of bytes for each peer.
 *
 * Reason: the library reads requests of 4 MB as fast as they come, of anybody.
 */

import type { Connection, Stream } from '@libp2p/interface';
import { LRUCache } from 'lru-cache';
import { monotonic } from '../../../shared/clock.js';

/** What a node asks for a handful of topics every 5 s is a fifth of this. */
const REQUEST_BYTES = 128 * 1024;
const REQUEST_WINDOW_MS = 10_000;
const MAX_BUDGETED_PEERS = 10_000;

/** What the DHT has and its type does not show. */
export interface RequestedDht {
  readonly rpc: { onIncomingStream(stream: Stream, connection: Connection): Promise<void> };
}

export interface DhtRequestsOptions {
  /**
   * Bytes of requests of one peer in 10 s.
   * @default 128 KiB
   */
  readonly requestBytes?: number;
}

/** Applies the patch to one DHT. A stream over its peer's budget is reset; the peer may open another when the window has passed. */
export function boundDhtRequests(
  { rpc }: RequestedDht,
  { requestBytes = REQUEST_BYTES }: DhtRequestsOptions = {},
): void {
  const windows = new LRUCache<string, { since: number; bytes: number }>({ max: MAX_BUDGETED_PEERS });
  const onIncomingStream = rpc.onIncomingStream.bind(rpc);
  const isOver = (peer: string, bytes: number): boolean => {
    const now = monotonic();
    let window = windows.get(peer);
    if (window === undefined || now - window.since >= REQUEST_WINDOW_MS) {
      window = { since: now, bytes: 0 };
      windows.set(peer, window);
    }
    window.bytes += bytes;
    return window.bytes > requestBytes;
  };
  rpc.onIncomingStream = (stream, connection) => {
    const peer = connection.remotePeer.toString();
    if (isOver(peer, 0)) {
      stream.abort(new Error('asks too much'));
      return Promise.resolve();
    }
    const handled = onIncomingStream(stream, connection);
    stream.addEventListener('message', ({ data }) => {
      if (isOver(peer, data.byteLength)) stream.abort(new Error('asks too much'));
    });
    return handled;
  };
}
