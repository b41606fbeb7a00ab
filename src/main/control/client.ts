/** Asks a running server over its control socket. */

import type { Socket } from 'node:net';
import { UnavailableError } from '../../shared/errors.js';
import { Correlator } from '../../shared/ipc/correlator.js';
import { connectTo } from '../../shared/ipc/local-socket.js';
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
  timeoutMs?: number,
): Promise<ControlMethods[M]['result']> {
  const connection = new ControlConnection(socketPath);
  try {
    return await connection.ask(method, params, timeoutMs);
  } finally {
    connection.leave();
  }
}

/** A connection for requests, which are answered one after the other. */
export class ControlConnection {
  /** Resolves when it is over: the server has closed it, or is gone. */
  readonly over: Promise<void>;
  readonly #path: string;
  readonly #socket: Socket;
  readonly #reader = new LineReader(RESPONSE_BOUND);
  readonly #requests = new Correlator<unknown>();
  #fault: Error | undefined;

  /** Connects to the socket at `path`; where that fails, each request says so. */
  constructor(path: string) {
    this.#path = path;
    this.#socket = connectTo(path);
    this.over = new Promise((resolve) => this.#socket.once('close', () => resolve()));
    this.#socket.on('error', (error) => this.#fail((error as NodeJS.ErrnoException).code ?? error.message));
    this.#socket.once('close', () => this.#fail('closed without an answer'));
    this.#socket.on('data', (chunk) => {
      try {
        for (const line of this.#reader.push(chunk)) this.#answered(line);
      } catch {
        this.#fail('sent something that is not an answer');
        this.leave();
      }
    });
  }

  /** Rejects as {@link askServer}, after which it is of no more use. */
  async ask<M extends ControlMethod>(
    method: M,
    params: ControlMethods[M]['params'],
    timeoutMs = 10_000,
  ): Promise<ControlMethods[M]['result']> {
    const late = (): Error => {
      this.#fail(`no answer within ${timeoutMs} ms`);
      this.leave();
      return this.#fault as Error;
    };
    const result = await this.#requests.ask(
      (id) => {
        if (this.#fault !== undefined) throw this.#fault;
        this.#socket.write(`${JSON.stringify({ id, method, params })}\n`);
      },
      { timeoutMs, late },
    );
    return result as ControlMethods[M]['result'];
  }

  leave(): void {
    this.#socket.destroy();
  }

  /** Throws SyntaxError where the line is no answer. */
  #answered(line: string): void {
    const response = JSON.parse(line) as ControlResponse;
    // What the server cannot read has no number.
    if ('error' in response && response.id === 0) this.#requests.refuseAll(new ControlError(response.error));
    else if ('error' in response) this.#requests.refuse(response.id, new ControlError(response.error));
    else this.#requests.answer(response.id, response.result);
  }

  #fail(reason: string): void {
    this.#fault ??= new UnavailableError(`the server's control socket ${this.#path}: ${reason}`);
    this.#requests.refuseAll(this.#fault);
  }
}

/** How long a connection to a local socket may take: the kernel makes it, whatever the server is busy with. */
const CONNECT_MS = 2_000;

/** Whether anybody listens on the socket, in whichever container of this machine. What cannot be said for want of a right to it counts as nobody. */
export function isSomebodyThere(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectTo(socketPath);
    const end = (there: boolean) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(there);
    };
    const timer = setTimeout(() => end(true), CONNECT_MS);
    socket.once('connect', () => end(true));
    // As many as may wait there do: somebody listens.
    socket.once('error', (error) => end((error as NodeJS.ErrnoException).code === 'EAGAIN'));
  });
}
