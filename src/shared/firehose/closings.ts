/** Close codes with which the server ends a WebSocket, and what a client does at each. Those of a problem (`problems.ts`) come behind an `error` frame where the stream has `meta`. */

export interface Closing {
  readonly code: number;
  /** When it comes. */
  readonly text: string;
  /** What a client does. */
  readonly remedy: string;
}

const AGAIN = 'Connect again, with a backoff; with a cursor nothing is missed.';

export const CLOSINGS = {
  goingAway: { code: 1001, text: 'The server is stopped.', remedy: AGAIN },
  policy: {
    code: 1008,
    text: 'The client has sent more than 100 messages, or more than 600 pings, within a minute.',
    remedy: 'Send less: nothing that a client sends means anything here.',
  },
  restart: {
    code: 1012,
    text: 'Another server takes over, or this one has missed frames that it cannot give to a client without `meta`.',
    remedy: 'Connect again at once; with a cursor nothing is missed.',
  },
  tryLater: {
    code: 1013,
    text: 'The client was too slow, or the server is full; with `meta` an `error` frame says which.',
    remedy: AGAIN,
  },
} as const satisfies Readonly<Record<string, Closing>>;

/** All that a client may see, by the code. */
export const CLOSE_CODES: readonly Closing[] = [
  { code: 1000, text: 'The client has closed.', remedy: 'Nothing.' },
  CLOSINGS.goingAway,
  {
    code: 1006,
    text: 'No close frame came: the network, or a client that took nothing for five seconds or answered no ping within 54 s.',
    remedy: AGAIN,
  },
  CLOSINGS.policy,
  {
    code: 1009,
    text: 'A message of the client’s was longer than 1,024 bytes. With uWebSockets.js the connection is cut instead.',
    remedy: 'Send none.',
  },
  CLOSINGS.restart,
  CLOSINGS.tryLater,
  { code: 4400, text: 'A parameter is wrong.', remedy: 'Correct it: the same request is refused again.' },
  {
    code: 4401,
    text: 'The token is missing or not known, also one that was taken out of the file.',
    remedy: 'Ask the operator for one.',
  },
  { code: 4403, text: 'The token does not allow what was asked for.', remedy: 'Ask for what it allows.' },
  {
    code: 4410,
    text: 'With `strict`: what follows the cursor is no longer kept, or the cursor is of another history.',
    remedy: 'Go on from `oldest` of the `error` frame, knowing that something is missing.',
  },
];
