/** Close codes with which the server ends a WebSocket, and what a client does at each. */

export interface Closing {
  readonly code: number;
  /** When it comes. */
  readonly text: string;
  /** Whether an `error` frame comes before it. */
  readonly error: string;
  /** What a client does. */
  readonly remedy: string;
}

const NEVER = 'never';
/** Where the handshake is refused it is told so to a browser's page alone, with or without `meta`. */
const ALWAYS = 'always';
const MOSTLY = 'with `meta`, and where the request itself was refused';

const AGAIN = 'Connect again, with a backoff; with a cursor nothing is missed.';

export const CLOSINGS = {
  goingAway: { code: 1001, text: 'The server is stopped.', error: NEVER, remedy: AGAIN },
  policy: {
    code: 1008,
    text: 'The client has sent more than 100 messages, or more than 600 pings, within a minute.',
    error: NEVER,
    remedy: 'Send less: nothing that a client sends means anything here.',
  },
  restart: {
    code: 1012,
    text: 'Another server takes over, or this one has missed frames that it cannot give to a client without `meta`.',
    error: NEVER,
    remedy: 'Connect again at once; with a cursor nothing is missed.',
  },
  tryLater: {
    code: 1013,
    text: 'The client was too slow, the server or the client’s share of it is full, as many connections as the token allows are open, or the history cannot be read.',
    error: MOSTLY,
    remedy: AGAIN,
  },
} as const satisfies Readonly<Record<string, Closing>>;

/** All that a client may see, by the code. */
export const CLOSE_CODES: readonly Closing[] = [
  { code: 1000, text: 'The client has closed.', error: NEVER, remedy: 'Nothing.' },
  CLOSINGS.goingAway,
  {
    code: 1006,
    text: 'No close frame came: the network, or a client that took nothing for five seconds or answered no ping within 54 s.',
    error: NEVER,
    remedy: AGAIN,
  },
  CLOSINGS.policy,
  {
    code: 1009,
    text: 'A message of the client’s was longer than 1,024 bytes. With uWebSockets.js the connection is cut instead.',
    error: NEVER,
    remedy: 'Send none.',
  },
  CLOSINGS.restart,
  CLOSINGS.tryLater,
  {
    code: 4400,
    text: 'A parameter is wrong.',
    error: ALWAYS,
    remedy: 'Correct it: the same request is refused again.',
  },
  {
    code: 4401,
    text: 'The token is missing or not known, also one that was taken out of the file.',
    error: MOSTLY,
    remedy: 'Ask the operator for one.',
  },
  {
    code: 4403,
    text: 'The token does not allow what was asked for.',
    error: ALWAYS,
    remedy: 'Ask for what it allows.',
  },
  {
    code: 4410,
    text: 'With `strict`: what follows the cursor is no longer kept, or the cursor is of another history.',
    error: ALWAYS,
    remedy: 'Go on from `oldest` of the `error` frame, knowing that something is missing.',
  },
];
