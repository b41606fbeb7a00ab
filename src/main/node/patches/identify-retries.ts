/**
 * Identify, asked until it is answered.
 *
 * Reason: libp2p asks once, when a connection opens. What a peer speaks is known from its answer alone: two nodes that both missed it, one
 * held up and the other busy, would be connected for ever without gossip.
 */

import { type Identify, identify } from '@libp2p/identify';
import type { Connection } from '@libp2p/interface';
import { Backoff, type BackoffPolicy } from '../../../shared/async/backoff.js';
import { pause } from '../../../shared/async/pause.js';

/** Until a connection whose other end has not answered is asked again. */
const ASK_AGAIN: BackoffPolicy = { firstMs: 1_000, maxMs: 60_000 };

/** What libp2p takes as a service. */
export function patientIdentify(): ReturnType<typeof identify> {
  const create = identify({ runOnConnectionOpen: false });
  return (components) => {
    const service = create(components);
    components.events.addEventListener('connection:open', ({ detail }) => void ask(service, detail));
    return service;
  };
}

/** As long as the connection is open. Also one that says that it does not speak identify: it may be starting. */
async function ask(service: Identify, connection: Connection): Promise<void> {
  const backoff = new Backoff(ASK_AGAIN);
  while (connection.status === 'open') {
    try {
      await service.identify(connection);
      return;
    } catch {
      // The library has logged it.
      await pause(backoff.next(), { ref: false });
    }
  }
}
