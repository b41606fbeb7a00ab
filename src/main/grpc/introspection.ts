/** What a gRPC server tells of itself: health, and by reflection its contracts. */

import { fileURLToPath } from 'node:url';
import type { Server } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation, protoPath as healthProto } from 'grpc-health-check';
import { withImports } from './reflection.js';

/** From `dist/src/main/grpc` to the package's contracts. */
const PROTO_DIRECTORY = fileURLToPath(new URL('../../../../proto/', import.meta.url));

const definition = withImports(
  loadSync(['p2p_api.proto', healthProto], { includeDirs: [PROTO_DIRECTORY], keepCase: true }),
);

/** Adds both to `server`. The health of `service`, and of the whole, is NOT_SERVING until it is set. */
export function addIntrospection(server: Server, service: string): HealthImplementation {
  const health = new HealthImplementation({ '': 'NOT_SERVING', [service]: 'NOT_SERVING' });
  health.addToServer(server);
  new ReflectionService(definition).addToServer(server);
  return health;
}
