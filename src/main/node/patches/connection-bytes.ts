/**
 * The bytes of each connection as they pass, from the first on.
 *
 * Reason: libp2p tells its metrics of a connection before it knows who is there, and of its bytes only how many went in all. Watching
 * dispatch and send instead of listening: a listener would make the stream give up data before its reader is there.
 */

import type { Metrics, MultiaddrConnection } from '@libp2p/interface';

/** What came: an array, or a list of them. A list throws where an array would be short. */
interface Bytes {
  readonly byteLength: number;
  subarray(from?: number, to?: number): Uint8Array;
}

/** Told of one connection's bytes before anybody else is. */
export interface BytesListener {
  received?(data: Bytes): void;
  sent?(data: { readonly byteLength: number }): void;
}

/** A connection begins; undefined where its bytes are of no interest. */
export type BytesWatch = (connection: MultiaddrConnection) => BytesListener | undefined;

/** Applies the patch to what libp2p takes as its metrics, which are shown every connection. */
export function watchBytes(metrics: Metrics, watches: readonly BytesWatch[]): Metrics {
  const track = metrics.trackMultiaddrConnection.bind(metrics);
  metrics.trackMultiaddrConnection = (connection) => {
    track(connection);
    const listeners = watches.flatMap((watch) => watch(connection) ?? []);
    const dispatch = connection.dispatchEvent.bind(connection);
    connection.dispatchEvent = (event) => {
      if (event.type === 'message') {
        const { data } = event as Event & { readonly data: Bytes };
        for (const listener of listeners) listener.received?.(data);
      }
      return dispatch(event);
    };
    const send = connection.send.bind(connection);
    connection.send = (data) => {
      for (const listener of listeners) listener.sent?.(data);
      return send(data);
    };
  };
  return metrics;
}
