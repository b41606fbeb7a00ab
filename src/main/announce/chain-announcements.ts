/** What the chain tells, told to the network: blocks, subtrees and MiningOn, each once and in order. */

import { LRUCache } from 'lru-cache';
import type { HashHex } from '../../shared/bitcoin/hash.js';
import { parseHeader } from '../../shared/bitcoin/header.js';
import { block, miningOn, subtree } from '../../shared/messages/index.js';
import { toldName } from '../../shared/messages/text.js';
import type { Settings } from '../../shared/settings/table.js';
import type { ChainFollower } from '../chain/follower.js';
import type { BlockHeaderInfo, ChainNotification } from '../chain/types.js';
import type { AnnouncementPublisher } from './announcement-publisher.js';
import { AnnouncementQueue } from './announcement-queue.js';
import { blockMessage } from './best-block.js';
import type { AnnounceMetrics } from './metrics.js';
import type { AnnouncedUrls } from './urls.js';

export interface ChainAnnouncementsComponents {
  readonly settings: Pick<Settings, 'p2p_generation' | 'clientName'>;
  readonly metrics: Pick<AnnounceMetrics, 'waiting' | 'shed'>;
  readonly chain: ChainFollower;
  /** Base58 ID of this node. */
  readonly peerId: string;
  readonly publisher: AnnouncementPublisher;
  readonly urls: AnnouncedUrls;
  /** A block that is not to be announced. */
  readonly isInvalid: (info: BlockHeaderInfo) => boolean;
  /** There is another best block, and what was told before it is announced. */
  readonly onBest: () => void;
}

/** Blocks announced at the most for a break in which more came. */
const MAX_MISSED = 16;
/** Announced hashes remembered, so that a notification told twice is announced once. */
const MAX_REMEMBERED = 10_000;

export class ChainAnnouncements {
  readonly #components: ChainAnnouncementsComponents;
  readonly #queue: AnnouncementQueue;
  readonly #announced = new LRUCache<string, true>({ max: MAX_REMEMBERED });
  /** Blocks that the chain told as its own news. */
  readonly #news = new LRUCache<HashHex, true>({ max: MAX_REMEMBERED });
  readonly #stopping = new AbortController();

  constructor(components: ChainAnnouncementsComponents) {
    const { metrics, chain, onBest } = components;
    this.#components = components;
    this.#queue = new AnnouncementQueue({
      waiting: (count) => metrics.waiting.set(count),
      shed: (kind) => metrics.shed.inc({ kind }),
    });
    chain.on('notification', (notification) => this.#take(notification));
    chain.on('opened', (tip, previous) => this.#opened(tip, previous));
    chain.on('best', (best) => {
      const isNews = this.#news.has(best.hash);
      this.#queue.push({
        kind: 'mining_on',
        announce: async () => {
          if (isNews) await this.#mining(best);
          onBest();
        },
      });
    });
  }

  /** Resolves when every notification so far has been dealt with. */
  idle(): Promise<void> {
    return this.#queue.idle();
  }

  /** Drops what waits; resolves when what is being announced is. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#queue.stop();
  }

  #take(notification: ChainNotification): void {
    switch (notification.type) {
      case 'block': {
        const { hash, followed = false } = notification;
        if (followed) return;
        this.#news.set(hash, true);
        this.#queue.push({ kind: 'block', announce: () => this.#block(hash) });
        return;
      }
      case 'subtree': {
        const { hash } = notification;
        this.#queue.push({ kind: 'subtree', announce: () => this.#subtree(hash) });
        return;
      }
      case 'mining_on': {
        const { hash } = notification;
        this.#queue.push({ kind: 'mining_on', announce: () => this.#miningOnHash(hash) });
      }
    }
  }

  /** The opening tip is no news, but blocks between the last one told and it are. */
  #opened(tip: HashHex, previous: HashHex | undefined): void {
    if (previous === undefined || previous === tip) return;
    this.#queue.push({
      kind: 'block',
      announce: async () => {
        if (this.#components.publisher.canPublish(block.name)) await this.#missed(tip, previous);
      },
    });
  }

  async #block(hash: HashHex): Promise<void> {
    const { publisher, chain } = this.#components;
    if (!publisher.canPublish(block.name)) publisher.dropped(block.name);
    else if (!this.#announced.has(`block ${hash}`)) {
      const info = await this.#header(hash, block.name);
      if (info !== undefined) await this.#publishBlock(info);
    }
    // It may have been the best block before it was told as news.
    if (chain.best?.hash === hash) await this.#mining(chain.best);
  }

  async #publishBlock(info: BlockHeaderInfo): Promise<void> {
    const { urls, peerId, settings, publisher, isInvalid } = this.#components;
    const key = `block ${info.hash}`;
    if (isInvalid(info) || this.#announced.has(key)) return;
    this.#announced.set(key, true);
    await publisher.publish(
      block,
      blockMessage(info, peerId, urls.dataHubUrl, settings.clientName),
      urls.announceable,
    );
  }

  /** Blocks that came during a break, oldest first; where they are too many, the tip alone. */
  async #missed(tip: HashHex, previous: HashHex): Promise<void> {
    const blocks: BlockHeaderInfo[] = [];
    let hash = tip;
    while (hash !== previous && blocks.length < MAX_MISSED && !this.#announced.has(`block ${hash}`)) {
      const info = await this.#header(hash, block.name);
      if (info === undefined) break;
      blocks.unshift(info);
      if (info.height === 0) break;
      hash = parseHeader(info.header).previousHash;
    }
    const whole = hash === previous || this.#announced.has(`block ${hash}`);
    for (const info of whole ? blocks : blocks.slice(-1)) await this.#publishBlock(info);
  }

  async #subtree(hash: HashHex): Promise<void> {
    const { urls, peerId, settings, publisher } = this.#components;
    const key = `subtree ${hash}`;
    if (this.#announced.has(key)) return;
    if (!publisher.canPublish(subtree.name)) return publisher.dropped(subtree.name);
    this.#announced.set(key, true);
    const message = {
      hash,
      dataHubUrl: urls.dataHubUrl,
      peerId,
      clientName: toldName(settings.clientName),
    };
    await publisher.publish(subtree, message, urls.announceable);
  }

  /** Since October 2025 no MiningOn comes of the chain: a best block that is its own news stands for it. */
  async #mining(best: BlockHeaderInfo): Promise<void> {
    if (this.#components.settings.p2p_generation === 'current') await this.#miningOn(best);
  }

  async #miningOnHash(hash: HashHex): Promise<void> {
    const { publisher } = this.#components;
    if (!publisher.canPublish(miningOn.name)) return publisher.dropped(miningOn.name);
    if (this.#announced.has(`mining_on ${hash}`)) return;
    const info = await this.#header(hash, miningOn.name);
    if (info !== undefined) await this.#miningOn(info);
  }

  async #miningOn(info: BlockHeaderInfo): Promise<void> {
    const { urls, peerId, publisher, isInvalid } = this.#components;
    const key = `mining_on ${info.hash}`;
    if (isInvalid(info) || this.#announced.has(key)) return;
    if (publisher.canPublish(miningOn.name)) this.#announced.set(key, true);
    await publisher.publish(miningOn, {
      hash: info.hash,
      previousHash: parseHeader(info.header).previousHash,
      dataHubUrl: urls.dataHubUrl,
      peerId,
      height: info.height,
      miner: toldName(info.miner),
      sizeInBytes: info.sizeInBytes,
      txCount: info.txCount,
    });
  }

  #header(hash: HashHex, kind: string): Promise<BlockHeaderInfo | undefined> {
    return this.#components.chain.header(hash, kind, this.#stopping.signal);
  }
}
