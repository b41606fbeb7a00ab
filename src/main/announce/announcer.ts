/** Tells the network what this node has found: the chain's notifications, rejected transactions, its own status. */

import { LRUCache } from 'lru-cache';
import type { HashHex } from '../../shared/bitcoin/hash.js';
import { parseHeader } from '../../shared/bitcoin/header.js';
import { wall } from '../../shared/clock.js';
import { errorMessage } from '../../shared/errors.js';
import type { BlockAssemblyClient } from '../../shared/grpc/block-assembly-client.js';
import { NotFoundError, pause } from '../../shared/grpc/call.js';
import type { DependencyHealth } from '../../shared/health.js';
import type { Logger } from '../../shared/logging/logger.js';
import { block, miningOn, nodeStatus, subtree } from '../../shared/messages/index.js';
import { toldName } from '../../shared/messages/text.js';
import type { PeerIdText } from '../../shared/net/peer-id.js';
import type { Settings } from '../../shared/settings/table.js';
import type { ConsumedRecord, KafkaConsumer } from '../../shared/sinks/kafka/types.js';
import { ChainSubscription, type ChainSubscriptionOptions } from '../chain/subscription.js';
import type { BlockchainClient, BlockHeaderInfo, ChainNotification, FsmState } from '../chain/types.js';
import type { P2PNode } from '../node/types.js';
import { AnnouncementPublisher, type AnnouncementPublisherComponents } from './announcement-publisher.js';
import { AnnouncementQueue } from './announcement-queue.js';
import { BestBlock, type BestBlockComponents, blockMessage, type ToldBlock } from './best-block.js';
import type { AnnounceMetrics } from './metrics.js';
import { RejectedTransactions } from './rejected-transactions.js';
import { Status, type StatusComponents, type SyncPeer } from './status.js';
import type { AnnouncedUrls } from './urls.js';

export interface AnnouncerComponents {
  readonly settings: Settings;
  readonly logger: Logger;
  readonly metrics: AnnounceMetrics;
  readonly chain: BlockchainClient;
  readonly node: Pick<P2PNode, 'publish' | 'subscribers' | 'sendDirect' | 'peers' | 'peerId' | 'isConnected'>;
  /** Hands a message of ours to the pipeline, for WebSocket clients. */
  readonly showOwn: AnnouncementPublisherComponents['showLocally'];
  /** Undefined: nothing is traced. */
  readonly tracers?: AnnouncementPublisherComponents['tracers'];
  readonly urls: AnnouncedUrls;
  readonly assembly?: Pick<BlockAssemblyClient, 'state'>;
  readonly rejectedTx?: Pick<KafkaConsumer, 'start' | 'stop'>;
  readonly syncPeer?: () => SyncPeer | undefined;
  readonly legacyPeers?: StatusComponents['legacyPeers'];
  /** Every other notification of the chain, such as a peer's failure. */
  readonly onNotification?: (notification: ChainNotification) => void;
  /** Blocks reported as invalid, which are not announced whatever the chain says; none unless told. */
  readonly isInvalid?: (hash: HashHex) => boolean;
  readonly catchUp?: BestBlockComponents['catchUp'];
  /** A new best block: the tip as the chain tells it. */
  readonly onBestBlock?: (best: BlockHeaderInfo) => void;
}

export interface AnnouncerOptions {
  /** Told in node_status where the setting is empty. */
  readonly version?: string;
  /** Ms, never going back; for limits. */
  readonly now?: () => number;
  readonly subscription?: ChainSubscriptionOptions;
  /** Milliseconds between two attempts at a chain call or at the consumer's start; 1,000 unless told. */
  readonly retryMs?: number;
  /** Milliseconds between two statuses that new best blocks call for; 1,000 unless told. */
  readonly statusSpacingMs?: number;
}

/** Attempts at asking the chain about one block. */
const CHAIN_ATTEMPTS = 3;
/** Blocks announced at the most for a break in which more came. */
const MAX_MISSED = 16;
/** Announced hashes remembered, so that a notification told twice is announced once. */
const MAX_REMEMBERED = 10_000;

export class Announcer {
  readonly #components: AnnouncerComponents;
  readonly #subscription: ChainSubscription;
  readonly #publisher: AnnouncementPublisher;
  readonly #status: Status;
  readonly #bestBlock: BestBlock;
  readonly #rejected: RejectedTransactions;
  readonly #queue: AnnouncementQueue;
  readonly #announced = new LRUCache<string, true>({ max: MAX_REMEMBERED });
  readonly #stopping = new AbortController();
  readonly #retryMs: number;
  readonly #statusSpacingMs: number;
  readonly #background: Promise<void>[] = [];
  #statusTimer: NodeJS.Timeout | undefined;
  #saying: Promise<void> | undefined;
  #statusWanted = false;
  #lastStatus = Number.NEGATIVE_INFINITY;
  #best: BlockHeaderInfo | undefined;

  constructor(components: AnnouncerComponents, options: AnnouncerOptions = {}) {
    const {
      settings,
      logger,
      metrics,
      chain,
      node,
      showOwn,
      urls,
      assembly,
      syncPeer,
      legacyPeers,
      tracers,
    } = components;
    const { now = () => performance.now(), retryMs = 1_000, statusSpacingMs = 1_000, version = '' } = options;
    const fsmState = (): FsmState | undefined => this.#subscription.fsmState;
    this.#components = components;
    metrics.dataHubUsable.set(urls.problem === undefined ? 1 : 0);
    this.#retryMs = retryMs;
    this.#statusSpacingMs = statusSpacingMs;
    this.#subscription = new ChainSubscription(
      { chain, logger },
      {
        notification: (notification) => this.#take(notification),
        opened: (tip, previous) => this.#opened(tip, previous),
        fsmState: () => this.#statusSoon(),
        connected: (connected) => metrics.subscribed.set(connected ? 1 : 0),
      },
      options.subscription,
    );
    this.#publisher = new AnnouncementPublisher({
      settings,
      logger,
      metrics,
      node,
      showLocally: showOwn,
      tracers,
      fsmState,
    });
    this.#status = new Status({
      settings,
      logger,
      chain,
      node,
      urls,
      fsmState,
      version,
      startedAt: wall.told(),
      ...(assembly === undefined ? {} : { assembly }),
      ...(syncPeer === undefined ? {} : { syncPeer }),
      ...(legacyPeers === undefined ? {} : { legacyPeers }),
    });
    this.#bestBlock = new BestBlock({
      settings,
      logger,
      metrics,
      chain,
      node,
      publisher: this.#publisher,
      urls,
      isInvalid: (info) => this.#isInvalid(info),
      isInvalidHash: (hash) => components.isInvalid?.(hash) === true,
      ownHeight: () => this.#best?.height,
      catchUp: components.catchUp,
      now,
      askEveryMs: retryMs,
    });
    this.#rejected = new RejectedTransactions({
      settings,
      metrics,
      publisher: this.#publisher,
      peerId: () => node.peerId,
      now,
    });
    this.#queue = new AnnouncementQueue({
      waiting: (count) => metrics.waiting.set(count),
      shed: (kind) => metrics.shed.inc({ kind }),
    });
  }

  /** The chain's state as last read or told; undefined while it cannot be read. */
  get fsmState(): FsmState | undefined {
    return this.#subscription.fsmState;
  }

  /** Whether the chain's notifications are coming. */
  get subscribed(): boolean {
    return this.#subscription.connected;
  }

  /** The same for readiness, with the reason why not. */
  subscriptionHealth(): DependencyHealth {
    return this.#subscription.health();
  }

  /** Whether peers can reach the data hub that blocks and subtrees are announced under: a warning, for all else goes on. */
  dataHubHealth(): DependencyHealth {
    const { problem, dataHub } = this.#components.urls;
    const message = problem === undefined ? dataHub || 'none, and none is told' : `warning: ${problem}`;
    return { resource: 'data hub', status: 200, message };
  }

  /** Begins everything; resolves when our first status has been said. An absent chain or broker is waited for. */
  async start(): Promise<void> {
    this.#subscription.start();
    this.#background.push(this.#bestBlock.ask(this.#stopping.signal));
    if (this.#components.rejectedTx !== undefined) {
      this.#background.push(this.#consume(this.#components.rejectedTx));
    }
    await this.#sayStatus();
  }

  /** Ends everything that `start` began; what is being said is said. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    clearTimeout(this.#statusTimer);
    await this.#subscription.stop();
    await this.#queue.stop();
    // A consumer that a broker without an answer keeps from starting is ended by its stop.
    await Promise.all([...this.#background, this.#components.rejectedTx?.stop()]);
    await this.#saying;
  }

  /** Answers a peer that asked for our best block, within limits. Never rejects. */
  answerBestBlock(peer: PeerIdText): Promise<void> {
    return this.#bestBlock.answer(peer);
  }

  /** Hands a block that a peer told in answer to our question to whoever catches up, within limits. Never rejects. */
  followBestBlock(told: ToldBlock): Promise<void> {
    return this.#bestBlock.follow(told);
  }

  /** Announces rejected transactions within limits: the consumer's handler. Never rejects. */
  handleRejected(records: readonly ConsumedRecord[]): Promise<void> {
    return this.#rejected.handle(records);
  }

  /** Resolves when every notification so far has been dealt with. */
  idle(): Promise<void> {
    return this.#queue.idle();
  }

  #take(notification: ChainNotification): void {
    switch (notification.type) {
      case 'block': {
        const { hash, followed = false } = notification;
        this.#queue.push({ kind: 'block', announce: () => this.#block(hash, !followed) });
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
        return;
      }
      default:
        this.#components.onNotification?.(notification);
    }
  }

  /** The opening tip is no news, but blocks between the last one heard and it are. */
  #opened(tip: HashHex, previous: HashHex | undefined): void {
    const missed = previous !== undefined && previous !== tip;
    this.#queue.push({
      kind: 'block',
      announce: async () => {
        if (missed && this.#publisher.canPublish(block.name)) await this.#missed(tip, previous);
        await this.#newBest();
      },
    });
  }

  async #block(hash: HashHex, news: boolean): Promise<void> {
    if (news) {
      if (!this.#publisher.canPublish(block.name)) this.#publisher.dropped(block.name);
      else if (!this.#announced.has(`block ${hash}`)) {
        const info = await this.#header(hash, block.name);
        if (info !== undefined) await this.#sayBlock(info);
      }
    }
    const best = await this.#newBest();
    // Since October 2025 no MiningOn comes: the new best block stands for it.
    const mining = this.#components.settings.p2p_generation === 'current' && news && best?.hash === hash;
    if (mining) await this.#miningOn(best);
  }

  async #sayBlock(info: BlockHeaderInfo): Promise<void> {
    const { urls, node, settings } = this.#components;
    const key = `block ${info.hash}`;
    if (this.#isInvalid(info) || this.#announced.has(key)) return;
    this.#announced.set(key, true);
    const message = blockMessage(info, node.peerId, urls.dataHub, settings.clientName);
    await this.#publisher.publish(block, message, urls.announceable);
  }

  /** WIRE §2: blocks known to be invalid are not announced. */
  #isInvalid({ hash, invalid }: BlockHeaderInfo): boolean {
    return invalid || this.#components.isInvalid?.(hash) === true;
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
    for (const info of whole ? blocks : blocks.slice(-1)) await this.#sayBlock(info);
  }

  async #subtree(hash: HashHex): Promise<void> {
    const { urls, node, settings } = this.#components;
    const key = `subtree ${hash}`;
    if (this.#announced.has(key)) return;
    if (!this.#publisher.canPublish(subtree.name)) return this.#publisher.dropped(subtree.name);
    this.#announced.set(key, true);
    const message = {
      hash,
      dataHubUrl: urls.dataHub,
      peerId: node.peerId,
      clientName: toldName(settings.clientName),
    };
    await this.#publisher.publish(subtree, message, urls.announceable);
  }

  async #miningOnHash(hash: HashHex): Promise<void> {
    if (!this.#publisher.canPublish(miningOn.name)) return this.#publisher.dropped(miningOn.name);
    if (this.#announced.has(`mining_on ${hash}`)) return;
    const info = await this.#header(hash, miningOn.name);
    if (info !== undefined) await this.#miningOn(info);
  }

  async #miningOn(info: BlockHeaderInfo): Promise<void> {
    const key = `mining_on ${info.hash}`;
    if (this.#isInvalid(info) || this.#announced.has(key)) return;
    if (this.#publisher.canPublish(miningOn.name)) this.#announced.set(key, true);
    await this.#publisher.publish(miningOn, {
      hash: info.hash,
      previousHash: parseHeader(info.header).previousHash,
      dataHubUrl: this.#components.urls.dataHub,
      peerId: this.#components.node.peerId,
      height: info.height,
      miner: toldName(info.miner),
      sizeInBytes: info.sizeInBytes,
      txCount: info.txCount,
    });
  }

  /** The chain's best block; a new one is told in a status soon. Undefined when the chain does not answer. */
  async #newBest(): Promise<BlockHeaderInfo | undefined> {
    const { chain, onBestBlock } = this.#components;
    const best = await this.#asked((signal) => chain.getBestBlockHeader(signal), 'best_block');
    if (best !== undefined && best.hash !== this.#best?.hash) {
      this.#best = best;
      this.#status.newBest(best);
      onBestBlock?.(best);
      this.#statusSoon();
    }
    return best;
  }

  async #header(hash: HashHex, kind: string): Promise<BlockHeaderInfo | undefined> {
    const info = await this.#asked((signal) => this.#components.chain.getBlockHeader(hash, signal), kind);
    return info;
  }

  /** An answer of the chain after a few attempts, or undefined, counted against `kind`. */
  async #asked<T>(ask: (signal: AbortSignal) => Promise<T>, kind: string): Promise<T | undefined> {
    const { signal } = this.#stopping;
    for (let attempt = 1; !signal.aborted; attempt++) {
      try {
        return await ask(signal);
      } catch (error) {
        if (signal.aborted) break;
        if (attempt >= CHAIN_ATTEMPTS || error instanceof NotFoundError) {
          this.#components.metrics.chainFailures.inc({ kind });
          this.#components.logger.warn({ kind, reason: errorMessage(error) }, 'the chain did not answer');
          break;
        }
        await pause(this.#retryMs, signal).catch(() => {});
      }
    }
    return undefined;
  }

  /** Says our status soon, but no two too close: in a catch-up every block is a new best. */
  #statusSoon(): void {
    this.#statusWanted = true;
    if (this.#saying !== undefined) return;
    const wait = Math.max(0, this.#lastStatus + this.#statusSpacingMs - performance.now());
    this.#scheduleStatus(wait);
  }

  #scheduleStatus(wait: number): void {
    clearTimeout(this.#statusTimer);
    if (this.#stopping.signal.aborted) return;
    this.#statusTimer = setTimeout(() => {
      this.#sayStatus().catch(() => {});
    }, wait);
  }

  /** Says our status, one at a time, and schedules the next. Never rejects. */
  #sayStatus(): Promise<void> {
    if (this.#saying !== undefined) return this.#saying;
    this.#lastStatus = performance.now();
    this.#statusWanted = false;
    this.#saying = this.#status
      .current()
      .then((status) => this.#publisher.publish(nodeStatus, status))
      .then(() => {
        this.#saying = undefined;
        // What came while this one was said is in the next.
        if (this.#statusWanted) this.#statusSoon();
        else this.#scheduleStatus(this.#components.settings.p2p_node_status_interval);
      });
    return this.#saying;
  }

  /** Starts the consumer, however long the broker takes. */
  async #consume(consumer: Pick<KafkaConsumer, 'start'>): Promise<void> {
    const { signal } = this.#stopping;
    let told = false;
    while (!signal.aborted) {
      try {
        await consumer.start((records) => this.handleRejected(records));
        return;
      } catch (error) {
        if (!told)
          this.#components.logger.warn(
            { reason: errorMessage(error) },
            'rejected transactions wait for Kafka',
          );
        told = true;
        await pause(this.#retryMs, signal).catch(() => {});
      }
    }
  }
}
