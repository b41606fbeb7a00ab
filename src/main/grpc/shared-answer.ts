/**
 * Answers as long as there are peers, bans or what else strangers add to: made in slices, so that main turns meanwhile, as bytes once
 * for all who ask at the same time, and where they are long for a while after.
 */

import { inSlices } from '../../shared/async/slices.js';
import { monotonic } from '../../shared/clock.js';

/** What the gRPC server sends as it is. */
export class Encoded {
  constructor(readonly bytes: Buffer) {}
}

/** Kept from this many bytes on: a shorter one, of some hundred peers, costs about a millisecond and is always new. */
const KEPT_BYTES = 65_536;
/** Kept for a second, and for ten times as long as it took, so that it never has more than a tenth of main; 10 s at the most. */
const KEPT_MS = { least: 1_000, most: 10_000, ratio: 10 } as const;
/** Items encoded together. */
const SLICE_ITEMS = 100;

export class SharedAnswer {
  readonly #make: () => Promise<Buffer>;
  #current: Promise<Encoded> | undefined;

  constructor(make: () => Promise<Buffer>) {
    this.#make = make;
  }

  /** The bytes of the answer. Rejects with what making it threw. */
  get(): Promise<Encoded> {
    this.#current ??= this.#new();
    return this.#current;
  }

  async #new(): Promise<Encoded> {
    const began = monotonic();
    let keptMs = 0;
    try {
      const bytes = await this.#make();
      const took = monotonic() - began;
      if (bytes.length >= KEPT_BYTES)
        keptMs = Math.min(KEPT_MS.most, Math.max(KEPT_MS.least, KEPT_MS.ratio * took));
      return new Encoded(bytes);
    } finally {
      if (keptMs === 0) this.#current = undefined;
      else
        setTimeout(() => {
          this.#current = undefined;
        }, keptMs).unref();
    }
  }
}

/** A message of repeated fields alone, slice by slice: protobuf joins them where the bytes are joined. */
export async function encodeInSlices<T>(
  items: readonly T[],
  encode: (slice: readonly T[]) => Uint8Array,
): Promise<Buffer> {
  function* slices() {
    for (let from = 0; from < items.length; from += SLICE_ITEMS)
      yield encode(items.slice(from, from + SLICE_ITEMS));
  }
  return Buffer.concat(await inSlices(slices()));
}
