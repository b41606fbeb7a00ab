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

/** A call as the Go server got it. */
export interface GoCall {
  readonly call: number;
  readonly method: string;
  readonly message: Record<string, unknown>;
}

/** How a test ends a call instead of answering it. */
export class GoStatus {
  constructor(
    /** gRPC status code. */
    readonly code: number,
    readonly details = 'as told',
  ) {}
}

/** What a test answers to a call: a message, a status, or, left undefined, nothing yet. */
export type GoAnswer = (
  call: GoCall,
) => object | GoStatus | undefined | Promise<object | GoStatus | undefined>;

export interface GoTls {
  readonly certificate: string;
  readonly key: string;
  readonly clientCa?: string;
}

/** A grpc-go server whose calls a test answers. */
export class GoGrpcServer {
  readonly program: Neighbour;
  /** Every call, in order. */
  readonly calls: GoCall[] = [];
  address = '127.0.0.1:0';
  readonly #services: readonly string[];
  #seen = 0;

  constructor(
    context: Pick<TestContext, 'after'>,
    services: readonly string[],
    /** By method; a call of another stays open. */
    readonly answers: Record<string, GoAnswer> = {},
  ) {
    this.#services = services;
    this.program = new Neighbour(context, 'grpc-server', () => this.#take());
  }

  /** Listens; after a stop on the same port again. With `apiKey`, calls without it are refused, HealthGRPC’s aside. */
  async listen(how: GoTls | { readonly apiKey?: string } = {}): Promise<void> {
    const { address } = this;
    const options = { address, descriptors: DESCRIPTORS, services: this.#services, ...how };
    this.address = await this.program.call('listen', options);
  }

  /** Cuts every connection. */
  stop(): Promise<void> {
    return this.program.call('stop');
  }

  send(call: number, messages: readonly object[]): Promise<void> {
    return this.program.call('send', { call, messages });
  }

  end(
    call: number,
    { code, details }: { code: number; details: string } = new GoStatus(0, ''),
  ): Promise<void> {
    return this.program.call('end', { call, code, details });
  }

  #take(): void {
    const { events } = this.program;
    for (; this.#seen < events.length; this.#seen++) {
      const event = events[this.#seen];
      if (event?.event !== 'call') continue;
      const call = event.value as GoCall;
      this.calls.push(call);
      // A client that has gone meanwhile is no failure of the test.
      void this.#answer(call).catch(() => {});
    }
  }

  async #answer(call: GoCall): Promise<void> {
    const answer = await this.answers[call.method]?.(call);
    if (answer === undefined) return;
    if (answer instanceof GoStatus) return this.end(call.call, answer);
    await this.send(call.call, [answer]);
    await this.end(call.call);
  }
}
