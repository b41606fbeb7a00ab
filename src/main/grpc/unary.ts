/** A gRPC method around an async function: its codes, its key, its figures. */

import {
  type handleUnaryCall,
  type Metadata,
  type ServerUnaryCall,
  type ServiceError,
  status as Status,
} from '@grpc/grpc-js';
import { libraryTime } from '../../shared/clock.js';
import { AbortedError, errorMessage, UnavailableError } from '../../shared/errors.js';
import type { Logger } from '../../shared/logging/logger.js';
import { startAtZero } from '../../shared/metrics/zeroed-counter.js';
import { withoutSecrets } from '../../shared/redaction.js';
import { rpcValues } from '../../shared/tracing/rpc.js';
import type { Tracer } from '../../shared/tracing/tracer.js';
import type { Tracers } from '../../shared/tracing/tracing.js';
import type { TraceSpan } from '../../shared/tracing/types.js';
import type { AdminKey } from './admin-key.js';
import type { GrpcConnections } from './connections.js';
import type { PeerServiceMetrics } from './metrics.js';
import { Encoded } from './shared-answer.js';

/** Answered to the caller with this code and text. */
export class CallError extends Error {
  override readonly name = 'CallError';
  constructor(
    readonly code: Status,
    message: string,
  ) {
    super(message);
  }
}

export interface CallContext {
  readonly logger: Logger;
  readonly metrics: PeerServiceMetrics;
  readonly adminKey: AdminKey;
  readonly connections: Pick<GrpcConnections, 'answering'>;
  /** Undefined: no call is traced. */
  readonly tracers?: Pick<Tracers, 'tracer'> | undefined;
}

export interface MethodOptions<Request, Response> {
  /** Needs the metadata key x-api-key. */
  readonly admin: boolean;
  /** The signal fires when the caller gives up or its deadline passes. */
  readonly answer: (
    request: Request,
    signal: AbortSignal,
  ) => Promise<Response | Encoded> | Response | Encoded;
}

/** Longer than any answer here may take; a caller's own deadline is usually shorter. */
const LONGEST_CALL_MS = 30_000;
const SERVICE = 'p2p_api.PeerService';
/** The caller keeps the same deadline, and may give up a few milliseconds before it has passed here. */
const DEADLINE_SLACK_MS = 100;

export function unary<Request, Response>(
  context: CallContext,
  method: string,
  { admin, answer }: MethodOptions<Request, Response>,
): handleUnaryCall<Request, Response> {
  const { logger, metrics, adminKey, connections, tracers } = context;
  startAtZero(metrics.calls, { method: [method], code: ['OK'] });
  metrics.seconds.zero({ method });
  return (call, callback) => {
    const seconds = metrics.seconds.startTimer({ method });
    const span = spanOf(tracers?.tracer, method, call, adminKey);
    const giveUp = new AbortController();
    const give = (): void => giveUp.abort();
    call.once('cancelled', give);
    const timer = setTimeout(give, LONGEST_CALL_MS).unref();
    const work = async (): Promise<Response> => {
      if (admin) requireKey(call, adminKey);
      const response = await answer(call.request, giveUp.signal);
      if (!(response instanceof Encoded)) return response;
      // Emitted at the end of each call, whatever the end.
      if (call.cancelled) throw new AbortedError('given up');
      const release = connections.answering(call.getPeer(), response.bytes.length);
      if (release === undefined)
        throw new CallError(Status.RESOURCE_EXHAUSTED, 'too many long answers are not taken yet');
      call.once('cancelled', release);
      return response as Response;
    };
    work()
      .then(
        (response) => {
          metrics.calls.inc({ method, code: 'OK' });
          endOf(span, Status.OK);
          callback(null, response);
        },
        (error: unknown) => {
          const code = error instanceof AbortedError ? givenUp(call) : codeOf(error);
          metrics.calls.inc({ method, code: Status[code] });
          if (code === Status.INTERNAL) logger.error({ err: error, method }, 'a gRPC call failed');
          else if (error instanceof AbortedError) logger.debug({ method }, 'a gRPC call was given up');
          // What went wrong inside is not the caller's to read.
          const details = code === Status.INTERNAL ? 'internal error' : withoutSecrets(errorMessage(error));
          endOf(span, code, details);
          callback({ code, details } satisfies Partial<ServiceError>);
        },
      )
      .finally(() => {
        clearTimeout(timer);
        call.off('cancelled', give);
        seconds();
      });
  };
}

/** Of a call, where it is traced: by its caller's word, or by chance. */
function spanOf(
  tracer: Tracer | undefined,
  method: string,
  { metadata }: ServerUnaryCall<unknown, unknown>,
  adminKey: AdminKey,
): TraceSpan | undefined {
  if (tracer === undefined) return undefined;
  const name = `${SERVICE}/${method}`;
  const get = (key: string): string | undefined => {
    const values = metadata.get(key);
    return values.length === 0 ? undefined : values.join(',');
  };
  const known = refusalOf(metadata, adminKey) === undefined;
  return tracer.incoming(name, get, { kind: 'server', values: rpcValues(name), known });
}

/** By the conventions these are the server's fault. */
const SERVERS_FAULTS: ReadonlySet<Status> = new Set([
  Status.UNKNOWN,
  Status.DEADLINE_EXCEEDED,
  Status.UNIMPLEMENTED,
  Status.INTERNAL,
  Status.UNAVAILABLE,
  Status.DATA_LOSS,
]);

function endOf(span: TraceSpan | undefined, code: Status, details?: string): void {
  if (span === undefined) return;
  span.set({ 'rpc.status_code': Status[code] });
  if (SERVERS_FAULTS.has(code)) span.fail(String(Status[code]), details);
  span.end();
}

function requireKey({ metadata }: ServerUnaryCall<unknown, unknown>, adminKey: AdminKey): void {
  const refusal = refusalOf(metadata, adminKey);
  if (refusal !== undefined) throw new CallError(Status.UNAUTHENTICATED, refusal);
}

/** Why a caller is not known by its key; undefined where it is. */
function refusalOf(metadata: Metadata, adminKey: AdminKey): string | undefined {
  const offered = metadata.get('x-api-key');
  const [key] = offered;
  if (offered.length !== 1 || typeof key !== 'string') return 'this call needs the metadata key x-api-key';
  if (!adminKey.matches(key)) return 'wrong x-api-key';
  // Told only to who knows the key.
  return adminKey.refused;
}

/** Why a call was given up: its caller went, or its deadline, or what this server allows for it, has passed. */
function givenUp(call: ServerUnaryCall<unknown, unknown>): Status {
  if (!call.cancelled) return Status.DEADLINE_EXCEEDED;
  const left = Number(call.getDeadline()) - libraryTime();
  return left <= DEADLINE_SLACK_MS ? Status.DEADLINE_EXCEEDED : Status.CANCELLED;
}

function codeOf(error: unknown): Status {
  if (error instanceof CallError) return error.code;
  if (error instanceof UnavailableError) return Status.UNAVAILABLE;
  // Bans and multiaddrs that do not parse, times past.
  if (error instanceof RangeError) return Status.INVALID_ARGUMENT;
  return Status.INTERNAL;
}
