/**
 * Invalid blocks and subtrees that the node's validation reports through Kafka: whoever announced one is scored for it.
 *
 * Of several announcers those are meant whose peer ID or data hub the report names: anybody can announce another's good
 * block or subtree beside its own data hub, and give something else there. Where a report names none of them, everybody who
 * announced the block signed for it. A subtree is reported because of what one data hub gave or did not give (Teranode's
 * reasons are nearly all of that sort): where that is nobody's who announced it, the announcers are not to blame.
 */

import { LRUCache } from 'lru-cache';
import type { HashHex } from '../../shared/bitcoin/hash.js';
import { steadyTime, wall } from '../../shared/clock.js';
import type { Logger } from '../../shared/logging/logger.js';
import { type PeerIdText, parsePeerId } from '../../shared/net/peer-id.js';
import type { Announcer, KnownAnnouncers } from '../../shared/pipeline/types.js';
import type { ConsumedRecord, KafkaConsumer } from '../../shared/sinks/kafka/types.js';
import type { BanScores } from '../bans/scores.js';
import type { ChainView } from '../chain/follower.js';
import type { FsmState } from '../chain/types.js';
import type { PeerRecords } from '../peers/peer-records.js';
import type { PeerView } from '../peers/peer-view.js';
import type { InvalidBlocks } from './invalid-blocks.js';
import { decodeInvalidReport, type InvalidReport, type ReportedKind } from './invalid-report.js';
import type { FeedbackMetrics, FeedbackOutcome } from './metrics.js';

export interface InvalidFeedbackComponents {
  readonly logger: Logger;
  readonly metrics: FeedbackMetrics;
  readonly scores: Pick<BanScores, 'add'>;
  readonly peers: Pick<PeerView, 'known'>;
  /**
   * Where dealing with a peer that did not give a subtree is recorded, as the newest Go nodes do. Not for the first
   * generation, whose services tell of no successes: failures alone would silence everybody in the end.
   */
  readonly records?: Pick<PeerRecords, 'subtreeFailure'> | undefined;
  readonly invalidBlocks: InvalidBlocks;
  /** Who announced each hash. A rejection lets the records be read again. */
  readonly announcersOf: (kind: ReportedKind, hashes: readonly HashHex[]) => Promise<KnownAnnouncers>;
  readonly chain: Pick<ChainView, 'fsmState'>;
  /** This node's own, which is never scored. */
  readonly ownPeerId: () => PeerIdText;
  readonly blocks?: KafkaConsumer | undefined;
  readonly subtrees?: KafkaConsumer | undefined;
  /**
   * Unix ms.
   * @default the earlier of wall.date and steadyTime: a record is late only where no clock that was set makes it so
   */
  readonly clock?: () => number;
}

type Found = 'announced' | 'peer_id' | 'url';

interface Accused {
  readonly peers: readonly PeerIdText[];
  readonly found: Found;
}

/** Whose data hub is where, of the peers known now: made when a batch first asks. */
type OwnersOf = (url: string) => readonly PeerIdText[];

/**
 * What is older scores nobody: by then its points would be forgiven, a point a minute, and its announcers are forgotten. A new
 * group reads a topic from its beginning, and Kafka keeps records well beyond their retention.
 */
const LATE_MS = 10 * 60_000;
/** Scores remembered, so that a record read again scores nobody again: as the pipeline does for its own offences. */
const MAX_SCORED = 50_000;
/** Between two lines of the log: a malicious miner or a broken validation reports by the hundred. */
const LOG_EVERY_MS = 1_000;
const NOBODY: OwnersOf = () => [];
/** As in Go: while it catches up, a node finds wrong what it only does not know yet. */
const CATCHING_UP: ReadonlySet<FsmState | undefined> = new Set(['CATCHINGBLOCKS', 'LEGACYSYNCING']);

export class InvalidFeedback {
  readonly #components: InvalidFeedbackComponents;
  readonly #now: () => number;
  readonly #scored = new LRUCache<string, true>({ max: MAX_SCORED });
  #starting: Promise<unknown> = Promise.resolve();
  #lastLogged = Number.NEGATIVE_INFINITY;

  constructor(components: InvalidFeedbackComponents) {
    this.#components = components;
    this.#now = components.clock ?? (() => Math.min(wall.date(), steadyTime()));
  }

  /** Begins to consume; does not wait for the broker. */
  start(): void {
    const { blocks, subtrees, logger } = this.#components;
    const begin = (kind: ReportedKind, consumer: KafkaConsumer | undefined) =>
      consumer
        ?.start((records) => this.handle(kind, records))
        .catch((error: unknown) => logger.error({ err: error, kind }, 'reports cannot be consumed'));
    this.#starting = Promise.all([begin('block', blocks), begin('subtree', subtrees)]);
  }

  /** Finishes the batches under way and leaves the group. */
  async stop(): Promise<void> {
    const { blocks, subtrees } = this.#components;
    await Promise.all([blocks?.stop(), subtrees?.stop()]);
    await this.#starting;
  }

  /** A consumer's handler. Rejects only while the publisher, which remembers who announced what, does not answer. */
  async handle(kind: ReportedKind, records: readonly ConsumedRecord[]): Promise<void> {
    const { metrics, invalidBlocks, announcersOf, chain } = this.#components;
    const count = (outcome: FeedbackOutcome): void => metrics.reports.inc({ kind, outcome });
    const reports: { readonly report: InvalidReport; readonly at: number }[] = [];
    for (const { value, timestamp } of records) {
      const report = decodeInvalidReport(kind, value);
      if (report === undefined) count('malformed');
      else reports.push({ report, at: timestamp });
    }
    if (kind === 'block') {
      for (const { report } of reports) invalidBlocks.add(report.hash);
      metrics.invalidBlocks.set(invalidBlocks.size);
    }
    if (reports.length === 0) return;
    const { of, whole } = await announcersOf(
      kind,
      reports.map(({ report }) => report.hash),
    );
    const ownersOf = this.#owners();
    const now = this.#now();
    reports.forEach(({ report, at }, index) => {
      if (CATCHING_UP.has(chain.fsmState)) count('catching_up');
      else if (at > 0 && now - at > LATE_MS) count('late');
      else {
        const owners = whole[index] === true ? ownersOf : NOBODY;
        count(this.#score(kind, report, this.#accused(kind, report, of[index] ?? [], owners)));
      }
    });
  }

  #accused(
    kind: ReportedKind,
    report: InvalidReport,
    announcers: readonly Announcer[],
    ownersOf: OwnersOf,
  ): Accused {
    const { peerUrl } = report;
    const announced = (by: readonly Announcer[]): Accused => ({
      peers: by.map(({ peer }) => peer),
      found: 'announced',
    });
    const peerId = parsePeerId(report.peerId);
    const named = announcers.filter(
      ({ peer, dataHubUrl }) => peer === peerId || sameUrl(dataHubUrl, peerUrl),
    );
    if (named.length > 0) return announced(named);
    if (announcers.length > 0 && (kind === 'block' || peerUrl === '')) return announced(announcers);
    if (peerId !== undefined) return { peers: [peerId], found: 'peer_id' };
    // Anybody can write another's data hub into an announcement: who might have and is forgotten would have it pay.
    return { peers: peerUrl === '' ? [] : ownersOf(peerUrl), found: 'url' };
  }

  /** Once a batch: a flood of reports must not walk all peers for each. */
  #owners(): OwnersOf {
    let owners: Map<string, PeerIdText[]> | undefined;
    return (url) => {
      if (owners === undefined) {
        owners = new Map();
        for (const { id, dataHubUrl } of this.#components.peers.known()) {
          const of = owners.get(bareUrl(dataHubUrl));
          if (of === undefined) owners.set(bareUrl(dataHubUrl), [id]);
          else of.push(id);
        }
      }
      return owners.get(bareUrl(url)) ?? [];
    };
  }

  #score(kind: ReportedKind, { hash, reason }: InvalidReport, { peers, found }: Accused): FeedbackOutcome {
    const { scores, records, metrics, ownPeerId, logger } = this.#components;
    const others = [...new Set(peers)].filter((peer) => peer !== ownPeerId());
    if (others.length === 0) return 'nobody';
    const fresh = others.filter((peer) => !this.#scored.has(`${kind} ${hash} ${peer}`));
    for (const peer of fresh) {
      this.#scored.set(`${kind} ${hash} ${peer}`, true);
      scores.add(peer, `invalid_${kind}`);
      // As in Go, where an invalid block lowers no reputation: honest nodes announce blocks before they know all of them.
      if (kind === 'subtree') records?.subtreeFailure(peer);
      metrics.scored.inc({ kind, found });
    }
    if (fresh.length === 0) return 'repeat';
    const line = { kind, hash, reason, peers: fresh.slice(0, 10), found };
    const now = performance.now();
    if (now - this.#lastLogged < LOG_EVERY_MS) {
      logger.debug(line, 'scored for what was reported invalid');
    } else {
      this.#lastLogged = now;
      logger.info(line, 'scored for what was reported invalid');
    }
    return 'scored';
  }
}

/** Some write a data hub with a slash at its end. */
function bareUrl(url: string): string {
  return url.endsWith('/') ? url.slice(0, -1) : url;
}

function sameUrl(one: string, other: string): boolean {
  return one !== '' && bareUrl(one) === bareUrl(other);
}
