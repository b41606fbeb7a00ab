/** Attributes of gRPC calls, by OpenTelemetry's semantic conventions 1.45. */

import type { SpanValues } from './types.js';

/** `method`: `package.Service/Method`. */
export function rpcValues(method: string): SpanValues {
  return { 'rpc.system.name': 'grpc', 'rpc.method': method };
}
