/** Follows a server's WebSocket feed. */

import { errorMessage } from '../../shared/errors.js';

/** Bytes of one frame at the most. */
const FRAME_BOUND = 1024 * 1024;
const HANDSHAKE_MS = 10_000;
/** A server pings every 54 s: after two that did not come, its machine or the way to it is gone without a word. */
const SILENCE_MS = 120_000;

export interface FeedOptions {
  readonly url: string;
  /** Accept any certificate. */
  readonly insecure?: boolean;
  readonly signal: AbortSignal;
  readonly onFrame: (text: string) => void;
  /** Milliseconds without a frame or ping that end the feed; 120,000 unless told. */
  readonly silenceMs?: number;
}

/** Resolves when the feed ended or the signal came; rejects when it could not be had, with the socket's error as the cause. */
export async function followFeed({
  url,
  insecure = false,
  signal,
  onFrame,
  silenceMs = SILENCE_MS,
}: FeedOptions): Promise<void> {
  // Loaded where it is used.
  const { WebSocket } = await import('ws');
  if (signal.aborted) return;
  const socket = new WebSocket(url, {
    maxPayload: FRAME_BOUND,
    handshakeTimeout: HANDSHAKE_MS,
    rejectUnauthorized: !insecure,
  });
  const close = () => socket.terminate();
  signal.addEventListener('abort', close, { once: true });
  let silence: NodeJS.Timeout | undefined;
  const heard = (): void => {
    clearTimeout(silence);
    silence = setTimeout(close, silenceMs);
  };
  try {
    await new Promise<void>((resolve, reject) => {
      let opened = false;
      socket.once('open', () => {
        opened = true;
        heard();
      });
      socket.on('ping', heard);
      socket.on('message', (data, isBinary) => {
        heard();
        if (!isBinary) onFrame(String(data));
      });
      socket.once('error', (error) => {
        if (opened || signal.aborted) resolve();
        else
          reject(
            new Error(
              `${url} cannot be reached: ${errorMessage(error) || (error as NodeJS.ErrnoException).code}`,
              { cause: error },
            ),
          );
      });
      socket.once('close', () => resolve());
    });
  } finally {
    clearTimeout(silence);
    signal.removeEventListener('abort', close);
  }
}
