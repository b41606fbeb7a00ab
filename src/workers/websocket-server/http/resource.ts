/** What a path of the port is, and what it answers. */

import { type FeedProblem, PROBLEM_TYPE, type ProblemCode } from '../../../shared/firehose/problems.js';
import type { HttpRequest, ResponseStream } from '../transport/index.js';

export type Headers = readonly (readonly [name: string, value: string])[];

interface Head {
  readonly status: number;
  readonly contentType: string;
  readonly headers?: Headers;
  /** Of a refusal: the code that it tells. */
  readonly code?: ProblemCode;
}

interface Whole extends Head {
  readonly body: string | Uint8Array;
}

interface Streamed extends Head {
  /** Writes the body, from the turn of the answer on. Not called for a HEAD. */
  readonly stream: (out: ResponseStream) => void;
  /** Bytes of it, where they are known. */
  readonly length?: number;
}

/** What a resource answers, without what every answer has. */
export type Answer = Whole | Streamed;

/** How a resource says that it does not do what it is asked. */
export type Refuse = (problem: FeedProblem, request: HttpRequest) => Answer;

export interface Asked {
  readonly request: HttpRequest;
  /** Where the request comes from. */
  readonly client: string;
  /** Of the path, what is below the resource's; empty at the path itself. */
  readonly rest: string;
}

export interface Resource {
  /** Ends with `/` where it is all that is below it. */
  readonly path: string;
  readonly refuse: Refuse;
  /** Headers of an answer that a page of another origin may read. */
  readonly exposed?: string;
  /** The answer to a GET, or a HEAD. Throws FeedProblem. */
  answer(asked: Asked): Answer;
}

export const NOT_STORED: Headers = [['cache-control', 'no-store']];

export const plain = (status: number, body: string, headers: Headers = NOT_STORED): Answer => ({
  status,
  contentType: 'text/plain',
  body,
  headers,
});

/** In words alone. */
export const refusePlainly: Refuse = ({ status, detail, headers }) =>
  plain(status, detail, [...NOT_STORED, ...headers]);

/** For programs: problem details (RFC 9457). */
export const refuseAsProblem: Refuse = (problem) => ({
  status: problem.status,
  contentType: PROBLEM_TYPE,
  body: problem.body(),
  headers: [...NOT_STORED, ...problem.headers],
  code: problem.code,
});
