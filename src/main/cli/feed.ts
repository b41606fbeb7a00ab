/** The consumers' library as the command line uses it. */

import { type FeedOptions, feed } from '#feed';
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

/** The frames of a server of one's own, from now on and whenever it is there, until the signal comes. */
export async function* ownFeed(url: string, signal: AbortSignal): AsyncGenerator<ToldFrame> {
  for await (const event of feed({ url, plain: true, signal, ...(await socketOptions()) })) {
    if (event.type !== 'gap') yield event as unknown as ToldFrame;
  }
}
