/** Tells the network what this node has found: the chain's notifications, rejected transactions, its own status. */

import { pause } from '../../shared/async/pause.js';
import type { HashHex } from '../../shared/bitcoin/hash.js';
import { wall } from '../../shared/clock.js';
import { errorMessage } from '../../shared/errors.js';
import type { BlockAssemblyClient } from '../../shared/grpc/block-assembly-client.js';
import type { DependencyHealth } from '../../shared/health.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { PeerIdText } from '../../shared/net/peer-id.js';
import type { Settings } from '../../shared/settings/table.js';
import type { ConsumedRecord, KafkaConsumer } from '../../shared/sinks/kafka/types.js';
import type { ChainFollower } from '../chain/follower.js';
import type { BlockchainClient, BlockHeaderInfo } from '../chain/types.js';
import type { P2PNode } from '../node/types.js';
import type { SyncPeer } from '../sync/sync-peer.js';
import { AnnouncementPublisher, type AnnouncementPublisherComponents } from './announcement-publisher.js';
import { BestBlock, type BestBlockComponents, type ToldBlock } from './best-block.js';
import { ChainAnnouncements } from './chain-announcements.js';
import type { AnnounceMetrics } from './metrics.js';
import { RejectedTransactions } from './rejected-transactions.js';
import { Status, type StatusComponents } from './status.js';
import { StatusSchedule } from './status-schedule.js';
import type { AnnouncedUrls } from './urls.js';

export interface AnnouncerComponents {
  readonly settings: Settings;
  readonly logger: Logger;
  readonly metrics: AnnounceMetrics;
  /** Listened to from now on. */
  readonly chain: ChainFollower;
  /** What the best-block answers and the status are read from. */
  readonly blockchain: Pick<BlockchainClient, 'getBestBlockHeader' | 'getState'>;
  readonly node: Pick<P2PNode, 'publish' | 'subscribers' | 'sendDirect' | 'peers' | 'peerId' | 'isConnected'>;
  /** Hands a message of ours to the pipeline, for WebSocket clients. */
  readonly showOwn: AnnouncementPublisherComponents['showLocally'];
  /** Undefined: nothing is traced. */
  readonly tracers?: AnnouncementPublisherComponents['tracers'];
  readonly urls: AnnouncedUrls;
  readonly assembly?: Pick<BlockAssemblyClient, 'state'>;
  readonly rejectedTx?: Pick<KafkaConsumer, 'start' | 'stop'> | undefined;
  readonly syncPeer?: () => SyncPeer | undefined;
  readonly legacyPeers?: StatusComponents['legacyPeers'];
  /**
   * Blocks reported as invalid, which are not announced whatever the chain says.
   * @default none
   */
  readonly isInvalid?: (hash: HashHex) => boolean;
  readonly catchUp?: BestBlockComponents['catchUp'];
}

export interface AnnouncerOptions {
  /** Told in node_status where the setting is empty. */
  readonly version?: string;
  /** Ms, never going back; for limits. */
  readonly now?: () => number;
  /**
   * Milliseconds between two attempts at our best-block request or at the consumer's start.
   * @default 1_000
   */
  readonly retryMs?: number;
  /**
   * Milliseconds between two statuses that new best blocks call for.
   * @default 1_000
   */
  readonly statusSpacingMs?: number;
}

export class Announcer {
  readonly #components: AnnouncerComponents;
  readonly #announcements: ChainAnnouncements;
  readonly #statuses: StatusSchedule;
  readonly #bestBlock: BestBlock;
  readonly #rejected: RejectedTransactions;
  readonly #stopping = new AbortController();
  readonly #retryMs: number;
  readonly #background: Promise<void>[] = [];

  constructor(components: AnnouncerComponents, options: AnnouncerOptions = {}) {
    const { settings, logger, metrics, chain, blockchain, node, urls, tracers } = components;
    const { assembly, syncPeer, legacyPeers, isInvalid = () => false } = components;
    const { now = () => performance.now(), retryMs = 1_000, statusSpacingMs = 1_000, version = '' } = options;
    this.#components = components;
    this.#retryMs = retryMs;
    metrics.dataHubUsable.set(urls.problem === undefined ? 1 : 0);
    const publisher = new AnnouncementPublisher({
      settings,
      logger,
      metrics,
      node,
      showLocally: components.showOwn,
      tracers,
      chain,
    });
    // WIRE §2: blocks known to be invalid are not announced.
    const isInvalidBlock = ({ hash, invalid }: BlockHeaderInfo): boolean => invalid || isInvalid(hash);
    const status = new Status({
      settings,
      logger,
      chain,
      blockchain,
      node,
      urls,
      version,
      startedAt: wall.told(),
      ...(assembly === undefined ? {} : { assembly }),
      ...(syncPeer === undefined ? {} : { syncPeer }),
      ...(legacyPeers === undefined ? {} : { legacyPeers }),
    });
    this.#statuses = new StatusSchedule(
      { status, publisher },
      { intervalMs: settings.p2p_node_status_interval, spacingMs: statusSpacingMs },
    );
    this.#announcements = new ChainAnnouncements({
      settings,
      metrics,
      chain,
      peerId: node.peerId,
      publisher,
      urls,
      isInvalid: isInvalidBlock,
      onBest: () => this.#statuses.soon(),
    });
    chain.on('best', (best) => status.newBest(best));
    chain.on('state', () => this.#statuses.soon());
    this.#bestBlock = new BestBlock({
      settings,
      logger,
      metrics,
      chain,
      blockchain,
      node,
      publisher,
      urls,
      isInvalid: isInvalidBlock,
      isInvalidHash: isInvalid,
      catchUp: components.catchUp,
      now,
      askEveryMs: retryMs,
    });
    this.#rejected = new RejectedTransactions({ settings, metrics, publisher, peerId: node.peerId, now });
  }

  /** Whether peers can reach the data hub that blocks and subtrees are announced under: a warning, for all else goes on. */
  dataHubHealth(): DependencyHealth {
    const { problem, dataHubUrl } = this.#components.urls;
    const message = problem === undefined ? dataHubUrl || 'none, and none is told' : `warning: ${problem}`;
    return { resource: 'data hub', status: 200, message };
  }

  /** Begins everything; resolves when our first status has been said. An absent broker is waited for. */
  async start(): Promise<void> {
    this.#background.push(this.#bestBlock.ask(this.#stopping.signal));
    if (this.#components.rejectedTx !== undefined) {
      this.#background.push(this.#consume(this.#components.rejectedTx));
    }
    await this.#statuses.start();
  }

  /** Ends everything that `start` began; what is being said is said. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#announcements.stop();
    // A consumer that a broker without an answer keeps from starting is ended by its stop.
    await Promise.all([...this.#background, this.#components.rejectedTx?.stop()]);
    await this.#statuses.stop();
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
    return this.#announcements.idle();
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
        await pause(this.#retryMs, { signal });
      }
    }
  }
}
