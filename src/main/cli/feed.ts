/** Follows a server's WebSocket feed. */

import { WebSocket } from 'ws';
import { errorMessage } from '../../shared/errors.js';

/** Bytes of one frame at the most. */
const FRAME_BOUND = 1024 * 1024;
const HANDSHAKE_MS = 10_000;

export interface FeedOptions {
  readonly url: string;
  /** Accept any certificate. */
  readonly insecure?: boolean;
  readonly signal: AbortSignal;
  readonly onFrame: (text: string) => void;
}

/** Resolves when the feed ended or the signal came; rejects when it could not be had. */
export async function followFeed({ url, insecure = false, signal, onFrame }: FeedOptions): Promise<void> {
  if (signal.aborted) return;
  const socket = new WebSocket(url, {
    maxPayload: FRAME_BOUND,
    handshakeTimeout: HANDSHAKE_MS,
    rejectUnauthorized: !insecure,
  });
  const close = () => socket.terminate();
  signal.addEventListener('abort', close, { once: true });
  try {
    await new Promise<void>((resolve, reject) => {
      let opened = false;
      socket.once('open', () => {
        opened = true;
      });
      socket.on('message', (data, isBinary) => {
        if (!isBinary) onFrame(String(data));
      });
      socket.once('error', (error) => {
        if (opened || signal.aborted) resolve();
        else
          reject(
            new Error(
              `${url} cannot be reached: ${errorMessage(error) || (error as NodeJS.ErrnoException).code}`,
            ),
          );
      });
      socket.once('close', () => resolve());
    });
  } finally {
    signal.removeEventListener('abort', close);
  }
}
