/** HalfSipHash-2-4 (Aumasson and Bernstein's reference, 32 bits): a hash for tables whose keys strangers choose. */

/**
 * Hash of the 32-bit words `words[from]` to `words[to - 1]` under the 64-bit key `k0`, `k1`, as a signed 32-bit number. Whoever does not know the key
 * cannot make words that fall on one another.
 */
export function halfSipHash(words: Uint32Array, from: number, to: number, k0: number, k1: number): number {
  let v0 = k0 | 0;
  let v1 = k1 | 0;
  let v2 = 0x6c796765 ^ k0;
  let v3 = 0x74656462 ^ k1;
  // After the words comes their length in bytes, and then four rounds that end it.
  for (let at = from; at <= to + 1; at++) {
    const word = at < to ? (words[at] ?? 0) | 0 : at === to ? (to - from) << 26 : 0;
    if (at > to) v2 ^= 0xff;
    v3 ^= word;
    for (let rounds = at > to ? 4 : 2; rounds > 0; rounds--) {
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);
    }
    v0 ^= word;
  }
  return v1 ^ v3;
}
