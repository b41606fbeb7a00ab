/**
 * Identify under this network's name, asked until it is answered, and what changes told to who is connected already (identify push).
 *
 * Reason for asking again: libp2p asks once, when a connection opens. What a peer speaks is known from its answer alone: two nodes that
 * both missed it, one held up and the other busy, would be connected for ever without gossip.
 *
 * Reason for the name: libp2p derives the protocol version from a prefix that its protocol ids share; only the text may differ.
 *
 * Reason for the push: an address that is learnt later (a place at a relay, a router's port) else reaches nobody who is connected. But
 * libp2p takes as many pushes as come, each a signature verified on the main thread and a write to disk; and it tells nobody any more
 * once it comes to a connected peer that its store does not know, which is who answers no identify.
 *
 * No switch: without all this, `identify()` alone.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { type Identify, identify, identifyPush } from '@libp2p/identify';
import type { Connection, PeerStore, Stream } from '@libp2p/interface';
import { KeyedRate } from '../../../shared/async/keyed-rate.js';
import { replacing } from './replacing.js';

/** Pushes of one peer. Honest ones come some at the start, and then when an address changes. */
const PUSHES = { perSecond: 0.1, burst: 8, maxKeys: 10_000 };

/** Until a connection whose other end has not answered is asked again: twice as long each time. */
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;

type IdentifyFactory = ReturnType<typeof identify>;
type IdentifyPushFactory = ReturnType<typeof identifyPush>;

/** What identify and its push have and their types do not show. */
interface IdentifyInternals {
  readonly host: { protocolVersion: string };
  handleProtocol(stream: Stream, connection: Connection): Promise<void>;
}

/** To be called before the service starts, which stores the text. */
export function identifyAs(service: object, protocolVersion: string): void {
  (service as IdentifyInternals).host.protocolVersion = protocolVersion;
}

/** What libp2p takes as a service. */
export function patientIdentify(): IdentifyFactory {
  const create = identify({ runOnConnectionOpen: false });
  return (components) => {
    const service = create(components);
    components.events.addEventListener('connection:open', ({ detail }) => void ask(service, detail));
    return service;
  };
}

/** As long as the connection is open. Also one that says that it does not speak identify: it may be starting. */
async function ask(service: Identify, connection: Connection): Promise<void> {
  for (
    let pause = FIRST_PAUSE_MS;
    connection.status === 'open';
    pause = Math.min(2 * pause, LONGEST_PAUSE_MS)
  ) {
    try {
      await service.identify(connection);
      return;
    } catch {
      // The library has logged it.
      await delay(pause, undefined, { ref: false });
    }
  }
}

/** What libp2p takes as a service. */
export function boundedIdentifyPush(): IdentifyPushFactory {
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
    const internals = push as object as IdentifyInternals;
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
