/** Which library moves the notification server's bytes. */

import { ConfigurationError } from '../../../shared/errors.js';
import type { Settings } from '../../../shared/settings/table.js';
import type { Transport } from './types.js';
import { uwsTransport } from './uws.js';
import { type LoadedUws, loadUws } from './uws-build.js';
import { wsTransport } from './ws.js';

export type * from './types.js';

/**
 * `p2p_websocket_transport`. `auto` is uWebSockets.js where a build of it loads that answers at once whatever comes, unless proxies are
 * named (`p2p_websocket_trusted_proxies`): nginx and HAProxy speak HTTP/1.0 unless told otherwise, which it takes from nobody. Else it is
 * `ws`, which runs wherever Node does. Throws ConfigurationError where `uws` is asked for and does not load.
 */
export function chooseTransport(
  choice: Settings['p2p_websocket_transport'],
  proxies: readonly string[],
): Transport {
  if (choice === 'uws') return uwsTransport(loadUws());
  const found = choice === 'ws' || proxies.length > 0 ? undefined : newestUws();
  return found?.refusesAtOnce === true ? uwsTransport(found) : wsTransport();
}

function newestUws(): LoadedUws | undefined {
  try {
    return loadUws();
  } catch (error) {
    if (error instanceof ConfigurationError) return undefined;
    throw error;
  }
}
