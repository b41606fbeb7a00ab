/** The calls of the blockchain service's registry of peers (WIRE §8). */

import type { Client } from '@grpc/grpc-js';
import type { PeerRegistryServiceClient } from '../../shared/generated/peer_registry.js';
import type { UnaryMethod } from '../../shared/grpc/call.js';

type Methods = Omit<PeerRegistryServiceClient, keyof Client>;

export type RegistryMethod = keyof Methods;

export type RegistryRequest<M extends RegistryMethod> =
  Methods[M] extends UnaryMethod<infer Request, infer _> ? Request : never;

export type RegistryResponse<M extends RegistryMethod> =
  Methods[M] extends UnaryMethod<infer _, infer Response> ? Response : never;

interface RegistryCallOptions {
  /**
   * @default 5_000
   */
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal | undefined;
}

export interface PeerRegistryCalls {
  /**
   * Calls once. Rejects with UnavailableError, DeadlineError, KeyRefusedError, AbortedError or, with the service's own status, RpcError:
   * UNIMPLEMENTED of a service that has no registry.
   */
  call<M extends RegistryMethod>(
    method: M,
    request: RegistryRequest<M>,
    options?: RegistryCallOptions,
  ): Promise<RegistryResponse<M>>;
}
