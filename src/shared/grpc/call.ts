/** One unary call: within a deadline, retried while the service is away, given up by a signal, its errors typed. */

import {
  type CallOptions,
  type ClientUnaryCall,
  Metadata,
  type ServiceError,
  status as Status,
} from '@grpc/grpc-js';
import { retry } from '../async/retry.js';
import { libraryTime } from '../clock.js';
import { AbortedError, errorMessage, UnavailableError } from '../errors.js';
import type { Logger } from '../logging/logger.js';
import { DeadlineError, NotFoundError, RpcError } from './call-errors.js';
import { saysNotFound } from './wrapped-error.js';

export { DeadlineError, NotFoundError, RpcError };

/** Whether time ran out: a DeadlineError, or the reason of a signal that a timer has aborted. */
export function isLate(error: unknown): boolean {
  return error instanceof DeadlineError || (error instanceof Error && error.name === 'TimeoutError');
}

export interface CallPolicy {
  /**
   * Milliseconds for the call with all its attempts.
   * @default 5_000
   */
  readonly deadlineMs?: number;
  /**
   * Attempts after the first while the service is unavailable.
   * @default 3
   */
  readonly retries?: number;
  /**
   * Milliseconds before the first of them, doubled for each after it, up to 2 s, and a quarter more or less.
   * @default 100
   */
  readonly backoffMs?: number;
  /** Gives the call up: AbortedError. */
  readonly signal?: AbortSignal | undefined;
}

const MAX_BACKOFF_MS = 2_000;
/** Before the cause, once for each of the library's load balancers. */
const LAST_ERROR = 'Last error: ';

/**
 * The deadline travels with the call, so the server gives it up at the same moment and may say so first, with a reset that
 * reads as CANCELLED. Clocks and timers of the two differ by a few milliseconds.
 */
export const DEADLINE_SLACK_MS = 20;

/** A generated client's method, bound to its client. */
export type UnaryMethod<Request, Response> = (
  request: Request,
  metadata: Metadata,
  options: Partial<CallOptions>,
  callback: (error: ServiceError | null, response: Response) => void,
) => ClientUnaryCall;

/**
 * Calls `method` and resolves with its answer. Rejects with UnavailableError, DeadlineError, NotFoundError, AbortedError
 * or RpcError. Only what is unavailable is retried, and only within the deadline.
 */
export async function callUnary<Request, Response>(
  method: UnaryMethod<Request, Response>,
  request: Request,
  policy: CallPolicy = {},
  metadata: Metadata = new Metadata(),
): Promise<Response> {
  const { deadlineMs = 5_000, retries = 3, backoffMs = 100, signal } = policy;
  const deadline = libraryTime() + deadlineMs;
  return retry(() => attemptOnce(method, request, metadata, deadline, signal), {
    backoff: { firstMs: backoffMs, maxMs: MAX_BACKOFF_MS, jitter: 0.25 },
    attempts: retries + 1,
    signal,
    retryable: ({ error, waitMs }) => error instanceof UnavailableError && libraryTime() + waitMs < deadline,
  });
}

function attemptOnce<Request, Response>(
  method: UnaryMethod<Request, Response>,
  request: Request,
  metadata: Metadata,
  deadline: number,
  signal: AbortSignal | undefined,
): Promise<Response> {
  return new Promise<Response>((resolve, reject) => {
    if (signal?.aborted) {
      reject(new AbortedError('the call was given up before it began'));
      return;
    }
    const call = method(request, metadata, { deadline }, (error, response) => {
      signal?.removeEventListener('abort', abort);
      if (error === null) resolve(response);
      else if (
        error.code === Status.CANCELLED &&
        !signal?.aborted &&
        libraryTime() >= deadline - DEADLINE_SLACK_MS
      ) {
        reject(new DeadlineError('no answer within the deadline'));
      } else reject(rpcError(error, signal));
    });
    const abort = (): void => call.cancel();
    signal?.addEventListener('abort', abort, { once: true });
  });
}

/** The typed error for what grpc-js reports of a call or a stream. */
export function rpcError(error: unknown, signal?: AbortSignal): Error {
  if (signal?.aborted) return new AbortedError('the call was given up');
  const code = (error as { code?: unknown } | null)?.code;
  const message = (error as { details?: unknown } | null)?.details;
  const text = typeof message === 'string' && message !== '' ? message : errorMessage(error);
  switch (code) {
    case Status.UNAVAILABLE:
    // Not by our signal: a service that shuts down cuts its streams this way.
    case Status.CANCELLED:
      return new UnavailableError(plainCause(text));
    case Status.DEADLINE_EXCEEDED:
      return new DeadlineError(plainCause(text));
    case Status.NOT_FOUND:
      return new NotFoundError(text);
    default: {
      if (saysNotFound(error)) return new NotFoundError(text);
      const numeric = typeof code === 'number' ? code : Status.UNKNOWN;
      return new RpcError(text, numeric, Status[numeric] ?? 'UNKNOWN');
    }
  }
}

/** gRPC's name of the status that an error of a call stands for. */
export function statusNameOf(error: unknown): string {
  if (error instanceof RpcError) return error.codeName;
  if (error instanceof DeadlineError) return 'DEADLINE_EXCEEDED';
  if (error instanceof UnavailableError) return 'UNAVAILABLE';
  if (error instanceof NotFoundError) return 'NOT_FOUND';
  return error instanceof AbortedError ? 'CANCELLED' : 'UNKNOWN';
}

/**
 * What failed, out of grpc-js's words around it: those of each load balancer, when it was, and a note on how the name was resolved. Where to
 * is the caller's to say, who knows the address as the settings have it.
 */
function plainCause(details: string): string {
  const cause = (details.split(LAST_ERROR).at(-1) ?? '')
    .replace(/\s*\. Resolution note:.*$/s, '')
    .replace(/ \(\d{4}-\d\d-\d\dT[\d:.]+Z\)$/, '')
    .replace(/^Error: /, '');
  if (cause === 'null' || cause === '') return 'no connection';
  if (/^Name resolution failed for target|^No addresses resolved/.test(cause)) return 'the host is unknown';
  const [, seconds] = /^Deadline exceeded after ([\d.]+)s/.exec(cause) ?? [];
  if (seconds !== undefined) return `no answer within ${Number(seconds).toFixed(1)} s`;
  const [, tls] = /:SSL routines:[^:]*:([^:]+):/.exec(cause) ?? [];
  if (tls === 'wrong version number') return 'it speaks no TLS (security_level_grpc)';
  if (tls !== undefined) return `TLS: ${tls}`;
  return cause.replace(/^connect (E[A-Z]+) \S+$/, 'connect $1');
}

/** Between two lines of the log about a service that stays away. */
const TOLD_AGAIN_MS = 10_000;

export interface Patience {
  readonly signal: AbortSignal;
  readonly logger: Logger;
  /**
   * Milliseconds between two attempts.
   * @default 1_000
   */
  readonly retryMs?: number;
  /**
   * Errors that waiting cannot mend.
   * @default none
   */
  readonly final?: (error: unknown) => boolean;
}

/**
 * What `ask` answers, asked again for as long as it fails. Rejects with AbortedError at the signal, and with errors that
 * are final.
 */
export async function untilItAnswers<T>(
  ask: () => Promise<T>,
  { signal, logger, retryMs = 1_000, final = () => false }: Patience,
): Promise<T> {
  let told = Number.NEGATIVE_INFINITY;
  return retry(ask, {
    backoff: retryMs,
    signal,
    retryable: ({ error }) => !final(error),
    onRetry: ({ error }) => {
      const now = performance.now();
      if (now - told < TOLD_AGAIN_MS) return;
      logger.warn({ reason: errorMessage(error) }, 'waiting for the blockchain service');
      told = now;
    },
  });
}
