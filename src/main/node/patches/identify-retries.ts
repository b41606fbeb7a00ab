/**
 * Identify, asked until it is answered.
 *
 * Reason: libp2p asks once, when a connection opens. What a peer speaks is known from its answer alone: two nodes that both missed it, one
 * held up and the other busy, would be connected for ever without gossip.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { type Identify, identify } from '@libp2p/identify';
import type { Connection } from '@libp2p/interface';

/** Until a connection whose other end has not answered is asked again: twice as long each time. */
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;

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
