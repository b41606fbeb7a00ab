/** Asking the network for its best block when we come, and answering those who ask. */

import { LRUCache } from 'lru-cache';
import { pause } from '../../shared/async/pause.js';
import { TokenBucket } from '../../shared/async/token-bucket.js';
import type { HashHex } from '../../shared/bitcoin/hash.js';
import { errorMessage } from '../../shared/errors.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { DataHubUrl } from '../../shared/messages/data-hub-url.js';
import { messageJson } from '../../shared/messages/encode.js';
import { bestblock, block } from '../../shared/messages/index.js';
import { toldName } from '../../shared/messages/text.js';
import type { PeerIdText } from '../../shared/net/peer-id.js';
import { Shares } from '../../shared/net/shares.js';
import type { Settings } from '../../shared/settings/table.js';
import type { ChainView } from '../chain/follower.js';
import type { BlockchainClient, BlockHeaderInfo } from '../chain/types.js';
import type { P2PNode } from '../node/types.js';
import type { AnnouncementPublisher } from './announcement-publisher.js';
import type { AnnounceMetrics, BestBlockAnswer } from './metrics.js';
import type { AnnouncedUrls } from './urls.js';

/** One peer is answered this often, however often it asks: our best block does not change faster. */
const ANSWER_EVERY_MS = 10_000;
/** Peers whose last answer is remembered. */
const MAX_REMEMBERED = 1_000;
/** Answers a second to all who are not connected together, and at once: who asks may be anybody whose message somebody passed on. */
const ANSWERS_PER_SECOND = 20;
/** Answers under way, those to who is not connected among them. A peer that does not read its stream holds one until another needs it. */
const PLACES = 16;
const PLACES_OF_STRANGERS = 8;

/** Requests at the most, a second apart, while peers listen and each goes to none of them. */
const ASK_ATTEMPTS = 60;
const BESTBLOCK = bestblock.id;
/** Answers to one question that are followed, one of a peer, and for how long after it, ms: whoever is connected can make them. */
const FOLLOWED = { answers: 16, withinMs: 60_000 };

/** A block that a peer has. */
interface CatchUpFrom {
  readonly id: PeerIdText;
  readonly hash: string;
  readonly dataHubUrl: DataHubUrl;
}

/** A checked block message on the direct stream. */
export interface ToldBlock {
  /** Who sent it. */
  readonly peer: PeerIdText;
  readonly hash: string;
  readonly height: number;
  readonly dataHubUrl: DataHubUrl | '';
}

export interface BestBlockComponents {
  readonly settings: Pick<Settings, 'p2p_payload_framing' | 'clientName' | 'listen_mode'>;
  readonly logger: Logger;
  readonly metrics: AnnounceMetrics;
  readonly chain: Pick<ChainView, 'best'>;
  readonly blockchain: Pick<BlockchainClient, 'getBestBlockHeader'>;
  readonly node: Pick<P2PNode, 'sendDirect' | 'peerId' | 'subscribers' | 'isConnected'>;
  readonly publisher: AnnouncementPublisher;
  readonly urls: AnnouncedUrls;
  /** A block that is not to be announced. */
  readonly isInvalid: (info: BlockHeaderInfo) => boolean;
  readonly isInvalidHash: (hash: HashHex) => boolean;
  /** Tells block validation of a peer's block; false where the outbox refuses it. Without it, answers are only remembered of their peers. */
  readonly catchUp?: ((from: CatchUpFrom) => Promise<boolean>) | undefined;
  /** Ms, never going back. */
  readonly now: () => number;
  readonly askEveryMs: number;
}

export class BestBlock {
  readonly #components: BestBlockComponents;
  readonly #answered: LRUCache<PeerIdText, number>;
  readonly #strangers: TokenBucket;
  readonly #answering = new Set<PeerIdText>();
  #askedAt = Number.NEGATIVE_INFINITY;
  readonly #underWay = new Shares<AbortController>({ slots: PLACES, givesWay: 'eldest' });

  constructor(components: BestBlockComponents) {
    this.#components = components;
    this.#answered = new LRUCache({ max: MAX_REMEMBERED });
    this.#strangers = new TokenBucket({ perSecond: ANSWERS_PER_SECOND, now: components.now });
  }

  /**
   * Asks until one peer has been asked, the attempts are over, or the signal comes. While the chain is not RUNNING, or no peer
   * listens to such requests, as none of today's network does, it waits and says nothing. Never rejects.
   */
  async ask(signal: AbortSignal): Promise<void> {
    const { publisher, node, askEveryMs, settings, now } = this.#components;
    if (settings.listen_mode !== 'full') return;
    for (let attempt = 0; attempt < ASK_ATTEMPTS && !signal.aborted; ) {
      if (publisher.canReachNetwork(bestblock.name) && node.subscribers(BESTBLOCK) > 0) {
        this.#askedAt = now();
        if ((await publisher.publish(bestblock, { peerId: node.peerId })) > 0) return;
        attempt++;
      }
      await pause(askEveryMs, { signal });
    }
  }

  /**
   * Hands what `peer` answered to our question to whoever catches up, if it is a better block than ours. As Go of the first generation,
   * which has no other way to catch up at its start. Never rejects.
   */
  async follow({ peer, hash, height, dataHubUrl }: ToldBlock): Promise<void> {
    const { metrics, logger, now, chain, isInvalidHash, catchUp } = this.#components;
    const { answers, withinMs } = FOLLOWED;
    if (catchUp === undefined || dataHubUrl === '' || now() - this.#askedAt > withinMs) return;
    if (height <= (chain.best?.height ?? -1) || isInvalidHash(hash as HashHex)) return;
    if (this.#answering.size === answers || this.#answering.has(peer)) return;
    this.#answering.add(peer);
    try {
      const taken = await catchUp({ id: peer, hash, dataHubUrl });
      metrics.bestBlocksFollowed.inc({ outcome: taken ? 'sent' : 'refused' });
    } catch (error) {
      logger.debug({ peer, reason: errorMessage(error) }, 'a best block was not followed');
    }
  }

  /** Answers `peer` on the direct stream, within limits. Never rejects. */
  async answer(peer: PeerIdText): Promise<void> {
    const { publisher, urls, isInvalid, metrics, node, now, blockchain, logger, settings } = this.#components;
    const count = (outcome: BestBlockAnswer): void => metrics.bestBlockAnswers.inc({ outcome });
    if (!publisher.canReachNetwork(block.name) || !urls.announceable) return count('silent');
    const last = this.#answered.get(peer);
    if (last !== undefined && now() - last < ANSWER_EVERY_MS) return count('limited');
    const connected = node.isConnected(peer);
    if (!connected && !this.#strangers.take()) return count('limited');
    this.#answered.set(peer, now());
    const place = new AbortController();
    const holder = connected ? { name: peer, share: 1 } : { name: 'strangers', share: PLACES_OF_STRANGERS };
    for (const { item } of this.#underWay.take(place, [holder])) item.abort(new Error('others ask'));
    try {
      const best = await blockchain.getBestBlockHeader();
      if (isInvalid(best)) return count('silent');
      const message = blockMessage(best, node.peerId, urls.dataHubUrl, settings.clientName);
      const json = messageJson(block, message, settings.p2p_payload_framing);
      await node.sendDirect(peer, Buffer.from(json), place.signal);
      count('answered');
    } catch (error) {
      count(place.signal.aborted ? 'displaced' : 'failed');
      logger.debug({ peer, reason: errorMessage(error) }, 'could not answer with our best block');
    } finally {
      this.#underWay.release(place);
    }
  }
}

/** The Block message for a header of our chain. */
export function blockMessage(info: BlockHeaderInfo, peerId: string, dataHubUrl: string, clientName: string) {
  return {
    hash: info.hash,
    height: info.height,
    dataHubUrl,
    peerId,
    clientName: toldName(clientName),
    header: Buffer.from(info.header).toString('hex'),
    coinbase: '',
  };
}
