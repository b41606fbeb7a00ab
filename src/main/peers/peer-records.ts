/** How dealing with each peer went, as the services around this node report it, and the reputation that follows. */

import { EventEmitter } from 'node:events';
import { LRUCache } from 'lru-cache';
import { steadyTime } from '../../shared/clock.js';
import type { PeerIdText } from '../../shared/net/peer-id.js';
import { QUEUES } from '../../shared/queues.js';
import type { PeerMetrics } from './metrics.js';
import { cappedBytes, decodeRecord, encodeRecord, NO_RECORD, type PeerRecord } from './peer-record.js';
import type { FailureSource, PeerReport } from './peer-report.js';
import {
  blendedMs,
  LOW_REPUTATION,
  NEUTRAL_REPUTATION,
  RECOVERED_REPUTATION,
  recoveryDue,
  reputationOf,
} from './reputation.js';

/** Peers of which records are kept. */
const MAX_RECORDS = QUEUES.peerRecords.bounds.peers;
/** A failed catch-up is reported by a call and by a notification of the chain: within this it is the same one. */
const SAME_FAILURE_MS = 10_000;

export interface PeerRecordsComponents {
  readonly metrics: PeerMetrics;
  /** A record is new, different or forgotten. */
  readonly onChange?: (peerId: PeerIdText) => void;
  /**
   * Unix ms.
   * @default steadyTime
   */
  readonly clock?: () => number;
}

export interface PeerRecordsEvents {
  /** What was reported of a peer, and is recorded by now. */
  report: [report: PeerReport];
}

export interface PeerRecordsOptions {
  /**
   * Past it the one that was least recently reported is forgotten.
   * @default 10_000
   */
  readonly maxPeers?: number;
  /** How long a peer that lacked a block is not believed to store everything, ms. Default an hour. */
  readonly storageDoubtMs?: number;
}

/** Records by base58 peer ID. Who has the admin key adds to them, and the node's reports within a bound: strangers cannot crowd them out. */
export class PeerRecords extends EventEmitter<PeerRecordsEvents> {
  readonly #metrics: PeerMetrics;
  readonly #onChange: (peerId: PeerIdText) => void;
  readonly #now: () => number;
  readonly #storageDoubtMs: number;
  readonly #records: LRUCache<PeerIdText, PeerRecord>;
  /** Low peers, and when (unix ms) each recovers: asked for every message. */
  readonly #low = new Map<PeerIdText, number>();
  readonly #lastFailures: LRUCache<PeerIdText, { readonly at: number; readonly source: FailureSource }>;

  constructor(
    components: PeerRecordsComponents,
    { maxPeers = MAX_RECORDS, storageDoubtMs = 3_600_000 }: PeerRecordsOptions = {},
  ) {
    super();
    this.#storageDoubtMs = storageDoubtMs;
    this.#metrics = components.metrics;
    this.#onChange = components.onChange ?? (() => {});
    this.#now = components.clock ?? steadyTime;
    this.#records = new LRUCache({
      max: maxPeers,
      dispose: (_, peer, reason) => {
        if (reason !== 'evict') return;
        this.#low.delete(peer);
        this.#onChange(peer);
      },
    });
    this.#lastFailures = new LRUCache({ max: maxPeers });
  }

  /** The record of a peer, or {@link NO_RECORD}. */
  get(peer: PeerIdText): PeerRecord {
    this.isLow(peer);
    return this.#records.peek(peer) ?? NO_RECORD;
  }

  has(peer: PeerIdText): boolean {
    return this.#records.has(peer);
  }

  /** Everybody of whom there is a record. */
  peers(): PeerIdText[] {
    return [...this.#records.keys()];
  }

  /** Whether a peer's reputation is too low to hear all that it says. Constant time; a wait that is over ends here. */
  isLow(peer: PeerIdText): boolean {
    const due = this.#low.get(peer);
    if (due === undefined) return false;
    if (this.#now() < due) return true;
    this.#recover(peer);
    return false;
  }

  /** Whether services have reported that dealing with a peer went well, and its reputation is still neutral or better. Constant time. */
  isReputed(peer: PeerIdText): boolean {
    const record = this.#records.peek(peer);
    return record !== undefined && record.successes > 0 && record.reputation >= NEUTRAL_REPUTATION;
  }

  catchupAttempt(peer: PeerIdText): void {
    const { attempts, catchupAttempts } = this.get(peer);
    this.#metrics.interactions.inc({ outcome: 'attempt' });
    this.#set(peer, {
      attempts: attempts + 1,
      catchupAttempts: catchupAttempts + 1,
      lastAttempt: this.#now(),
    });
    this.emit('report', { type: 'catchup_attempt', peer });
  }

  catchupSuccess(peer: PeerIdText, durationMs: bigint): void {
    this.#succeeded(peer, durationMs, { catchupSuccesses: this.get(peer).catchupSuccesses + 1 });
    this.emit('report', { type: 'catchup_success', peer, ms: durationMs });
  }

  /** Returns false where `source` tells of a failure that the other source has told already. */
  catchupFailure(peer: PeerIdText, source: FailureSource): boolean {
    const now = this.#now();
    const last = this.#lastFailures.get(peer);
    if (last !== undefined && last.source !== source && Math.abs(now - last.at) < SAME_FAILURE_MS) {
      this.#lastFailures.delete(peer);
      return false;
    }
    this.#lastFailures.set(peer, { at: now, source });
    const { failures, catchupFailures } = this.get(peer);
    this.#metrics.interactions.inc({ outcome: 'failure' });
    this.#judge(peer, {
      failures: failures + 1,
      catchupFailures: catchupFailures + 1,
      lastFailure: now,
    });
    this.emit('report', { type: 'catchup_failure', peer });
    return true;
  }

  /** The peer had announced a block and did not have all of it. */
  doubtStorage(peer: PeerIdText): void {
    this.#set(peer, { storageDoubtedUntil: this.#now() + this.#storageDoubtMs });
    this.emit('report', { type: 'storage_doubted', peer });
  }

  /** `text` is safe to show and at most 1,024 characters. */
  catchupError(peer: PeerIdText, text: string): void {
    this.#set(peer, { catchupError: text, catchupErrorAt: this.#now() });
    this.emit('report', { type: 'catchup_error', peer, text });
  }

  /** The peer cheated: its reputation stays at the lowest until it is reset or recovers. */
  malicious(peer: PeerIdText): void {
    const now = this.#now();
    const { attempts, failures, malicious } = this.get(peer);
    this.#metrics.interactions.inc({ outcome: 'malicious' });
    this.#judge(peer, {
      attempts: attempts + 1,
      failures: failures + 1,
      malicious: malicious + 1,
      lastAttempt: now,
      lastFailure: now,
    });
    this.emit('report', { type: 'malicious', peer });
  }

  /**
   * The peer did not give a subtree that it had announced, as the node reports. Who merely announces may be made for the
   * purpose, so of strangers no more than half the capacity is taken; their ban score tells of the rest.
   */
  subtreeFailure(peer: PeerIdText): void {
    if (!this.#records.has(peer) && this.#records.size >= this.#records.max / 2) return;
    this.#metrics.interactions.inc({ outcome: 'failure' });
    this.#judge(peer, { failures: this.get(peer).failures + 1, lastFailure: this.#now() });
    this.emit('report', { type: 'failure', peer });
  }

  validSubtree(peer: PeerIdText): void {
    this.#succeeded(peer, 0n, {});
    this.emit('report', { type: 'valid_subtree', peer });
  }

  validBlock(peer: PeerIdText): void {
    this.#succeeded(peer, 0n, { lastValidBlock: this.#now() });
    this.emit('report', { type: 'valid_block', peer });
  }

  validHeaders(peer: PeerIdText, durationMs: bigint): void {
    this.#succeeded(peer, durationMs, { attempts: this.get(peer).attempts + 1, lastAttempt: this.#now() });
    this.emit('report', { type: 'valid_headers', peer, ms: durationMs });
  }

  /** Takes a chain with more work than the one before. `chainWork`: big-endian, at most 32 bytes. False where it has not. */
  validatedProgress(peer: PeerIdText, height: number, hash: string, chainWork: Uint8Array): boolean {
    const work = Buffer.from(chainWork).toString('hex').replace(/^0+/, '');
    const { validatedWork } = this.get(peer);
    const longer = work.length - validatedWork.length;
    if (longer < 0 || (longer === 0 && work <= validatedWork)) return false;
    this.#set(peer, { validatedHeight: height, validatedHash: hash, validatedWork: work });
    this.emit('report', { type: 'validated', peer, height, hash, work: chainWork });
    return true;
  }

  bytesDownloaded(peer: PeerIdText, bytes: bigint): void {
    const sum = this.get(peer).bytesDownloaded + bytes;
    this.#set(peer, { bytesDownloaded: cappedBytes(sum) });
    this.emit('report', { type: 'downloaded', peer, bytes });
  }

  /** Forgets how dealing with a peer went; what was downloaded and validated stays. */
  reset(peer: PeerIdText): void {
    if (!this.#records.has(peer)) return;
    const { bytesDownloaded, validatedHeight, validatedHash, validatedWork, lastValidBlock } = this.get(peer);
    this.#lastFailures.delete(peer);
    this.#low.delete(peer);
    this.#put(peer, {
      ...NO_RECORD,
      bytesDownloaded,
      validatedHeight,
      validatedHash,
      validatedWork,
      lastValidBlock,
    });
    this.emit('report', { type: 'reset', peer });
  }

  /** The record of `peer` as JSON; undefined for none. */
  encoded(peer: PeerIdText): string | undefined {
    const record = this.#records.peek(peer);
    return record === undefined ? undefined : encodeRecord(record);
  }

  /**
   * Takes a record of an earlier run. Throws what {@link decodeRecord} throws. Times to come, as after a clock was set back, are taken
   * as now: else a low peer would stay low until then.
   */
  restore(peer: PeerIdText, json: string): void {
    const record = decodeRecord(json);
    const now = this.#now();
    this.#records.set(peer, {
      ...record,
      lastFailure: Math.min(record.lastFailure, now),
      lastRecovery: Math.min(record.lastRecovery, now),
      storageDoubtedUntil: Math.min(record.storageDoubtedUntil, now + this.#storageDoubtMs),
    });
    this.#consider(peer);
  }

  #succeeded(peer: PeerIdText, durationMs: bigint, changes: Partial<PeerRecord>): void {
    const { successes, averageMs } = this.get(peer);
    this.#metrics.interactions.inc({ outcome: 'success' });
    this.#judge(peer, {
      ...changes,
      successes: successes + 1,
      lastSuccess: this.#now(),
      averageMs: blendedMs(averageMs, durationMs),
    });
  }

  #judge(peer: PeerIdText, changes: Partial<PeerRecord>): void {
    const changed = { ...this.get(peer), ...changes };
    this.#put(peer, { ...changed, reputation: reputationOf(changed, this.#now()) });
  }

  #set(peer: PeerIdText, changes: Partial<PeerRecord>): void {
    this.#put(peer, { ...this.get(peer), ...changes });
  }

  #put(peer: PeerIdText, record: PeerRecord): void {
    this.#records.set(peer, record);
    this.#consider(peer);
    this.#onChange(peer);
  }

  /** Whether it is low now. */
  #consider(peer: PeerIdText): void {
    const record = this.#records.peek(peer) ?? NO_RECORD;
    if (record.reputation < LOW_REPUTATION) {
      this.#low.set(peer, recoveryDue(record.lastFailure, record.lastRecovery, record.recoveries));
    } else this.#low.delete(peer);
    this.#metrics.recorded.set(this.#records.size);
    this.#metrics.low.set(this.#low.size);
  }

  #recover(peer: PeerIdText): void {
    this.#low.delete(peer);
    const record = this.#records.peek(peer);
    if (record === undefined) return;
    this.#put(peer, {
      ...record,
      reputation: RECOVERED_REPUTATION,
      malicious: 0,
      recoveries: record.recoveries + 1,
      lastRecovery: this.#now(),
    });
  }
}
