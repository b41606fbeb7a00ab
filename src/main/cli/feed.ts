/** The consumers' library as the command line uses it. */

import { FeedError, type FeedOptions, feed } from '#feed';
import { noFeed } from './feed-url.js';
import type { FeedFrame } from './frame-line.js';

/** Bytes of one message at the most. */
const MESSAGE_BOUND = 1024 * 1024;
/** Milliseconds between two attempts at the most: somebody waits. */
const RETRY_MS = 1000;

/** A frame, with its text as it came. */
export type ToldFrame = FeedFrame & { readonly json: string };

/** What every feed of the command line is told; `insecure`: accept any certificate. */
export async function socketOptions(
  insecure = false,
): Promise<Pick<FeedOptions, 'WebSocket' | 'webSocketOptions' | 'retryMs' | 'json'>> {
  // Loaded where it is used.
  const { WebSocket } = await import('ws');
  const webSocketOptions = { maxPayload: MESSAGE_BOUND, rejectUnauthorized: !insecure };
  return { WebSocket, webSocketOptions, retryMs: RETRY_MS, json: true };
}

/** The frames of a server of one's own, from now on and whenever it is there, until the signal comes. Throws CommandError where it gives none. */
export async function* ownFeed(
  url: string,
  { signal, token }: Pick<FeedOptions, 'signal' | 'token'>,
): AsyncGenerator<ToldFrame> {
  const options = { url, plain: true, ...(signal && { signal }), ...(token && { token }) } as const;
  try {
    for await (const event of feed({ ...options, ...(await socketOptions()) })) {
      if (event.type !== 'gap') yield event as unknown as ToldFrame;
    }
  } catch (error) {
    if (!(error instanceof FeedError)) throw error;
    throw noFeed(url, error.message, { problem: error.code, cause: error.cause });
  }
}
