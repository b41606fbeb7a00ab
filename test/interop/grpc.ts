/** grpc-go on either side of a call; what is said comes and goes as protobuf's own JSON, its 64-bit integers as strings. */

import type { TestContext } from 'node:test';
import { DESCRIPTORS } from './build.js';
import { Neighbour } from './neighbour.js';

/** How a call ended. */
export interface GoOutcome {
  /** `OK`, `InvalidArgument`, …, as Go names them. */
  readonly code: string;
  readonly details: string;
  /** Null unless the code is OK. */
  readonly message: Record<string, unknown> | null;
}

/** What a server tells of itself by reflection. */
export interface Reflected {
  readonly services: readonly string[];
  /** Name, request and response. */
  readonly methods: readonly (readonly [string, string, string])[];
  /** `<message>.<field>=<number> <kind>`. */
  readonly fields: readonly string[];
}

export interface CallOptions {
  readonly metadata?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

/** A grpc-go client of one server. */
export class GoGrpcClient {
  readonly program: Neighbour;

  private constructor(program: Neighbour) {
    this.program = program;
  }

  static async dial(context: Pick<TestContext, 'after'>, address: string): Promise<GoGrpcClient> {
    const program = new Neighbour(context, 'grpc-client');
    await program.call('dial', { address, descriptors: DESCRIPTORS });
    return new GoGrpcClient(program);
  }

  /** Calls once; a code other than OK is an outcome, no error. */
  call(
    service: string,
    method: string,
    message: object = {},
    { metadata = {}, timeoutMs = 10_000 }: CallOptions = {},
  ): Promise<GoOutcome> {
    return this.program.call('call', { service, method, message, metadata, timeoutMs });
  }

  /** The health service's answer: once, or the first that it streams. */
  health(service: string, how: 'check' | 'watch' = 'check'): Promise<GoOutcome> {
    return this.program.call(how === 'check' ? 'health' : 'watch', { service });
  }

  reflection(service: string, version: 'v1' | 'v1alpha'): Promise<Reflected> {
    return this.program.call('reflection', { service, alpha: version === 'v1alpha' });
  }
}
