/** The gRPC service that is offered. */

import type { Setting } from '../setting.js';
import { listenAddress, serviceAddress } from '../values/addresses.js';
import { text } from '../values/basic.js';
import { apiKey } from '../values/keys.js';

export const GRPC = {
  p2p_grpcListenAddress: listenAddress(
    'localhost:9904',
    'PeerService listens here, at every address of a name; empty: not at all.',
    {
      contexts: { 'docker.m': ':9904', 'docker.ss': ':9904', operator: ':9904' },
    },
  ),
  p2p_grpcAddress: serviceAddress('localhost:9904', 'Where others, and the CLI, reach PeerService.'),
  grpc_admin_api_key: apiKey(
    'Key of admin calls, and x-api-key of our calls to other services; empty: one is made for the former and kept in DATADIR/admin.key, and none is sent.',
    ['grpcAdminAPIKey'],
  ),

  grpc_admin_api_key_file: text(
    '',
    'File with grpc_admin_api_key in place of it, read again when it changes: a key a line, of which each is taken and the first is sent (this server).',
  ),
} as const satisfies Record<string, Setting>;
