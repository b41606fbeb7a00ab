/** The newest frames, encoded, found by sequence number; the oldest goes when either bound is passed. */

export interface RingBound {
  /** Frames at the most (`p2p_frame_ring`). */
  readonly frames: number;
  /** Encoded bytes at the most; the newest frame stays whatever its size. */
  readonly bytes: number;
}

export class FrameRing {
  readonly #slots: (Buffer | undefined)[];
  /** `seq` of the oldest frame held. */
  #oldest = 0;
  #count = 0;
  #bytes = 0;

  constructor(private readonly bound: RingBound) {
    if (!(bound.frames >= 1)) throw new RangeError(`a ring of ${bound.frames} frames holds nothing`);
    this.#slots = new Array(bound.frames);
  }

  get frames(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** `seq` that the next frame must have; 0 before the first frame unless `begin` told. */
  get next(): number {
    return this.#oldest + this.#count;
  }

  /** Says which `seq` comes first, while the ring is empty. */
  begin(seq: number): void {
    if (this.#count === 0) this.#oldest = seq;
  }

  /** Whether reading can go on at `seq` without missing any: it is held, or it is the one to come. */
  reaches(seq: number): boolean {
    return Number.isSafeInteger(seq) && seq >= this.#oldest && seq <= this.next;
  }

  /** A `seq` that does not follow the newest forgets all before it: a hole must never look like a stream. */
  push(seq: number, encoded: Buffer): void {
    if (this.#count === 0 || seq !== this.next) {
      this.#clear();
      this.#oldest = seq;
    }
    if (this.#count === this.bound.frames) this.#dropOldest();
    this.#slots[seq % this.bound.frames] = encoded;
    this.#count++;
    this.#bytes += encoded.length;
    while (this.#bytes > this.bound.bytes && this.#count > 1) this.#dropOldest();
  }

  /** The frame `seq`, or undefined when it is not held. */
  get(seq: number): Buffer | undefined {
    return seq >= this.#oldest && seq < this.next ? this.#slots[seq % this.bound.frames] : undefined;
  }

  #dropOldest(): void {
    const slot = this.#oldest % this.bound.frames;
    this.#bytes -= this.#slots[slot]?.length ?? 0;
    this.#slots[slot] = undefined;
    this.#oldest++;
    this.#count--;
  }

  #clear(): void {
    this.#slots.fill(undefined);
    this.#count = 0;
    this.#bytes = 0;
  }
}
