/** Headers, tip and states of the embedded chain, in the data directory's store. Old headers go. */

import type { AbstractLevel } from 'abstract-level';
import { type HashHex, parseHashHex } from '../../shared/bitcoin/hash.js';
import { headerHash, workFromBytes } from '../../shared/bitcoin/header.js';
import { errorMessage } from '../../shared/errors.js';
import type { BlockHeaderInfo } from './types.js';

/** The data directory's store, or memory-level in tests. */
export type ChainDatabase = AbstractLevel<string | Buffer | Uint8Array, string, Uint8Array>;

/** What is stored of the embedded chain cannot be read. */
export class CorruptChainError extends Error {
  override readonly name = 'CorruptChainError';
}

interface StoredHeader {
  readonly header: string;
  readonly height: number;
  readonly txCount: string;
  readonly sizeInBytes: string;
  readonly miner: string;
  readonly work: string;
}

const TIP = 'tip';
/** Keys `height:<ten digits>:<hash>`, lowest first. */
const HEIGHTS = { gt: 'height:', lt: 'height;' };
/** Headers deleted in one go at the most, so that a shortened bound does not stall the loop. */
const PRUNE_BATCH = 1_000;

export class HeaderStore {
  readonly #chain;
  readonly #keep: number;
  #count = 0;

  /** Keeps the `keep` highest headers. The database stays the caller's, open. */
  constructor(database: ChainDatabase, keep: number) {
    this.#chain = database.sublevel<string, string>('chain', { keyEncoding: 'utf8', valueEncoding: 'utf8' });
    this.#keep = keep;
  }

  /** The tip, or undefined in a new database. Throws CorruptChainError. */
  async open(): Promise<BlockHeaderInfo | undefined> {
    await this.#chain.open();
    this.#count = 0;
    for await (const _ of this.#chain.keys(HEIGHTS)) this.#count++;
    const tip = await this.#chain.get(TIP);
    if (tip === undefined) {
      if (this.#count > 0) throw new CorruptChainError('the embedded chain has headers but no tip');
      return undefined;
    }
    const hash = parseHashHex(tip);
    const info = hash === undefined ? undefined : await this.get(hash);
    if (info === undefined)
      throw new CorruptChainError(`the embedded chain’s tip ${tip.slice(0, 64)} is missing`);
    return info;
  }

  /** Throws CorruptChainError for an entry that is not what was written. */
  async get(hash: HashHex): Promise<BlockHeaderInfo | undefined> {
    const text = await this.#chain.get(headerKey(hash));
    if (text === undefined) return undefined;
    try {
      const stored = JSON.parse(text) as StoredHeader;
      const header = Buffer.from(stored.header, 'hex');
      if (headerHash(header) !== hash || !Number.isSafeInteger(stored.height))
        throw new Error('hash differs');
      const chainWork = Buffer.from(stored.work, 'hex');
      if (workFromBytes(chainWork) === 0n) throw new Error('no work');
      return {
        hash,
        header,
        height: stored.height,
        txCount: BigInt(stored.txCount),
        sizeInBytes: BigInt(stored.sizeInBytes),
        miner: String(stored.miner),
        chainWork,
        invalid: false,
      };
    } catch (error) {
      throw new CorruptChainError(`the embedded chain’s header ${hash} is corrupt: ${errorMessage(error)}`);
    }
  }

  /** Writes a header, as the tip or beside it, in one step; then lets the lowest go. */
  async put(info: BlockHeaderInfo, asTip: boolean): Promise<void> {
    const stored: StoredHeader = {
      header: Buffer.from(info.header).toString('hex'),
      height: info.height,
      txCount: String(info.txCount),
      sizeInBytes: String(info.sizeInBytes),
      miner: info.miner,
      work: Buffer.from(info.chainWork).toString('hex'),
    };
    const known = (await this.#chain.get(headerKey(info.hash))) !== undefined;
    const batch = this.#chain.batch();
    batch.put(headerKey(info.hash), JSON.stringify(stored));
    batch.put(heightKey(info), '');
    if (asTip) batch.put(TIP, info.hash);
    await batch.write();
    if (!known) this.#count++;
    if (this.#count > this.#keep) await this.#prune(info.hash);
  }

  getState(key: string): Promise<string | undefined> {
    return this.#chain.get(`state:${key}`);
  }

  putState(key: string, value: string): Promise<void> {
    return this.#chain.put(`state:${key}`, value);
  }

  async #prune(spared: HashHex): Promise<void> {
    const excess = Math.min(this.#count - this.#keep, PRUNE_BATCH);
    const tip = await this.#chain.get(TIP);
    const lowest = await this.#chain.keys({ ...HEIGHTS, limit: excess + 2 }).all();
    const batch = this.#chain.batch();
    let gone = 0;
    for (const key of lowest) {
      const hash = key.slice(-64) as HashHex;
      if (gone === excess || hash === tip || hash === spared) continue;
      batch.del(key);
      batch.del(headerKey(hash));
      gone++;
    }
    await batch.write();
    this.#count -= gone;
  }
}

function headerKey(hash: HashHex): string {
  return `header:${hash}`;
}

function heightKey(info: BlockHeaderInfo): string {
  return `height:${String(info.height).padStart(10, '0')}:${info.hash}`;
}
