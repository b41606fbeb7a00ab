/** Answers of the transport on `ws`. Node writes their heads; the body of one that goes on is written past it, for a fraction of the cost. */

import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Visitor } from '../../../shared/net/http-visitor.js';
import type { ResponseStream, StreamedAnswer, WholeAnswer } from './types.js';

const CRLF = Buffer.from('\r\n');
/** RFC 9112, section 7.1. */
const LAST_CHUNK = Buffer.from('0\r\n\r\n');

/** What many streams are written one after the other is framed once. */
export class Chunks {
  #bytes: Uint8Array | undefined;
  #chunk = CRLF;

  of(bytes: Uint8Array): Buffer {
    if (bytes !== this.#bytes) {
      this.#chunk = Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, CRLF]);
      this.#bytes = bytes;
    }
    return this.#chunk;
  }
}

export function answerWhole(response: ServerResponse, answer: WholeAnswer): void {
  writeHead(response, answer, Buffer.byteLength(answer.body));
  response.end(answer.body);
}

/** To a HEAD, what is streamed to a GET. */
export function answerWithoutBody(response: ServerResponse, answer: StreamedAnswer): void {
  writeHead(response, answer, answer.length);
  response.end();
}

function writeHead(
  response: ServerResponse,
  { status, headers }: Pick<WholeAnswer, 'status' | 'headers'>,
  length: number | undefined,
): void {
  const own: (readonly [string, string])[] = [['Connection', 'close']];
  if (length !== undefined) own.push(['Content-Length', String(length)]);
  response.writeHead(status, [...headers, ...own].flat());
}

export interface StreamComponents {
  readonly visitor: Visitor;
  readonly response: ServerResponse;
  readonly chunks: Chunks;
}

/** The body of an answer, whose head is sent at once. */
export class WsStream implements ResponseStream {
  readonly #visitor: Visitor;
  readonly #raw: Socket;
  /** Undefined where the body is as long as was told, or ends with the connection, as HTTP/1.0 has it. */
  readonly #chunks: Chunks | undefined;
  /** Bytes still to come of those that were told. */
  #left: number;
  #over = false;
  #drained: () => void = () => {};
  #closed: (whole: boolean) => void = () => {};

  /** `over`: it is, and its callback has not been called yet. */
  constructor(
    { visitor, response, chunks }: StreamComponents,
    answer: StreamedAnswer,
    private readonly over: (stream: WsStream) => void,
  ) {
    const { raw } = visitor;
    const { length } = answer;
    this.#visitor = visitor;
    this.#raw = raw;
    this.#left = length ?? Number.POSITIVE_INFINITY;
    writeHead(response, answer, length);
    response.flushHeaders();
    this.#chunks = response.chunkedEncoding ? chunks : undefined;
    visitor.goOn();
    // Who has closed its side may still wait for the rest of a file; of what has no end nothing else would tell that it is gone.
    if (length === undefined) raw.once('end', () => this.close());
    raw.on('drain', () => {
      if (!this.#over) this.#drained();
    });
    raw.once('close', () => this.#finish(false));
    if (raw.destroyed) setImmediate(() => this.#finish(false));
  }

  write(bytes: Uint8Array): void {
    if (this.#over || bytes.length === 0) return;
    const some = bytes.length > this.#left ? bytes.subarray(0, this.#left) : bytes;
    this.#left -= some.length;
    this.#raw.write(this.#chunks?.of(some) ?? some);
    if (this.#left === 0) this.end();
  }

  bufferedBytes(): number {
    return this.#over ? 0 : this.#raw.writableLength;
  }

  end(): void {
    if (this.#over) return;
    if (this.#left > 0 && this.#left !== Number.POSITIVE_INFINITY) {
      this.close();
      return;
    }
    if (this.#chunks !== undefined) this.#raw.write(LAST_CHUNK);
    this.#visitor.end();
    this.#finish(true);
  }

  close(): void {
    this.#raw.destroy();
    this.#finish(false);
  }

  onDrain(callback: () => void): void {
    this.#drained = callback;
  }

  onClose(callback: (whole: boolean) => void): void {
    this.#closed = callback;
  }

  #finish(whole: boolean): void {
    if (this.#over) return;
    this.#over = true;
    this.over(this);
    this.#closed(whole);
  }
}
