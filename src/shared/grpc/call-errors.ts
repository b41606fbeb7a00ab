/** What calls reject with, besides `UnavailableError` and `AbortedError`. */

/** The service answered that there is no such thing. */
export class NotFoundError extends Error {
  override readonly name = 'NotFoundError';
}

/** No answer within the deadline. */
export class DeadlineError extends Error {
  override readonly name = 'DeadlineError';
}

/** The service refused: asking again the same way is useless. */
export class RpcError extends Error {
  override readonly name = 'RpcError';
  constructor(
    message: string,
    /** gRPC status code. */
    readonly code: number,
    /** Name of the status code, for logs and metrics. */
    readonly codeName: string,
  ) {
    super(message);
  }
}
