/**
 * What changes is told to who is connected already (identify push), also beside a peer that is not in the store, and is taken from nobody
 * without end.
 *
 * Reason: an address that is learnt later (a reservation at a relay, a router's port) else reaches nobody who is connected. But
 * libp2p takes as many pushes as come, each a signature verified on the main thread and a write to disk; and it tells nobody any more
 * once it comes to a connected peer that its store does not know, which is who answers no identify.
 */

import { identifyPush } from '@libp2p/identify';
import type { Connection, PeerStore, Stream } from '@libp2p/interface';
import { KeyedRate } from '../../../shared/async/keyed-rate.js';
import { replacing } from './host-internals.js';

/** Pushes of one peer. Honest ones come some at the start, and then when an address changes. */
const PUSHES = { perSecond: 0.1, burst: 8, maxKeys: 10_000 };

/** What identify push has and its type does not show. */
interface PushInternals {
  handleProtocol(stream: Stream, connection: Connection): Promise<void>;
}

/** What libp2p takes as a service. */
export function boundedIdentifyPush(): ReturnType<typeof identifyPush> {
  const create = identifyPush();
  return (components) => {
    const { peerStore } = components;
    const known: PeerStore['get'] = async (id, options) => {
      try {
        return await peerStore.get(id, options);
      } catch (error) {
        if (!(error instanceof Error && error.name === 'NotFoundError')) throw error;
        return { id, addresses: [], protocols: [], metadata: new Map(), tags: new Map() };
      }
    };
    const push = create(replacing(components, { peerStore: replacing(peerStore, { get: known }) }));
    const internals = push as object as PushInternals;
    const rate = new KeyedRate(PUSHES);
    const handle = internals.handleProtocol;
    internals.handleProtocol = (stream, connection) => {
      if (rate.take(connection.remotePeer.toString())) return handle(stream, connection);
      stream.abort(new Error('identify is pushed too often'));
      return Promise.resolve();
    };
    return push;
  };
}
