/**
 * Asking where a peer is (WIRE §1): what both ends hold to. In 1.0.0 the asker leaves its half open and each side reads once; in 1.1.0 each
 * side closes its half, and limits are told.
 */

import type { PeerId } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr';
import { isRelayed, multiaddrHost, multiaddrPeerId } from '../addresses/multiaddrs.js';
import type { LookupOutcome } from '../metrics/periphery-metrics.js';
import { GaveWayError } from './served-streams.js';
import { OversizeError, SilenceError } from './stream-reading.js';

export const LOOKUP_1_0 = '/p2p-msg-bus/peer-addr-request/1.0.0';
export const LOOKUP_1_1 = '/p2p-msg-bus/peer-addr-request/1.1.0';

/** Bytes of a request and of an answer; a 1.0.0 asker reads 4,096 at the most. */
export const BOUNDS = {
  '1.0.0': { request: 256, answer: 4096 },
  '1.1.0': { request: 128, answer: 8192 },
} as const;
export type Version = keyof typeof BOUNDS;

/** Addresses of one answer that are told, or looked at. */
export const MAX_ADDRESSES = 32;
const MAX_ADDRESS_TEXT = 512;
export const versionOf = (protocol: string): Version => (protocol === LOOKUP_1_0 ? '1.0.0' : '1.1.0');

/** Undefined where it is none. */
export function parsePeerId(text: string): PeerId | undefined {
  try {
    return peerIdFromString(text);
  } catch {
    return undefined;
  }
}

/** Whether an answer is there whole: a 1.0.0 answerer may leave its half open. */
export function isWholeJson(bytes: Uint8Array): boolean {
  // An array of strings ends at the first bracket that is the last byte and parses.
  if (bytes.at(-1) !== 0x5d) return false;
  try {
    JSON.parse(new TextDecoder().decode(bytes));
    return true;
  } catch {
    return false;
  }
}

/** The addresses of an answer that can be dialled for `target`: direct TCP ones. Throws RangeError on what is no answer. */
export function parseAnswer(bytes: Uint8Array, target: string): Multiaddr[] {
  let answer: unknown;
  try {
    answer = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw new RangeError('the answer is not JSON');
  }
  if (!Array.isArray(answer)) throw new RangeError('the answer is not an array');
  const addresses = new Map<string, Multiaddr>();
  for (const text of answer.slice(0, MAX_ADDRESSES)) {
    if (typeof text !== 'string' || text.length > MAX_ADDRESS_TEXT) continue;
    try {
      const address = multiaddr(text);
      if (multiaddrHost(address) === undefined || isRelayed(address)) continue;
      if ((multiaddrPeerId(address) ?? target) !== target) continue;
      if (address.getComponents().some(({ name }) => name === 'tcp'))
        addresses.set(address.toString(), address);
    } catch {
      // Not a multiaddr: the others may be.
    }
  }
  return [...addresses.values()];
}

/** What a failed request is counted as. */
export function outcomeOf(error: unknown): LookupOutcome {
  if (error instanceof OversizeError) return 'oversized';
  if (error instanceof SilenceError) return 'silent';
  if (error instanceof GaveWayError) return 'displaced';
  if (error instanceof RangeError) return 'malformed';
  return error instanceof Error && error.name === 'TimeoutError' ? 'timeout' : 'failed';
}
