/** Reading a whole short request or answer from a stream, bounded in bytes and time. */

import { type Stream, StreamResetError } from '@libp2p/interface';

export class OversizeError extends Error {
  override readonly name = 'OversizeError';
}

/** Nothing came. */
export class SilenceError extends Error {
  override readonly name = 'SilenceError';
}

export interface ReadOptions {
  /** More than this rejects with OversizeError. */
  readonly maxBytes: number;
  readonly signal: AbortSignal;
  /** No byte for so many ms from now on rejects with SilenceError. */
  readonly silenceMs?: number;
  /** Looked at after each piece: true ends the read before the remote end does. */
  readonly isComplete?: (bytes: Uint8Array) => boolean;
}

/**
 * Everything the remote end writes until it closes its half, or until `isComplete`. Rejects on OversizeError, SilenceError, on a reset, and
 * with the signal's reason. The stream stays open for writing; whoever gets a rejection aborts it.
 */
export function readStream(
  stream: Stream,
  { maxBytes, signal, silenceMs, isComplete }: ReadOptions,
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const pieces: Uint8Array[] = [];
    let size = 0;
    let silence: NodeJS.Timeout | undefined;
    const settle = (error?: unknown): void => {
      clearTimeout(silence);
      stream.removeEventListener('message', onMessage);
      stream.removeEventListener('end', onEnd);
      stream.removeEventListener('close', onClose);
      signal.removeEventListener('abort', onAbort);
      if (error === undefined) resolve(Buffer.concat(pieces));
      else reject(error);
    };
    const onMessage = ({ data }: { data: { byteLength: number; subarray(): Uint8Array } }): void => {
      clearTimeout(silence);
      size += data.byteLength;
      if (size > maxBytes) {
        settle(new OversizeError(`more than ${maxBytes} bytes`));
        return;
      }
      // Copied: what the stream hands out may be part of a larger buffer.
      pieces.push(Uint8Array.from(data.subarray()));
      if (isComplete?.(pieces.length === 1 ? (pieces[0] as Uint8Array) : Buffer.concat(pieces)) === true)
        settle();
    };
    // A reset also ends the readable side, and says so before it says why.
    const onEnd = (): void =>
      settle(stream.status === 'reset' || stream.status === 'aborted' ? new StreamResetError() : undefined);
    const onClose = ({ error }: { error?: Error }): void => settle(error);
    const onAbort = (): void => settle(signal.reason);
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    if (silenceMs !== undefined) {
      silence = setTimeout(() => {
        // A turn later: what came while this process was busy is handed out first.
        silence = setTimeout(() => settle(new SilenceError(`nothing came in ${silenceMs} ms`)));
      }, silenceMs).unref();
    }
    signal.addEventListener('abort', onAbort, { once: true });
    stream.addEventListener('end', onEnd, { once: true });
    stream.addEventListener('close', onClose, { once: true });
    stream.addEventListener('message', onMessage);
    // The end may be there already while bytes that came with the protocol's name are not handed out yet: the listener above
    // has them handed out in the microtask before this one, and the end is not told again.
    if (stream.readableEnded) queueMicrotask(onEnd);
  });
}

/**
 * Writes `data` if any, closes our half, and gives the remote end until the signal to close its own; then the stream is
 * reset, so that none lingers.
 */
export async function finishStream(
  stream: Stream,
  data: Uint8Array | undefined,
  signal: AbortSignal,
): Promise<void> {
  if (data !== undefined && data.length > 0 && !stream.send(data)) await stream.onDrain({ signal });
  await stream.close({ signal });
  if (stream.status === 'closed') return;
  const reset = (): void => stream.abort(new Error('the remote end did not close its half in time'));
  signal.addEventListener('abort', reset, { once: true });
  stream.addEventListener('close', () => signal.removeEventListener('abort', reset), { once: true });
}
