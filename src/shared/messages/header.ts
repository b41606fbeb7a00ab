/** A block header's proof of work. */

import { doubleSha256 } from '../bitcoin/hash.js';
import { targetOfBits } from '../bitcoin/header.js';
import type { CheckContext } from './context.js';
import { Refusal } from './refusal.js';

const HEADER = /^[0-9a-fA-F]{160}$/;
/** Offset of the compact target in a header's 80 bytes. */
const BITS_OFFSET = 72;
/**
 * A header's target may be this many times the tip's. The chain's rule changes the target by at most twice either way
 * over 144 blocks, so an honest announcement near the tip is well inside.
 */
const EASIEST_OVER_TIP = 16n;

/**
 * Checks that `header` (160 hex digits) hashes to `hash` (lower case, display order), that the hash meets the header's
 * target, and that the target is not too easy for the network or our tip. Empty, as older nodes send it, passes. Returns
 * it in lower case. Throws Refusal: `bad_field` when it is not 160 hex digits, else `bad_header`.
 */
export function checkedHeader(header: string, hash: string, context: CheckContext): string {
  if (header === '') return '';
  if (!HEADER.test(header)) throw new Refusal('bad_field', 'Header is not 160 hex digits');
  const bytes = Buffer.from(header, 'hex');
  const display = doubleSha256(bytes).reverse().toString('hex');
  if (display !== hash) throw new Refusal('bad_header', 'Header has another hash');
  const bits = bytes.readUInt32LE(BITS_OFFSET);
  const target = targetOfBits(bits);
  if (BigInt(`0x${display}`) > target) throw new Refusal('bad_header', 'the hash misses the header’s target');
  if (target > targetOfBits(context.powLimitBits)) {
    throw new Refusal('bad_header', 'the target is easier than the network’s limit');
  }
  if (!context.allowsMinimumDifficulty && context.tipBits !== 0) {
    if (target > targetOfBits(context.tipBits) * EASIEST_OVER_TIP) {
      throw new Refusal('bad_header', 'the target is wildly easier than the tip’s');
    }
  }
  return header.toLowerCase();
}
