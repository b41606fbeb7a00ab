/**
 * A chain of headers without a blockchain service: mines on a timer in a development network, else follows what peers
 * announce. It checks proof of work and connection, never blocks.
 */

import { createHash, randomBytes } from 'node:crypto';
import { Repeating } from '../../shared/async/repeat.js';
import { Serial } from '../../shared/async/serial.js';
import { type HashHex, hashFromBytes } from '../../shared/bitcoin/hash.js';
import {
  HEADER_LENGTH,
  headerHash,
  meetsTarget,
  parseHeader,
  serialiseHeader,
  targetOfBits,
  workFromBytes,
  workOfTarget,
  workToBytes,
} from '../../shared/bitcoin/header.js';
import { NETWORKS } from '../../shared/bitcoin/networks.js';
import { wall } from '../../shared/clock.js';
import { ConfigurationError, UnavailableError } from '../../shared/errors.js';
import { NotFoundError } from '../../shared/grpc/call.js';
import type { DependencyHealth } from '../../shared/health.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { Settings } from '../../shared/settings/table.js';
import { genesisHeader } from './genesis.js';
import { type ChainDatabase, HeaderStore } from './header-store.js';
import { NotificationFeed } from './notification-feed.js';
import type { BlockchainClient, BlockHeaderInfo, ChainNotification, FsmState } from './types.js';

export type EmbeddedChainSettings = Pick<
  Settings,
  | 'network'
  | 'clientName'
  | 'p2p_embedded_mining_interval'
  | 'p2p_embedded_subtree_interval'
  | 'p2p_max_unvalidated_advertised_height_lead'
>;

export interface EmbeddedChainComponents {
  /** Open, and the caller's to close. */
  readonly store: ChainDatabase;
  readonly logger: Logger;
  readonly settings: EmbeddedChainSettings;
}

export interface EmbeddedChainOptions {
  /**
   * Headers kept at the most.
   * @default 10_000
   */
  readonly keepHeaders?: number;
  /** Unix ms. */
  readonly now?: () => number;
}

/** A block as a peer announced it. */
export interface AnnouncedBlock {
  readonly hash: string;
  readonly height: number;
  /** 160 hex digits; without it (first generation) there is nothing to follow. */
  readonly header: string;
  /** Data hub of the announcer. */
  readonly dataHubUrl?: string;
}

/** What became of an announced block: the new tip, stored beside it, known already, or not believed. */
export type Adoption = 'tip' | 'side' | 'known' | 'refused';

/** Bytes of a state at the most. */
const MAX_STATE_BYTES = 1_048_576;
const MAX_HEIGHT = 0xffff_ffff;
/** Nonces tried at one go: regtest's target takes two on average, and the loop must not be held up. */
const MAX_NONCES = 100_000;

/** Why the embedded chain cannot mine as it is told to: the target is out of a timer's reach. Undefined where it can. */
export function miningProblem(
  settings: Pick<EmbeddedChainSettings, 'p2p_embedded_mining_interval' | 'network'>,
): string | undefined {
  return settings.p2p_embedded_mining_interval > 0 && settings.network !== 'regtest'
    ? `p2p_embedded_mining_interval: the embedded chain mines on regtest alone, not on ${settings.network}`
    : undefined;
}

export class EmbeddedChain implements BlockchainClient {
  readonly #store: HeaderStore;
  readonly #logger: Logger;
  readonly #settings: EmbeddedChainSettings;
  readonly #now: () => number;
  readonly #feed = new NotificationFeed();
  readonly #making: Repeating[] = [];
  #best: BlockHeaderInfo | undefined;
  /** Changes of the chain, one after the other. */
  readonly #turns = new Serial();
  #closed = false;
  /** Transactions in the subtrees since the last block. */
  #txCount = 0n;

  /** Throws ConfigurationError when told to mine where the target is out of a timer's reach. */
  constructor({ store, logger, settings }: EmbeddedChainComponents, options: EmbeddedChainOptions = {}) {
    const problem = miningProblem(settings);
    if (problem !== undefined) throw new ConfigurationError([problem]);
    this.#store = new HeaderStore(store, Math.max(2, options.keepHeaders ?? 10_000));
    this.#logger = logger;
    this.#settings = settings;
    this.#now = options.now ?? wall.told;
  }

  /** Reads the tip, or begins with the network's first block. Throws CorruptChainError. Call it before all else. */
  async open(): Promise<void> {
    this.#best = await this.#store.open();
    if (this.#best !== undefined) return;
    const header = genesisHeader(this.#settings.network);
    const work = workOfTarget(targetOfBits(parseHeader(header).bits));
    await this.#append(blockOf(header, 0, workToBytes(work)));
  }

  /** Starts mining, where the settings say so. */
  start(): void {
    this.#repeat('block', this.#settings.p2p_embedded_mining_interval, () => this.mine());
    this.#repeat('subtree', this.#settings.p2p_embedded_subtree_interval, () => this.makeSubtree());
  }

  /** Stops mining; resolves when what was under way has been told. */
  async stop(): Promise<void> {
    await Promise.all(this.#making.map((each) => each.stop()));
  }

  /** Stops mining and ends the subscriptions; what is under way is written first. The store stays open. */
  async close(): Promise<void> {
    this.#closed = true;
    void this.stop();
    await this.#turns.idle();
    this.#feed.end(new UnavailableError('the embedded chain is closed'));
  }

  /** Compact target of the tip. */
  get tipBits(): number {
    return parseHeader(this.#tip().header).bits;
  }

  /** Mines a block on the tip and says so, MiningOn after it. Regtest alone: elsewhere it rejects. */
  mine(): Promise<BlockHeaderInfo> {
    return this.#inTurn(async () => {
      const best = this.#tip();
      const header = this.#solve(best);
      const work = workFromBytes(best.chainWork) + workOfTarget(targetOfBits(parseHeader(header).bits));
      const txCount = this.#txCount + 1n;
      const block: BlockHeaderInfo = {
        ...blockOf(header, best.height + 1, workToBytes(work)),
        txCount,
        sizeInBytes: 200n + txCount * 250n,
        miner: this.#settings.clientName || 'embedded',
      };
      this.#txCount = 0n;
      await this.#append(block);
      this.#logger.debug({ hash: block.hash, height: block.height }, 'mined a block');
      this.#feed.push({ type: 'block', hash: block.hash, baseUrl: '' });
      this.#feed.push({ type: 'mining_on', hash: block.hash, baseUrl: '' });
      return block;
    });
  }

  /** Makes a subtree of made-up transactions and says so. */
  async makeSubtree(): Promise<HashHex> {
    const bytes = randomBytes(32);
    const hash = hashFromBytes(createHash('sha256').update(bytes).digest());
    this.#txCount += 1n + BigInt(bytes[0] ?? 0);
    this.#feed.push({ type: 'subtree', hash, baseUrl: '' });
    return hash;
  }

  /**
   * Takes an announced block: when it connects, or, since nobody here can fetch what lies between, when it claims more
   * work than our tip has, height times its own work. Its proof of work is checked, so that a claim costs what it says
   * everywhere but on regtest. Never rejects for what a peer sent.
   */
  adopt(announced: AnnouncedBlock): Promise<Adoption> {
    return this.#inTurn(() => this.#adopt(announced));
  }

  async getBestBlockHeader(): Promise<BlockHeaderInfo> {
    return this.#tip();
  }

  async getBlockHeader(hash: HashHex): Promise<BlockHeaderInfo> {
    const info = await this.#store.get(hash);
    if (info === undefined) throw new NotFoundError(`the embedded chain has no block ${hash}`);
    return info;
  }

  subscribe(_source: string, signal: AbortSignal): AsyncIterable<ChainNotification> {
    return this.#feed.subscribe({ type: 'block', hash: this.#tip().hash, baseUrl: '' }, signal);
  }

  async getFsmState(): Promise<FsmState> {
    return 'RUNNING';
  }

  async waitUntilNotIdle(): Promise<void> {}

  async getState(key: string): Promise<Uint8Array | undefined> {
    const text = await this.#store.getState(key);
    return text === undefined ? undefined : Buffer.from(text, 'base64');
  }

  /** Throws RangeError above 1 MiB. */
  async setState(key: string, data: Uint8Array): Promise<void> {
    if (data.length > MAX_STATE_BYTES) throw new RangeError(`a state has at most ${MAX_STATE_BYTES} bytes`);
    await this.#store.putState(key, Buffer.from(data).toString('base64'));
  }

  async health(): Promise<DependencyHealth> {
    const resource = 'BlockchainClient';
    return this.#best === undefined || this.#closed
      ? { resource, status: 503, error: 'not open', message: 'embedded chain' }
      : { resource, status: 200, message: `embedded chain at height ${this.#best.height}` };
  }

  async #adopt({ hash, height, header: hex, dataHubUrl = '' }: AnnouncedBlock): Promise<Adoption> {
    const best = this.#tip();
    const header = Buffer.from(hex, 'hex');
    if (header.length !== HEADER_LENGTH || hex.length !== HEADER_LENGTH * 2) return 'refused';
    const computed = headerHash(header);
    const { bits, previousHash } = parseHeader(header);
    const target = targetOfBits(bits);
    const limit = targetOfBits(NETWORKS[this.#settings.network].powLimitBits);
    if (computed !== hash.toLowerCase() || target > limit || !meetsTarget(computed, target)) return 'refused';
    if (!Number.isInteger(height) || height < 1 || height > MAX_HEIGHT) return 'refused';
    if ((await this.#store.get(computed)) !== undefined) return 'known';

    const own = workOfTarget(target);
    const parent = await this.#store.get(previousHash);
    let work: bigint;
    if (parent !== undefined) {
      if (height !== parent.height + 1) return 'refused';
      work = workFromBytes(parent.chainWork) + own;
    } else {
      const lead = this.#settings.p2p_max_unvalidated_advertised_height_lead;
      if (best.height > 0 && height > best.height + lead) return 'refused';
      work = own * BigInt(height);
    }
    const better = work > workFromBytes(best.chainWork);
    if (!better && parent === undefined) return 'refused';
    if (work >= 1n << 256n) return 'refused';
    const block = blockOf(header, height, workToBytes(work));
    if (!better) {
      await this.#store.put(block, false);
      return 'side';
    }
    await this.#append(block);
    this.#feed.push({ type: 'block', hash: computed, baseUrl: dataHubUrl, followed: true });
    return 'tip';
  }

  async #append(block: BlockHeaderInfo): Promise<void> {
    await this.#store.put(block, true);
    this.#best = block;
  }

  #tip(): BlockHeaderInfo {
    if (this.#best === undefined) throw new UnavailableError('the embedded chain is not open');
    return this.#best;
  }

  /** A header on `best` that meets regtest's target. */
  #solve(best: BlockHeaderInfo): Uint8Array {
    const limit = NETWORKS[this.#settings.network].powLimitBits;
    const target = targetOfBits(limit);
    const previous = parseHeader(best.header);
    const header = serialiseHeader({
      version: 0x20000000,
      previousHash: best.hash,
      merkleRoot: hashFromBytes(randomBytes(32)),
      time: Math.min(0xffff_ffff, Math.max(Math.floor(this.#now() / 1000), previous.time + 1)),
      bits: limit,
      nonce: 0,
    });
    const view = new DataView(header.buffer, header.byteOffset);
    for (let nonce = 0; nonce < MAX_NONCES; nonce++) {
      view.setUint32(76, nonce, true);
      if (meetsTarget(headerHash(header), target)) return header;
    }
    throw new Error(`no nonce below ${MAX_NONCES} solves a block on ${this.#settings.network}`);
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    return this.#turns.run(() => {
      if (this.#closed) throw new UnavailableError('the embedded chain is closed');
      return work();
    });
  }

  /** Runs `work` about every `interval` ms: between half and one and a half, so that nodes do not march in step. */
  #repeat(name: 'block' | 'subtree', interval: number, work: () => Promise<unknown>): void {
    if (interval <= 0 || this.#closed) return;
    const made = async (): Promise<void> => {
      await work();
    };
    const repeating = new Repeating(made, {
      everyMs: () => interval * (0.5 + Math.random()),
      onError: (error) => {
        if (!this.#closed) this.#logger.error({ err: error }, `the embedded chain could not make a ${name}`);
      },
      ref: true,
    });
    this.#making.push(repeating);
    repeating.start();
  }
}

function blockOf(header: Uint8Array, height: number, chainWork: Uint8Array): BlockHeaderInfo {
  return {
    hash: headerHash(header),
    header,
    height,
    txCount: 1n,
    sizeInBytes: 0n,
    miner: '',
    chainWork,
    invalid: false,
  };
}
