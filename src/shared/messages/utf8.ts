/** UTF-8 that strangers made, as Go reads it. */

/** Bytes of the character of UTF-8 that begins at `at`; 0 where none does. */
function characterLength(bytes: Uint8Array, at: number): number {
  const lead = bytes[at] as number;
  if (lead < 0x80) return 1;
  const length = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
  const second = bytes[at + 1] ?? 0;
  // The shortest form, no surrogate, nothing past the last character.
  const lowest = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
  const highest = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
  if (length === 0 || second < lowest || second > highest) return 0;
  for (let n = 2; n < length; n++) {
    if (((bytes[at + n] ?? 0) & 0xc0) !== 0x80) return 0;
  }
  return length;
}

const REPLACEMENT = Buffer.from('\uFFFD');

/** Bytes of which each that is no part of UTF-8 has become U+FFFD: Go takes them one by one, TextDecoder in groups. */
export function coerced(bytes: Buffer): Buffer {
  const made = Buffer.allocUnsafe(bytes.length * REPLACEMENT.length);
  let end = 0;
  for (let at = 0; at < bytes.length; ) {
    const length = characterLength(bytes, at);
    if (length === 0) {
      made.set(REPLACEMENT, end);
      end += REPLACEMENT.length;
      at += 1;
    }
    for (const next = at + length; at < next; at++) made[end++] = bytes[at] as number;
  }
  return made.subarray(0, end);
}
