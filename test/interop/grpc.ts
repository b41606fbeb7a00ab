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

export interface GoListening {
  /** A file of descriptors that say how the services are numbered; today's unless told. */
  readonly descriptors?: string;
  readonly apiKey?: string;
  readonly registry?: boolean;
}

export interface GoTls {
  readonly certificate: string;
  readonly key: string;
  readonly clientCa?: string;
}

/** A row of the peer registry in protobuf's JSON, its times RFC 3339 and of the year 1 for never. */
export type RegistryRow = Readonly<Record<string, unknown>> & { readonly peer_id: string };

/** How the peer registry answers; of all methods unless told which. */
export interface RegistryBehaviour {
  readonly delayMs?: number;
  /** gRPC status code. */
  readonly code?: number;
  readonly methods?: readonly string[];
  /** Bytes of the answer, base64, `times` over. */
  readonly raw?: string;
  readonly times?: number;
  /** Rows; a further peer is refused with RESOURCE_EXHAUSTED. */
  readonly capacity?: number;
  /** What is asked is done before the delay and the status. */
  readonly afterEffect?: boolean;
}

/** The blockchain service's registry of peers within a {@link GoGrpcServer} that listens with one. It outlives stops of the server. */
export class GoPeerRegistry {
  readonly #program: Neighbour;

  constructor(program: Neighbour) {
    this.#program = program;
  }

  rows(): Promise<RegistryRow[]> {
    return this.#program.call('registry-rows');
  }

  async row(peerId: string): Promise<RegistryRow | undefined> {
    return (await this.rows()).find(({ peer_id }) => peer_id === peerId);
  }

  /** Takes rows as they are, of any transport. */
  put(...rows: readonly RegistryRow[]): Promise<void> {
    return this.#program.call('registry-put', { rows });
  }

  ban(...peers: readonly string[]): Promise<void> {
    return this.#program.call('registry-ban', { peers });
  }

  unban(...peers: readonly string[]): Promise<void> {
    return this.#program.call('registry-unban', { peers });
  }

  /** For what a peer was scored. */
  reasons(peer: string): Promise<string[]> {
    return this.#program.call('registry-reasons', { peer });
  }

  /** Forgets rows and bans, as a service that lost its file. */
  clear(): Promise<void> {
    return this.#program.call('registry-clear');
  }

  /** Nothing told: well again. */
  behave(behaviour: RegistryBehaviour = {}): Promise<void> {
    return this.#program.call('registry-behave', behaviour);
  }

  /** How often each method was called. */
  counts(): Promise<Record<string, number>> {
    return this.#program.call('registry-counts');
  }

  /** Requests so far, of one method unless told. */
  requests(method = ''): Promise<{ method: string; message: Record<string, unknown> }[]> {
    return this.#program.call('registry-calls', { method });
  }
}

/** A grpc-go server whose calls a test answers; those of the peer registry aside, where it listens with one. */
export class GoGrpcServer {
  readonly program: Neighbour;
  readonly registry: GoPeerRegistry;
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
    this.program = new Neighbour(context, 'grpc-server', { onEvent: () => this.#take() });
    this.registry = new GoPeerRegistry(this.program);
  }

  /**
   * Listens; after a stop on the same port again. With `apiKey`, calls without it are refused, HealthGRPC’s aside. With `registry`, the
   * calls of PeerRegistryService are answered by {@link registry}.
   */
  async listen(how: GoTls | GoListening = {}): Promise<void> {
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
