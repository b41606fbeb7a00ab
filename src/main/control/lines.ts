/** Lines from a stream, bounded. */

import { StringDecoder } from 'node:string_decoder';

/** Cuts a stream of bytes into lines of at most `bound` characters each. */
export class LineReader {
  readonly #decoder = new StringDecoder('utf8');
  #open = '';

  constructor(private readonly bound: number) {}

  /** Complete lines so far. Throws RangeError once a line passes the bound. */
  push(chunk: Uint8Array): string[] {
    const lines = (this.#open + this.#decoder.write(Buffer.from(chunk))).split('\n');
    this.#open = lines.pop() ?? '';
    if (this.#open.length > this.bound || lines.some((line) => line.length > this.bound)) {
      throw new RangeError(`a line has more than ${this.bound} characters`);
    }
    return lines;
  }
}
