/** Checksums of 32 bits: CRC-32C (Castagnoli, RFC 3720 appendix B.4), of Kafka's record batches and of the journal, and CRC-32 (RFC 1952, section 8), of gzip. */

const SLICES = 8;

const CASTAGNOLI = tables(0x82f63b78);
const GZIP = tables(0xedb88320);

/** Entry `256 * slice + byte`: what `byte` comes to with `slice` zero bytes behind it. */
function tables(polynomial: number): Int32Array {
  const all = new Int32Array(256 * SLICES);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1;
    all[byte] = crc;
  }
  for (let at = 256; at < all.length; at++) {
    const before = all[at - 256] ?? 0;
    all[at] = (before >>> 8) ^ (all[before & 0xff] ?? 0);
  }
  return all;
}

/** Unsigned CRC-32C of `bytes` from `from` up to `to`, behind bytes whose checksum is `before`. */
export function crc32c(bytes: Uint8Array, from = 0, to = bytes.length, before = 0): number {
  return checksum(CASTAGNOLI, bytes, from, to, before);
}

/** Unsigned CRC-32 of `bytes`, behind bytes whose checksum is `before`. Node's zlib has it from 20.15 on. */
export function crc32(bytes: Uint8Array, before = 0): number {
  return checksum(GZIP, bytes, 0, bytes.length, before);
}

/** Eight bytes a step: a third of the time of one by one. */
function checksum(table: Int32Array, bytes: Uint8Array, from: number, to: number, before: number): number {
  const entry = (index: number): number => table[index] as number;
  const byte = (at: number): number => bytes[at] as number;
  let crc = ~before;
  let at = from;
  for (const end = to - 7; at < end; at += 8) {
    crc ^= byte(at) | (byte(at + 1) << 8) | (byte(at + 2) << 16) | (byte(at + 3) << 24);
    crc =
      entry(1792 + (crc & 0xff)) ^
      entry(1536 + ((crc >>> 8) & 0xff)) ^
      entry(1280 + ((crc >>> 16) & 0xff)) ^
      entry(1024 + (crc >>> 24)) ^
      entry(768 + byte(at + 4)) ^
      entry(512 + byte(at + 5)) ^
      entry(256 + byte(at + 6)) ^
      entry(byte(at + 7));
  }
  for (; at < to; at++) crc = entry((crc ^ byte(at)) & 0xff) ^ (crc >>> 8);
  return ~crc >>> 0;
}
