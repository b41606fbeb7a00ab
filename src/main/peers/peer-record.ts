/** How dealing with one peer went, as it is kept and stored. */

import { NEUTRAL_REPUTATION } from './reputation.js';
import { decodeFlat, encodeFlat } from './stored-object.js';

/** Characters of an error of catching up that are kept. */
export const CATCHUP_ERROR_MAX = 1024;

/** Times are unix ms, 0 for never. */
export interface PeerRecord {
  readonly attempts: number;
  readonly successes: number;
  readonly failures: number;
  readonly lastAttempt: number;
  readonly lastSuccess: number;
  readonly lastFailure: number;
  readonly malicious: number;
  /** Milliseconds; 0 while unknown. */
  readonly averageMs: bigint;
  /** 0 to 100, as of the last event. */
  readonly reputation: number;
  /** How often it was given a reputation back after a low one. */
  readonly recoveries: number;
  readonly lastRecovery: number;
  readonly catchupAttempts: number;
  readonly catchupSuccesses: number;
  readonly catchupFailures: number;
  readonly catchupError: string;
  readonly catchupErrorAt: number;
  /** Until then its claim to store everything is not believed. */
  readonly storageDoubtedUntil: number;
  /** When it last gave a valid block. */
  readonly lastValidBlock: number;
  /** uint64; stays at its limit. */
  readonly bytesDownloaded: bigint;
  /** Of the chain with the most work that was validated from it; 0 and empty for none. */
  readonly validatedHeight: number;
  /** Display order. */
  readonly validatedHash: string;
  /** Hex, big-endian, without leading zeros. */
  readonly validatedWork: string;
}

export const NO_RECORD: PeerRecord = {
  attempts: 0,
  successes: 0,
  failures: 0,
  lastAttempt: 0,
  lastSuccess: 0,
  lastFailure: 0,
  malicious: 0,
  averageMs: 0n,
  reputation: NEUTRAL_REPUTATION,
  recoveries: 0,
  lastRecovery: 0,
  catchupAttempts: 0,
  catchupSuccesses: 0,
  catchupFailures: 0,
  catchupError: '',
  catchupErrorAt: 0,
  storageDoubtedUntil: 0,
  lastValidBlock: 0,
  bytesDownloaded: 0n,
  validatedHeight: 0,
  validatedHash: '',
  validatedWork: '',
};

const MAX_UINT64 = 2n ** 64n - 1n;
const MAX_INT64 = 2n ** 63n - 1n;
const MAX_UINT32 = 2 ** 32 - 1;

/** A number of bytes, at most what a uint64 holds. */
export function cappedBytes(bytes: bigint): bigint {
  return bytes > MAX_UINT64 ? MAX_UINT64 : bytes;
}

/** JSON for the embedded store. */
export function encodeRecord(record: PeerRecord): string {
  return encodeFlat(record);
}

/** The record in `json`. Throws what `decodeFlat` throws, and RangeError on what no call could answer with. */
export function decodeRecord(json: string): PeerRecord {
  const record = decodeFlat(NO_RECORD, json, ['reputation']);
  const { averageMs, bytesDownloaded, validatedHeight, reputation } = record;
  if (
    averageMs > MAX_INT64 ||
    bytesDownloaded > MAX_UINT64 ||
    validatedHeight > MAX_UINT32 ||
    reputation > 100
  ) {
    throw new RangeError('a field is beyond its limit');
  }
  return record;
}
