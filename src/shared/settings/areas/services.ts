/** The services around it that are called, and what is embedded in place of them. */

import type { Setting } from '../setting.js';
import { serviceAddress } from '../values/addresses.js';
import { duration, flag, integer, text } from '../values/basic.js';

export const SERVICES = {
  blockchain_grpcAddress: serviceAddress('', 'Blockchain service; empty: the embedded chain.'),
  blockvalidation_grpcAddress: serviceAddress('', 'Block validation service; empty: not configured.'),
  blockassembly_grpcAddress: serviceAddress('', 'Block assembly service; empty: not configured.'),
  p2p_validation_forward: flag(
    true,
    'Send BlockFound where blockvalidation_grpcAddress is set (this server).',
  ),
  security_level_grpc: integer(0, '0 plain; 1 TLS, certificate not verified; 2 TLS verified; 3 mutual TLS.', {
    min: 0,
    max: 3,
    aliases: ['securityLevelGRPC'],
  }),
  grpc_ca_file: text('', 'CA of the services called (this server).'),
  grpc_cert_file: text('', 'Client certificate for level 3 (this server).'),
  grpc_key_file: text('', 'Client key for level 3 (this server).'),
  p2p_embedded_mining_interval: duration(
    0,
    'The embedded chain mines a block about this often; 0: never (this server).',
  ),
  p2p_embedded_subtree_interval: duration(
    0,
    'The embedded chain makes a subtree about this often; 0: never (this server).',
  ),
  p2p_embedded_rejected_tx_interval: duration(
    0,
    'The embedded node rejects a transaction about this often; 0: never (this server).',
  ),
} as const satisfies Record<string, Setting>;
