/** Which library moves the notification server's bytes. */

import { ConfigurationError } from '../../../shared/errors.js';
import type { Settings } from '../../../shared/settings/table.js';
import type { Transport } from './types.js';
import { uwsTransport } from './uws.js';
import { loadUws } from './uws-build.js';
import { reusesPorts, wsTransport } from './ws.js';

export type * from './types.js';

/**
 * `p2p_websocket_transport`. `auto` is `ws`, which speaks HTTP and WebSocket by the letter, unless only uWebSockets.js
 * can share a port among so many `processes` here, and loads. Throws ConfigurationError where `uws` is asked for and does
 * not load.
 */
export function chooseTransport(choice: Settings['p2p_websocket_transport'], processes = 1): Transport {
  if (choice === 'ws' || (choice === 'auto' && (processes === 1 || reusesPorts()))) return wsTransport();
  try {
    return uwsTransport(loadUws());
  } catch (error) {
    if (choice === 'uws' || !(error instanceof ConfigurationError)) throw error;
    return wsTransport();
  }
}
