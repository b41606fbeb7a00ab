/**
 * Addresses as 32-bit words, parsed by hand: the gater asks on every connection and the pipeline on every batch, and the
 * general parser's regular expressions and arrays cost twenty times as much.
 */

import { ipBytes } from '../../shared/net/ip.js';

/** Words of an IPv4 address in `words[0]`, of an IPv6 address in all four; big-endian. */
export type AddressWords = Uint32Array;

const DOT = 46;
const COLON = 58;

/** The 32 bits of a dotted quad in `text[from..]`, or -1. Strict: four decimal parts, no leading zeros, nothing after. */
function parseQuad(text: string, from: number): number {
  let value = 0;
  let part = 0;
  let digits = 0;
  let dots = 0;
  for (let index = from; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code === DOT) {
      if (digits === 0 || ++dots > 3) return -1;
      value = value * 256 + part;
      part = 0;
      digits = 0;
    } else {
      const digit = code - 48;
      if (digit < 0 || digit > 9 || (digits > 0 && part === 0)) return -1;
      part = part * 10 + digit;
      digits++;
      if (part > 255) return -1;
    }
  }
  return dots === 3 && digits > 0 ? value * 256 + part : -1;
}

function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  const lower = code | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}

const groups = new Uint16Array(8);

/** Plain IPv6 without a dotted tail or a zone; false when this parser will not have it. */
function parseGroups(text: string): boolean {
  if (text.length > 39) return false;
  let count = 0;
  let gap = -1;
  let index = 0;
  if (text.charCodeAt(0) === COLON) {
    if (text.charCodeAt(1) !== COLON) return false;
    gap = 0;
    index = 2;
  }
  while (index < text.length) {
    let group = 0;
    let digits = 0;
    for (; index < text.length; index++, digits++) {
      const digit = hexDigit(text.charCodeAt(index));
      if (digit === -1) break;
      if (digits === 4) return false;
      group = (group << 4) | digit;
    }
    if (digits === 0 || count === 8) return false;
    groups[count++] = group;
    if (index === text.length) break;
    if (text.charCodeAt(index++) !== COLON || index === text.length) return false;
    if (text.charCodeAt(index) === COLON) {
      if (gap !== -1) return false;
      gap = count;
      index++;
    }
  }
  if (gap === -1) return count === 8;
  if (count > 7) return false;
  const tail = count - gap;
  groups.copyWithin(8 - tail, gap, count);
  groups.fill(0, gap, 8 - tail);
  return true;
}

/**
 * Puts the words of `text` into `words` (at least four long) and gives its family: 4 (also for IPv4-mapped addresses), 6, or 0
 * when it is no address.
 */
export function parseAddressWords(text: string, words: AddressWords): 0 | 4 | 6 {
  const quad = parseQuad(text, 0);
  if (quad !== -1) {
    words[0] = quad;
    return 4;
  }
  if (parseGroups(text)) {
    for (let index = 0; index < 4; index++) {
      words[index] = ((groups[2 * index] ?? 0) << 16) | (groups[2 * index + 1] ?? 0);
    }
    if (words[0] === 0 && words[1] === 0 && words[2] === 0xffff) {
      words[0] = words[3] ?? 0;
      return 4;
    }
    return 6;
  }
  // Zones, brackets, dotted tails: rare, and not worth a second grammar.
  const bytes = ipBytes(text);
  return bytes === undefined ? 0 : bytesToWords(bytes, words);
}

/** As {@link parseAddressWords} from 4 or 16 bytes. */
export function bytesToWords(bytes: Uint8Array, words: AddressWords): 4 | 6 {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const count = bytes.length / 4;
  for (let index = 0; index < count; index++) words[index] = view.getUint32(4 * index);
  return count === 1 ? 4 : 6;
}

/** Clears everything past `prefix` bits of `from` and puts the result into `to`; `count` words. */
export function maskWords(from: AddressWords, to: AddressWords, prefix: number, count: number): void {
  for (let index = 0; index < count; index++) {
    const kept = prefix - 32 * index;
    const word = from[index] ?? 0;
    to[index] = kept >= 32 ? word : kept <= 0 ? 0 : word & (0xffffffff << (32 - kept));
  }
}
