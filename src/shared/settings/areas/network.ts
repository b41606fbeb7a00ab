/** Which network and generation, and how the server runs. */

import { NETWORK_NAMES } from '../../bitcoin/networks.js';
import type { Setting } from '../setting.js';
import { choice, duration, text } from '../values/basic.js';
import { logLevel } from '../values/texts.js';

const SECOND = 1000;

export const NETWORK = {
  p2p_generation: choice(['first', 'current'], 'current', 'Protocol generation whose defaults apply.'),
  network: choice(NETWORK_NAMES, 'mainnet', 'Bitcoin network; decides topic prefix and proof-of-work limit.'),
  clientName: text('', 'Name of this node, shown to peers and in consumer group names.'),
  version: text('', 'Version told in node_status; empty: that of this package.'),
  commit: text('', 'Commit hash told in node_status.'),
  DATADIR: text('data', 'Directory of stores, keys, outbox and lock.', { required: 'always' }),
  p2p_datadir_wait: duration(
    0,
    'How long a start waits for a DATADIR that another server holds, which is asked to hand it over and does where it has this set too; 0: neither (this server).',
  ),
  listen_mode: choice(
    ['full', 'listen_only', 'silent'],
    'full',
    'full; listen_only: tells only node_status, with empty URLs; silent: tells nothing, no DHT, no announced addresses.',
  ),
  logLevel: logLevel('info', 'trace, debug, info, warn, error or fatal.'),
  p2p_require_services: choice(
    ['warn', 'true', 'false'],
    'warn',
    'What is done where a server would be no part of a node, though its network or context is none of development: with an embedded chain, memory:// topics, nobody to call or no settings file. warn: it is said; true: it does not start; false: it is meant to stand alone (this server).',
  ),
  shutdown_timeout: duration(
    10 * SECOND,
    'How long stop may take before what is left stays in the outbox (this server).',
  ),
} as const satisfies Record<string, Setting>;
