/** Answers of the transport on uWebSockets.js. */

import { STATUS_CODES } from 'node:http';
import type { ResponseStream, StreamedAnswer, WholeAnswer } from './types.js';
import type { HttpResponse, LoadedUws } from './uws-build.js';

const NOTHING = new Uint8Array();

function writeHead(
  response: HttpResponse,
  { status, headers }: Pick<WholeAnswer, 'status' | 'headers'>,
): void {
  response.writeStatus(`${status} ${STATUS_CODES[status]}`);
  for (const [name, value] of headers) response.writeHeader(name, value);
}

export function answerWhole(
  response: HttpResponse,
  answer: WholeAnswer,
  { method, loaded }: { readonly method: string; readonly loaded: LoadedUws },
): void {
  const length = Buffer.byteLength(answer.body);
  if (method === 'HEAD' && length > 0) {
    answerWithoutBody(response, { ...answer, length }, loaded);
    return;
  }
  response.cork(() => {
    writeHead(response, answer);
    response.end(answer.body, true);
  });
}

/** To a HEAD; an undefined length is not told. */
export function answerWithoutBody(
  response: HttpResponse,
  answer: Pick<StreamedAnswer, 'status' | 'headers' | 'length'>,
  { endsWithoutBody }: LoadedUws,
): void {
  response.cork(() => {
    writeHead(response, answer);
    // Without a length its own tells one of 2^63.
    if (endsWithoutBody && answer.length !== undefined) response.endWithoutBody(answer.length, true);
    else endHead(response, answer.length);
  });
}

/** What `endWithoutBody` does, where the build's own cannot be used. */
function endHead(response: HttpResponse, length: number | undefined): void {
  let gone = false;
  response.onAborted(() => {
    gone = true;
  });
  if (length !== undefined) response.writeHeader('Content-Length', String(length));
  // The library ends a head with the body alone. A line that is empty does as well.
  response.writeHeader('Connection', 'close\r\n');
  // The head is sent at the end of this turn.
  setImmediate(() => {
    if (!gone) response.close();
  });
}

/**
 * The body of an answer that goes on. The library keeps whatever it is given, so that what it did not take at once keeps the rest waiting
 * here: with a length it takes what the system takes, in chunks all of it, and says so one chunk late.
 */
export class UwsStream implements ResponseStream {
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  /** Handed over, and perhaps not all with the system. */
  #inside = 0;
  #blocked = false;
  #ending = false;
  #over = false;
  readonly #length: number | undefined;
  /** Bytes of the length still to be written. */
  #left: number;
  #drained: () => void = () => {};
  #closed: (whole: boolean) => void = () => {};

  /** `over`: it is, and its callback has not been called yet. Begins the answer; what is written in this turn goes with its head. */
  constructor(
    private readonly response: HttpResponse,
    answer: StreamedAnswer,
    private readonly over: (stream: UwsStream) => void,
  ) {
    this.#length = answer.length;
    this.#left = answer.length ?? Number.POSITIVE_INFINITY;
    response.onAborted(() => this.#finish(false));
    response.onWritable(() => this.#writable());
    writeHead(response, answer);
    // It has no way to end the connection behind a body in parts: who is told so does, and who is silent is cut.
    response.writeHeader('Connection', 'close');
  }

  write(bytes: Uint8Array): void {
    if (this.#over || this.#ending || bytes.length === 0) return;
    const some = bytes.length > this.#left ? bytes.subarray(0, this.#left) : bytes;
    this.#left -= some.length;
    if (this.#blocked) this.#wait(some);
    else this.#hand(some);
    if (this.#left === 0) this.#ending = true;
  }

  bufferedBytes(): number {
    return this.#over ? 0 : this.#waitingBytes + this.#inside;
  }

  end(): void {
    if (this.#over || this.#ending) return;
    if (this.#length !== undefined && this.#left > 0) {
      this.close();
      return;
    }
    this.#ending = true;
    if (!this.#blocked) this.#end();
  }

  close(): void {
    // Tells that it is aborted.
    if (!this.#over) this.response.close();
  }

  onDrain(callback: () => void): void {
    this.#drained = callback;
  }

  onClose(callback: (whole: boolean) => void): void {
    this.#closed = callback;
  }

  #wait(bytes: Uint8Array): void {
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
  }

  /** Gives the library bytes; false: it, or they here, wait for the system. */
  #hand(bytes: Uint8Array): boolean {
    this.response.cork(() => {
      if (this.#length === undefined) this.#handChunk(bytes);
      else this.#handPart(bytes, this.#length);
    });
    return !this.#blocked;
  }

  #handChunk(bytes: Uint8Array): void {
    this.#blocked = !this.response.write(bytes);
    if (this.#blocked) this.#inside += bytes.length;
  }

  #handPart(bytes: Uint8Array, length: number): void {
    const from = this.response.getWriteOffset();
    const [ok, done] = this.response.tryEnd(bytes, length);
    if (done) {
      this.#finish(true);
      return;
    }
    this.#blocked = !ok;
    if (ok) return;
    const rest = bytes.subarray(this.response.getWriteOffset() - from);
    this.#waiting.unshift(rest);
    this.#waitingBytes += rest.length;
  }

  /** The system takes more. */
  #writable(): boolean {
    if (this.#over) return true;
    this.#blocked = false;
    this.#inside = 0;
    // While this is asked the library sends what it holds itself at the next that it is given, or at the end of a cork.
    this.response.cork(() => {});
    while (!this.#over && !this.#blocked && this.#waiting.length > 0) {
      const next = this.#waiting.shift() ?? NOTHING;
      this.#waitingBytes -= next.length;
      this.#hand(next);
    }
    if (this.#over || this.#blocked) return true;
    if (this.#ending) this.#end();
    else this.#drained();
    return true;
  }

  /** Nothing waits; a body with a length has ended with its last byte, where it has one. */
  #end(): void {
    if (this.#over || (this.#length ?? 0) > 0) return;
    this.response.cork(() => {
      this.response.end();
    });
    this.#finish(true);
  }

  #finish(whole: boolean): void {
    if (this.#over) return;
    this.#over = true;
    this.#waiting = [];
    this.over(this);
    this.#closed(whole);
  }
}
