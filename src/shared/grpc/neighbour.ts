/** A service of the node that this server calls, over a connection that is given up for a new one when nothing comes back. */

import {
  type CallOptions,
  type Client,
  type ClientReadableStream,
  type Metadata,
  type ServiceError,
  status as Status,
} from '@grpc/grpc-js';
import { libraryTime } from '../clock.js';
import { ConfigurationError, errorMessage, UnavailableError } from '../errors.js';
import type { Logger } from '../logging/logger.js';
import type { DialAddress } from '../net/listen-address.js';
import type { Secrets } from '../secrets/secrets.js';
import type { Settings } from '../settings/table.js';
import type { WatchedPem } from '../tls/watch.js';
import { rpcValues } from '../tracing/rpc.js';
import type { Tracers } from '../tracing/tracing.js';
import type { TraceParent, TraceSpan } from '../tracing/types.js';
import {
  type CallPolicy,
  callUnary,
  DEADLINE_SLACK_MS,
  isLate,
  rpcError,
  statusNameOf,
  type UnaryMethod,
} from './call.js';
import { CallKey } from './call-key.js';
import { type Channel, type GrpcTlsSettings, openChannel } from './channel.js';
import { Line, type OpenStream } from './neighbour-line.js';
import type { NeighbourMetrics } from './neighbour-metrics.js';

export type NeighbourSettings = GrpcTlsSettings & Pick<Settings, 'grpc_admin_api_key'>;

type AddressSetting = 'blockchain_grpcAddress' | 'blockvalidation_grpcAddress' | 'blockassembly_grpcAddress';

export interface NeighbourComponents<S = unknown> {
  readonly settings: NeighbourSettings & S;
  readonly logger: Logger;
  /** The files of `channelFiles`, where they are watched; without it they are read for each client. */
  readonly tls?: WatchedPem | undefined;
  /** The key, where it is in a file that is watched; without it, that of the settings. */
  readonly secrets?: Pick<Secrets, 'apiKey' | 'apiKeys'> | undefined;
  /**
   * Shared by all neighbours of a thread.
   * @default none are kept
   */
  readonly metrics?: NeighbourMetrics;
  /** Undefined: no call is traced. */
  readonly tracers?: Pick<Tracers, 'tracer'> | undefined;
}

/** A caller found a stream silent that should not be: the reason of its AbortSignal, which gives the connection up too. */
export class SilenceError extends Error {
  override readonly name = 'SilenceError';
}

export interface NeighbourOptions<C extends Client> {
  /** The setting that has the address. */
  readonly setting: AddressSetting;
  /** Its value. */
  readonly address: DialAddress | undefined;
  readonly connect: (channel: Channel) => C;
  /** A call without effect that a working service answers at once. */
  readonly probe: (client: C) => UnaryMethod<Record<never, never>, unknown>;
  /**
   * Milliseconds that its answer may take.
   * @default 2_000
   */
  readonly probeMs?: number;
}

export interface NeighbourCallPolicy extends CallPolicy {
  /** The answer may rightly be long in coming: a deadline that it misses says nothing of the connection. */
  readonly patient?: boolean;
  /** A call that was lost with its connection is made once more, with the same time, over the new one. */
  readonly onceMore?: boolean;
  /** What its span is below; without it, one that is sampled begins a trace. */
  readonly trace?: TraceParent | undefined;
}

/**
 * Calls carry `x-api-key` where `grpc_admin_api_key` or its file is set.
 *
 * A host that dies and an address that leads elsewhere say nothing on the connection they leave: HTTP/2 would go on using it until the
 * kernel gives it up, after a quarter of an hour. So a call that misses its deadline is followed by a question (`probe`), and where
 * that, or any later call to the same peer, misses its own with nothing heard in between, a new client takes over: it resolves
 * the name anew and dials. What runs on the old one's other connections goes on; streams on the silent one end with UnavailableError.
 */
export class Neighbour<C extends Client> {
  /** As the settings have it. */
  readonly address: string;
  readonly #dialled: DialAddress;
  readonly #components: NeighbourComponents;
  readonly #options: NeighbourOptions<C>;
  readonly #service: string;
  readonly #key: CallKey;
  #line: Line<C>;
  #closed = false;
  /** A connection was given up, and none has answered since. */
  #silent = false;

  /** Throws ConfigurationError for an address that is not set or TLS files that cannot be used; connects with the first call. */
  constructor(components: NeighbourComponents, options: NeighbourOptions<C>) {
    const { address, setting } = options;
    if (address === undefined) throw new ConfigurationError([`${setting}: must not be empty`]);
    this.#components = components;
    this.#options = options;
    this.#dialled = address;
    this.address = address.text;
    this.#service = options.setting.replace('_grpcAddress', '');
    this.#key = new CallKey(components, { service: this.#service, address: this.address, setting });
    this.#line = this.#open();
  }

  /** Rejects with the errors of `callUnary`, the address before what they say, or KeyRefusedError. */
  async call<Q, R>(
    select: (client: C) => UnaryMethod<Q, R>,
    request: Q,
    policy: NeighbourCallPolicy = {},
  ): Promise<R> {
    let line = this.#line;
    const method = this.#recorded(select, policy, (used) => {
      line = used;
    });
    const span = this.#span(select, policy);
    const headers = span === undefined ? {} : (this.#components.tracers?.tracer?.headers(span.context) ?? {});
    let metadata = this.#key.metadata();
    const attempt = () => {
      metadata = this.#key.metadata();
      for (const name in headers) metadata.set(name, headers[name] as string);
      return callUnary(method, request, policy, metadata);
    };
    try {
      const answer = await attempt().catch(async (error: unknown) => {
        if (!policy.onceMore || !isLate(error)) throw error;
        await line.asking;
        if (line === this.#line || this.#closed) throw error;
        return attempt();
      });
      endOf(span);
      return answer;
    } catch (error) {
      const explained = this.#key.explained(error, metadata);
      endOf(span, explained);
      throw explained;
    }
  }

  /** Of a call, where it is traced. What asks after a service's health is not: it comes at each look of whoever watches this one. */
  #span<Q, R>(
    select: (client: C) => UnaryMethod<Q, R>,
    { trace }: NeighbourCallPolicy,
  ): TraceSpan | undefined {
    const tracer = this.#components.tracers?.tracer;
    if (tracer === undefined) return undefined;
    const { path = '' } = select(this.#line.client) as { readonly path?: string };
    const method = path.slice(1);
    if (method.endsWith('/HealthGRPC')) return undefined;
    const { host, port } = this.#dialled;
    return tracer.start(method, {
      kind: 'client',
      parent: trace,
      values: {
        ...rpcValues(method),
        'server.address': host,
        'server.port': port,
      },
    });
  }

  /**
   * The messages of a stream until `signal`. Throws UnavailableError when it ends or its connection is given up, KeyRefusedError, or
   * RpcError. A signal whose reason is a SilenceError gives the connection up.
   */
  async *stream<R>(
    open: (client: C, metadata: Metadata) => ClientReadableStream<R>,
    signal: AbortSignal,
  ): AsyncIterable<R> {
    if (signal.aborted) return;
    const line = this.#line;
    const metadata = this.#key.metadata();
    const call = open(line.client, metadata);
    const stream: OpenStream = { call, lost: undefined };
    line.streams.add(stream);
    line.began();
    const abort = (): void => call.cancel();
    signal.addEventListener('abort', abort, { once: true });
    try {
      for await (const message of call) {
        this.#heard(line, call.getPeer());
        yield message as R;
      }
    } catch (error) {
      if (!signal.aborted) throw stream.lost ?? this.#key.explained(rpcError(error), metadata);
    } finally {
      signal.removeEventListener('abort', abort);
      line.streams.delete(stream);
      // After a break, cancelling says so again to nobody.
      call.on('error', () => {});
      call.cancel();
      line.ended();
      if (signal.reason instanceof SilenceError) this.#giveUp(line, call.getPeer(), signal.reason.message);
    }
    if (!signal.aborted)
      throw new UnavailableError(`${this.address}: the ${this.#service} service ended the stream`);
  }

  close(): void {
    this.#closed = true;
    this.#line.close();
  }

  #open(): Line<C> {
    const { settings, tls } = this.#components;
    return new Line(openChannel(this.#dialled, settings, tls), this.#options.connect);
  }

  /** A method of whichever client is in use when it is called, which tells `used` so, and of whose outcome a record is kept. */
  #recorded<Q, R>(
    select: (client: C) => UnaryMethod<Q, R>,
    { patient = false, signal }: NeighbourCallPolicy,
    used: (line: Line<C>) => void = () => {},
  ): UnaryMethod<Q, R> {
    return (request, metadata, options, callback) => {
      const line = this.#line;
      used(line);
      const began = performance.now();
      line.began();
      const call = select(line.client).call(line.client, request, metadata, options, (error, response) => {
        line.ended();
        if (isAnswer(error)) this.#heard(line, call.getPeer());
        else if (!patient && isMissed(error, options, signal)) this.#missed(line, call.getPeer(), began);
        callback(error, response);
      });
      return call;
    };
  }

  #heard(line: Line<C>, peer: string): void {
    line.missed.delete(peer);
    if (line !== this.#line || !this.#silent) return;
    this.#silent = false;
    this.#components.logger.info({ service: this.#service, peer }, 'the service answers again');
  }

  #missed(line: Line<C>, peer: string, began: number): void {
    if (line !== this.#line || this.#closed) return;
    const before = line.missed.get(peer);
    // Calls that were under way together and missed it together are one silence, perhaps this process's own.
    if (before !== undefined && began >= before) {
      this.#giveUp(line, peer, 'two calls in a row got no answer');
      return;
    }
    if (before === undefined) line.missed.set(peer, performance.now());
    line.asking ??= this.#ask().finally(() => {
      line.asking = undefined;
    });
  }

  async #ask(): Promise<void> {
    const { probe, probeMs = 2_000 } = this.#options;
    const policy = { deadlineMs: probeMs, retries: 0 };
    await callUnary(this.#recorded(probe, policy), {}, policy, this.#key.metadata()).catch(() => {});
  }

  #giveUp(line: Line<C>, peer: string, reason: string): void {
    if (line !== this.#line || this.#closed) return;
    this.#line = this.#open();
    this.#components.metrics?.givenUp.inc({ service: this.#service });
    // Once an outage.
    const level = this.#silent ? 'debug' : 'warn';
    this.#silent = true;
    this.#components.logger[level](
      { service: this.#service, peer, reason },
      'a service is silent: connecting anew',
    );
    const unconnected = line.client.getChannel().getTarget();
    for (const stream of line.streams) {
      const at = stream.call.getPeer();
      if (at !== peer && at !== unconnected) continue;
      stream.lost = new UnavailableError(`${this.address} is silent: ${reason}`);
      stream.call.cancel();
    }
    line.close();
  }
}

/** Whether the service itself has spoken, whatever it said. */
function isAnswer(error: ServiceError | null): boolean {
  if (error === null) return true;
  const { code } = error;
  return code !== Status.UNAVAILABLE && code !== Status.DEADLINE_EXCEEDED && code !== Status.CANCELLED;
}

/** Whether time ran out: the deadline, which the service may be the first to say, or what the caller had allowed. */
function isMissed(
  error: ServiceError | null,
  { deadline }: Partial<CallOptions>,
  signal: AbortSignal | undefined,
): boolean {
  if (error?.code === Status.DEADLINE_EXCEEDED) return true;
  if (error?.code !== Status.CANCELLED) return false;
  if (signal?.aborted) return isLate(signal.reason);
  return libraryTime() >= Number(deadline) - DEADLINE_SLACK_MS;
}

function endOf(span: TraceSpan | undefined, error?: unknown): void {
  if (span === undefined) return;
  const status = error === undefined ? 'OK' : statusNameOf(error);
  span.set({ 'rpc.status_code': status });
  if (error !== undefined) span.fail(status, errorMessage(error));
  span.end();
}
