/** Which library moves the notification server's bytes. */

import { ConfigurationError } from '../../../shared/errors.js';
import type { Settings } from '../../../shared/settings/table.js';
import type { Transport } from './types.js';
import { uwsTransport } from './uws.js';
import { loadUws } from './uws-build.js';
import { wsTransport } from './ws.js';

export type * from './types.js';

/**
 * `p2p_websocket_transport`. `auto` is uWebSockets.js where a native build of it loads, else `ws`, which runs wherever Node
 * does. Throws ConfigurationError where `uws` is asked for and does not load.
 */
export function chooseTransport(choice: Settings['p2p_websocket_transport']): Transport {
  if (choice === 'ws') return wsTransport();
  try {
    return uwsTransport(loadUws());
  } catch (error) {
    if (choice === 'uws' || !(error instanceof ConfigurationError)) throw error;
    return wsTransport();
  }
}
