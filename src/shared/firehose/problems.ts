/** What can be wrong with a request for the feed, or go wrong with one that was granted: a table, from which answers, close codes and documentation come. */

import { STATUS_CODES } from 'node:http';

interface ProblemKind {
  /** HTTP status of the answer, before a WebSocket is upgraded and on every other endpoint; 0: it comes only after a stream has begun. */
  readonly status: number;
  /** Close code of a WebSocket; 0: it never concerns one. */
  readonly close: number;
  /** What it means. */
  readonly text: string;
  /** What a client does about it. */
  readonly remedy: string;
}

const CORRECT = 'Correct the request: the same one is refused again.';
const RETRY = 'Try again, with a backoff, from the last cursor.';

export const PROBLEMS = {
  bad_parameter: {
    status: 400,
    close: 4400,
    text: 'A parameter is repeated, empty, out of its bounds, or does not go with another.',
    remedy: CORRECT,
  },
  unknown_parameter: {
    status: 400,
    close: 4400,
    text: 'There is no such parameter here; names are in lower case.',
    remedy: CORRECT,
  },
  unknown_kind: {
    status: 400,
    close: 4400,
    text: 'There is no such kind; `kinds` of the answer are those there are.',
    remedy: CORRECT,
  },
  query_too_long: {
    status: 414,
    close: 4400,
    text: 'The query is longer than 8 KiB.',
    remedy: CORRECT,
  },
  token_missing: {
    status: 401,
    close: 4401,
    text: 'This server wants a token.',
    remedy: 'Send one, in the header or as a parameter.',
  },
  token_unknown: {
    status: 401,
    close: 4401,
    text: 'This server does not know the token.',
    remedy: 'Ask the operator for another.',
  },
  not_allowed: {
    status: 403,
    close: 4403,
    text: 'The token does not allow what was asked for.',
    remedy: 'Ask for what it allows, or the operator for more.',
  },
  token_in_use: {
    status: 429,
    close: 1013,
    text: 'As many connections as the token allows are open.',
    remedy: 'Close one, or try again later.',
  },
  cursor_too_old: {
    status: 410,
    close: 4410,
    text: 'What follows the cursor, or was received since the time asked for, is no longer all kept, and `strict` was asked for; `oldest` of the answer is the oldest cursor there is.',
    remedy: 'Go on from `oldest`, knowing that something is missing.',
  },
  cursor_unknown: {
    status: 410,
    close: 4410,
    text: 'The cursor is not of this history, and `strict` was asked for; `oldest` of the answer is the oldest cursor there is.',
    remedy: 'Go on from `oldest` or by `since`, knowing that something is missing or comes again.',
  },
  bad_request: {
    status: 400,
    close: 0,
    text: 'The request is not framed as HTTP has it.',
    remedy: CORRECT,
  },
  origin_not_allowed: {
    status: 403,
    close: 4403,
    text: 'The operator does not allow pages of this origin.',
    remedy: 'Ask the operator to allow the origin.',
  },
  method_not_allowed: {
    status: 405,
    close: 0,
    text: 'The resource is only read: GET, HEAD and OPTIONS.',
    remedy: CORRECT,
  },
  not_acceptable: {
    status: 406,
    close: 0,
    text: 'The resource has no form that `Accept` allows.',
    remedy: 'Accept `text/event-stream`.',
  },
  precondition_failed: {
    status: 412,
    close: 0,
    text: 'The resource is not the one of `If-Match`.',
    remedy: 'Read it anew.',
  },
  range_not_satisfiable: {
    status: 416,
    close: 0,
    text: 'The resource has nothing of what `Range` asks for; `Content-Range` of the answer has its size.',
    remedy: CORRECT,
  },
  internal: {
    status: 500,
    close: 0,
    text: 'The server could not answer.',
    remedy: RETRY,
  },
  unknown_method: {
    status: 501,
    close: 0,
    text: 'The method is none that is known.',
    remedy: CORRECT,
  },
  not_found: {
    status: 404,
    close: 0,
    text: 'There is no such resource, or no longer.',
    remedy: 'Correct the path; where it was a segment’s, read the list again.',
  },
  too_many_requests: {
    status: 429,
    close: 1013,
    text: 'Too many requests from this address.',
    remedy: RETRY,
  },
  too_many_connections: {
    status: 503,
    close: 1013,
    text: 'The server, or its share for this address, is full.',
    remedy: RETRY,
  },
  too_many_filters: {
    status: 503,
    close: 1013,
    text: 'The server holds no more different filters by peer.',
    remedy: RETRY,
  },
  too_many_renderings: {
    status: 503,
    close: 1013,
    text: 'The server makes no more different batches.',
    remedy: RETRY,
  },
  unavailable: {
    status: 503,
    close: 1013,
    text: 'The history cannot be read now.',
    remedy: RETRY,
  },
  too_slow: {
    status: 0,
    close: 1013,
    text: 'The client fell so far behind that what it needs next is no longer kept.',
    remedy: 'Connect again from the last cursor; an `info` frame tells what is missing.',
  },
} as const satisfies Readonly<Record<string, ProblemKind>>;

export type ProblemCode = keyof typeof PROBLEMS;

/** What a problem has besides, in an answer and in an `error` frame. What its members say is in `control-fields.ts`. */
export interface ProblemExtra {
  readonly parameter?: string;
  readonly parameters?: readonly string[];
  readonly kinds?: readonly string[];
  readonly oldest?: string;
}

/** Of answers with a problem (RFC 9457). */
export const PROBLEM_TYPE = 'application/problem+json';

/** Why a request for the feed is refused, or a stream ended. Its text never holds a token. */
export class FeedProblem extends Error {
  override readonly name = 'FeedProblem';
  /** HTTP status; 0 where only a stream that has begun ends so. */
  readonly status: number;
  /** Close code of a WebSocket. */
  readonly close: number;

  /** `detail`: of this very case, in a sentence. `extra`: members that the answer has besides. */
  constructor(
    readonly code: ProblemCode,
    readonly detail: string = PROBLEMS[code].text.replaceAll('`', ''),
    readonly extra: ProblemExtra = {},
  ) {
    super(detail);
    const { status, close } = PROBLEMS[code];
    this.status = status;
    this.close = close;
  }

  /** What the answer has besides its body's type: how to authenticate (RFC 9110, section 11.6.1), and when to come again. */
  get headers(): readonly (readonly [name: string, value: string])[] {
    if (this.status === 401) return [['www-authenticate', 'Bearer']];
    return this.status === 429 || this.status === 503 ? [['retry-after', '1']] : [];
  }

  /** The body of an answer, of type {@link PROBLEM_TYPE}: RFC 9457's members, `code`, and what this case has besides. */
  body(): string {
    const { code, status, detail, extra } = this;
    return JSON.stringify({
      type: 'about:blank',
      title: STATUS_CODES[status],
      status,
      detail,
      code,
      ...extra,
    });
  }
}

/** Characters of a cursor that are shown to whoever came with it. */
const SHOWN_CHARACTERS = 40;

/** Of a cursor of any length and content. */
export function badCursor(text: string, why = 'is no cursor of this server'): FeedProblem {
  const cut = text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text;
  // Whatever a terminal would act on, or show as something else, is escaped.
  const shown = JSON.stringify(cut).replace(
    /[^\x20-\x7e…]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return new FeedProblem('bad_parameter', `cursor ${shown} ${why}`, { parameter: 'cursor' });
}
