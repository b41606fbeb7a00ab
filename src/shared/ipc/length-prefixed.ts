/** Messages on a stream of bytes, each behind its length: a u32, little-endian, of what follows. */

/** Bytes of the length. */
const LENGTH_BYTES = 4;

export interface MessageBounds {
  /**
   * Bytes of a message at the least.
   * @default 1
   */
  readonly minBytes?: number;
  /** Bytes of a message at the most; a longer one means that the other end is not ours. */
  readonly maxBytes: number;
}

/** Cuts a stream into messages. */
export class LengthPrefixedReader {
  readonly #minBytes: number;
  readonly #maxBytes: number;
  #chunks: Buffer[] = [];
  #bytes = 0;
  /** Bytes of the message that has begun, its length included. */
  #wanted = LENGTH_BYTES;

  constructor({ minBytes = 1, maxBytes }: MessageBounds) {
    this.#minBytes = minBytes;
    this.#maxBytes = maxBytes;
  }

  /**
   * The messages completed by `chunk`, without their lengths: views that live as long as the chunks they came in. Throws RangeError on a length out of bounds; the
   * stream is then useless.
   */
  *read(chunk: Buffer): Generator<Buffer> {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    while (this.#bytes >= this.#wanted) {
      const [only] = this.#chunks;
      const bytes = this.#chunks.length === 1 && only ? only : Buffer.concat(this.#chunks, this.#bytes);
      this.#chunks = [bytes];
      const length = bytes.readUInt32LE(0);
      if (length < this.#minBytes || length > this.#maxBytes) {
        throw new RangeError(`a message of ${length} bytes`);
      }
      this.#wanted = LENGTH_BYTES + length;
      if (bytes.length < this.#wanted) return;
      const rest = bytes.subarray(this.#wanted);
      this.#chunks = rest.length === 0 ? [] : [rest];
      this.#bytes = rest.length;
      const end = this.#wanted;
      this.#wanted = LENGTH_BYTES;
      yield bytes.subarray(LENGTH_BYTES, end);
    }
  }
}
