/** Asks a running server over its control socket. */

import { connect } from 'node:net';
import { UnavailableError } from '../../shared/errors.js';
import { LineReader } from './lines.js';
import { type ControlMethod, type ControlMethods, type ControlResponse, RESPONSE_BOUND } from './protocol.js';

/** The server answered that it could not. */
export class ControlError extends Error {
  override readonly name = 'ControlError';
}

/**
 * One request over a connection of its own. Rejects with ControlError when the server refuses, UnavailableError when it
 * cannot be reached or does not answer within `timeoutMs` (10,000 unless told).
 */
export async function askServer<M extends ControlMethod>(
  socketPath: string,
  method: M,
  params: ControlMethods[M]['params'],
  timeoutMs = 10_000,
): Promise<ControlMethods[M]['result']> {
  const response = await new Promise<ControlResponse>((resolve, reject) => {
    const reader = new LineReader(RESPONSE_BOUND);
    const socket = connect(socketPath);
    const fail = (reason: string) => {
      socket.destroy();
      reject(new UnavailableError(`the server's control socket ${socketPath}: ${reason}`));
    };
    const timer = setTimeout(() => fail(`no answer within ${timeoutMs} ms`), timeoutMs);
    socket.once('connect', () => socket.write(`${JSON.stringify({ id: 1, method, params })}\n`));
    socket.on('data', (chunk) => {
      try {
        const [line] = reader.push(chunk);
        if (line === undefined) return;
        resolve(JSON.parse(line) as ControlResponse);
        socket.destroy();
      } catch {
        fail('sent something that is not an answer');
      }
    });
    socket.once('error', (error) => fail((error as NodeJS.ErrnoException).code ?? error.message));
    socket.once('close', () => {
      clearTimeout(timer);
      fail('closed without an answer');
    });
  });
  if ('error' in response) throw new ControlError(response.error);
  return response.result as ControlMethods[M]['result'];
}
