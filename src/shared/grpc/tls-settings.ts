/** How the services around the node are called: the settings of TLS between them. */

import type { Settings } from '../settings/table.js';

export type GrpcTlsSettings = Pick<
  Settings,
  'security_level_grpc' | 'grpc_ca_file' | 'grpc_cert_file' | 'grpc_key_file'
>;
