/**
 * A connection while it speaks HTTP. Node's parser is handed the head of one request and nothing behind it: what is pipelined, or
 * is a body, is never parsed, however much of it comes.
 */

import { type IncomingMessage, METHODS, ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

/** For a request's head to come whole, and for any of an answer to be taken. */
const HEAD_TIMEOUT_MS = 10_000;
/** Bytes of a request's head; Node's parser answers more with 431. */
export const MAX_HEAD_BYTES = 16_384;
/** What is still read, and forgotten, of a client that sends while it is answered: a reset would cost it the answer. */
const LINGER_BYTES = 262_144;
const LINGER_MS = 1000;

const LF = 0x0a;
const CR = 0x0d;
/** RFC 9112, section 3: a method, which is a token, a target and a version. */
const REQUEST_LINE = /^([!#$%&'*+.^`|~\w-]+) [\x21-\x7e]+ HTTP\/(\d)\.\d\r?$/;
/** What may become one: nothing but a token stands before the first blank. */
const BEGINNING = /^[!#$%&'*+.^`|~\w-]+(?: [\x20-\x7e]*)?\r?$/;

/** Where the empty line that ends a head ends; -1: not yet. */
function endOfHead(bytes: Buffer, from: number): number {
  for (let at = bytes.indexOf(LF, from); at !== -1; at = bytes.indexOf(LF, at + 1)) {
    if (bytes[at + 1] === LF) return at + 2;
    if (bytes[at + 1] === CR && bytes[at + 2] === LF) return at + 3;
  }
  return -1;
}

/** Why no answer but this status can be given to what begins so; undefined: the parser may have it, or the rest is to come. */
function lineFault(head: Buffer): 400 | 501 | 505 | undefined {
  const end = head.indexOf(LF);
  const line = head.toString('latin1', 0, end === -1 ? head.length : end);
  if (end === -1) return line === '' || BEGINNING.test(line) ? undefined : 400;
  const [whole, method = '', major] = REQUEST_LINE.exec(line) ?? [];
  if (whole === undefined) return 400;
  if (major !== '1') return 505;
  return METHODS.includes(method) ? undefined : 501;
}

/** Of this file, not of a visitor: it outlives it on a WebSocket's connection. */
function forget(): void {}

export class Visitor extends Duplex {
  /** What came behind the head. */
  rest = Buffer.alloc(0);
  #head = Buffer.alloc(0);
  /** The request line is whole and may be parsed. */
  #begun = false;
  #timer: NodeJS.Timeout | undefined;
  #answered = false;
  #taken = false;
  #forgets = false;

  constructor(readonly raw: Socket) {
    super({ allowHalfOpen: true });
    this.#timer = setTimeout(() => this.#refuse(408), HEAD_TIMEOUT_MS);
    raw.setTimeout(HEAD_TIMEOUT_MS, () => raw.destroy());
    raw.on('data', this.#onData);
    raw.on('end', this.#onEnd);
    raw.on('error', forget);
    raw.on('close', this.#onClose);
    // Node's server tells it to whoever asks it; what is wrong is answered already.
    this.on('error', forget);
  }

  /** A request was read whose answer comes in a later turn. */
  awaitAnswer(): void {
    this.#answered = true;
  }

  /**
   * The answer goes on for as long as it likes, and its body is written to `raw`, behind its head. It ends with `end` or `destroy`, and where the client is
   * gone, or takes nothing of what is queued for ten to twenty seconds.
   */
  goOn(): void {
    const { raw } = this;
    raw.removeAllListeners('timeout');
    raw.setTimeout(HEAD_TIMEOUT_MS, () => {
      if (raw.writableLength > 0) raw.destroy();
    });
    this.#forget();
  }

  /** The connection is a WebSocket's from now on. */
  takeOver(): void {
    this.#taken = true;
    this.raw.setTimeout(0);
    this.raw.removeAllListeners('timeout');
    this.raw.off('close', this.#onClose);
    // Whoever reads it now listens before this turn is over.
    this.raw.resume();
  }

  override _read(): void {}

  override _write(chunk: Buffer, encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#answered = true;
    this.raw.write(chunk, encoding, done);
  }

  override _final(done: () => void): void {
    this.#end();
    done();
  }

  override _destroy(_error: Error | null, done: (error: null) => void): void {
    this.#end();
    done(null);
  }

  readonly #onData = (chunk: Buffer) => {
    // Empty lines before a request are left out (RFC 9112, section 2.2).
    let start = 0;
    if (this.#head.length === 0) while (chunk[start] === CR || chunk[start] === LF) start++;
    const seen = Math.max(0, this.#head.length - 2);
    this.#head = Buffer.concat([this.#head, chunk.subarray(start)]);
    const fault = this.#begun ? undefined : lineFault(this.#head);
    if (fault !== undefined) {
      this.#refuse(fault);
      return;
    }
    this.#begun ||= this.#head.includes(LF);
    const end = endOfHead(this.#head, seen);
    if (end === -1 && this.#head.length <= MAX_HEAD_BYTES) return;
    const whole = end === -1 ? this.#head.length : end;
    this.rest = this.#head.subarray(whole);
    this.#pass(this.#head.subarray(0, whole));
  };

  readonly #onClose = () => {
    this.destroy();
  };

  readonly #onEnd = () => {
    this.#pass(this.#head);
    this.push(null);
  };

  #pass(head: Buffer): void {
    clearTimeout(this.#timer);
    this.raw.pause();
    this.raw.off('data', this.#onData);
    this.raw.off('end', this.#onEnd);
    if (head.length > 0) this.push(head);
    // Requests are answered, or said to be, in the turn in which they are read; what Node's parser takes for half a request is not.
    setImmediate(() => {
      if (!this.#answered && !this.#taken) this.#refuse(400);
    });
  }

  #refuse(status: 400 | 408 | 501 | 505): void {
    this.write(
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`,
    );
    this.destroy();
  }

  /** Sends what is written, and closes once the client has, or has sent enough. */
  #end(): void {
    const { raw } = this;
    clearTimeout(this.#timer);
    if (this.#taken || raw.destroyed || raw.writableEnded) return;
    let timer: NodeJS.Timeout | undefined;
    raw.once('close', () => clearTimeout(timer));
    raw.end(() => {
      timer = setTimeout(() => raw.destroy(), LINGER_MS);
    });
    this.#forget();
  }

  /** What the client still sends, within bounds. */
  #forget(): void {
    if (this.#forgets) return;
    this.#forgets = true;
    const { raw } = this;
    let left = LINGER_BYTES;
    raw.off('data', this.#onData);
    raw.on('data', (chunk: Buffer) => {
      left -= chunk.length;
      if (left < 0) raw.destroy();
    });
    raw.resume();
  }
}

/** For a request whose connection Node has taken off HTTP, which it does for CONNECT and upgrades: an answer that ends it. */
export function answerOn(visitor: Visitor, request: IncomingMessage): ServerResponse {
  const response = new ServerResponse(request);
  response.assignSocket(visitor as unknown as Socket);
  response.once('finish', () => visitor.end());
  return response;
}
