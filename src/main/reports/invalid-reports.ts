/**
 * Invalid blocks and subtrees that the node's validation reports through Kafka: whoever announced one is scored for it.
 *
 * A block's hash holds all that is in it, so everybody who announced an invalid one signed for it. A subtree may be
 * reported because of one data hub that did not give what it promised (Teranode's reasons are nearly all of that sort): of
 * several announcers, those that named the reported data hub are meant.
 */

import { LRUCache } from 'lru-cache';
import type { HashHex } from '../../shared/hash.js';
import type { ConsumedRecord, KafkaConsumer } from '../../shared/kafka/types.js';
import type { Logger } from '../../shared/logging.js';
import type { Announcer } from '../../shared/pipeline/types.js';
import type { BanScores } from '../bans/scores.js';
import { canonicalPeerId } from '../bans/subject.js';
import type { FsmState } from '../blockchain/types.js';
import type { KnownPeers } from '../peers/known-peers.js';
import type { InvalidBlocks } from './invalid-blocks.js';
import { decodeInvalidReport, type InvalidReport, type ReportedKind } from './invalid-report.js';
import type { ReportMetrics, ReportOutcome } from './metrics.js';

export interface InvalidReportsComponents {
  readonly logger: Logger;
  readonly metrics: ReportMetrics;
  readonly scores: Pick<BanScores, 'add'>;
  readonly knownPeers: Pick<KnownPeers, 'list'>;
  readonly invalidBlocks: InvalidBlocks;
  /** Who announced each hash, in the order of the hashes. A rejection lets the records be read again. */
  readonly announcersOf: (
    kind: ReportedKind,
    hashes: readonly HashHex[],
  ) => Promise<readonly (readonly Announcer[])[]>;
  readonly fsmState: () => FsmState | undefined;
  /** This node's own, which is never scored. */
  readonly ownPeerId: () => string;
  readonly blocks?: KafkaConsumer | undefined;
  readonly subtrees?: KafkaConsumer | undefined;
}

type Found = 'announced' | 'peer_id' | 'url';

interface Accused {
  readonly peers: readonly string[];
  readonly found: Found;
}

/** Scores remembered, so that a record read again scores nobody again: as the pipeline does for its own offences. */
const MAX_SCORED = 50_000;
/** Between two lines of the log: a malicious miner or a broken validation reports by the hundred. */
const LOG_EVERY_MS = 1_000;
/** As in Go: while it catches up, a node finds wrong what it only does not know yet. */
const CATCHING_UP: ReadonlySet<FsmState | undefined> = new Set(['CATCHINGBLOCKS', 'LEGACYSYNCING']);

export class InvalidReports {
  readonly #components: InvalidReportsComponents;
  readonly #scored = new LRUCache<string, true>({ max: MAX_SCORED });
  #starting: Promise<unknown> = Promise.resolve();
  #lastLogged = Number.NEGATIVE_INFINITY;

  constructor(components: InvalidReportsComponents) {
    this.#components = components;
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
    const { metrics, invalidBlocks, announcersOf, fsmState } = this.#components;
    const count = (outcome: ReportOutcome): void => metrics.reports.inc({ kind, outcome });
    const reports: InvalidReport[] = [];
    for (const { value } of records) {
      const report = decodeInvalidReport(kind, value);
      if (report === undefined) count('malformed');
      else reports.push(report);
    }
    if (kind === 'block') {
      for (const { hash } of reports) invalidBlocks.add(hash);
      metrics.invalidBlocks.set(invalidBlocks.size);
    }
    if (reports.length === 0) return;
    const announcers = await announcersOf(
      kind,
      reports.map(({ hash }) => hash),
    );
    reports.forEach((report, index) => {
      if (CATCHING_UP.has(fsmState())) count('catching_up');
      else count(this.#score(kind, report, this.#accused(kind, report, announcers[index] ?? [])));
    });
  }

  #accused(kind: ReportedKind, report: InvalidReport, announcers: readonly Announcer[]): Accused {
    const { peerUrl } = report;
    const announced = (of: readonly Announcer[]): Accused => ({
      peers: of.map(({ peer }) => peer),
      found: 'announced',
    });
    if (kind === 'subtree' && peerUrl !== '') {
      const there = announcers.filter(({ url }) => sameUrl(url, peerUrl));
      if (there.length > 0) return announced(there);
    }
    if (announcers.length > 0) return announced(announcers);
    const peerId = canonicalPeerId(report.peerId);
    if (peerId !== undefined) return { peers: [peerId], found: 'peer_id' };
    const { knownPeers } = this.#components;
    const peers =
      peerUrl === '' ? [] : knownPeers.list().flatMap(({ id, url }) => (sameUrl(url, peerUrl) ? [id] : []));
    return { peers, found: 'url' };
  }

  #score(kind: ReportedKind, { hash, reason }: InvalidReport, { peers, found }: Accused): ReportOutcome {
    const { scores, metrics, ownPeerId, logger } = this.#components;
    const others = [...new Set(peers)].filter((peer) => peer !== ownPeerId());
    if (others.length === 0) return 'nobody';
    const fresh = others.filter((peer) => !this.#scored.has(`${kind} ${hash} ${peer}`));
    for (const peer of fresh) {
      this.#scored.set(`${kind} ${hash} ${peer}`, true);
      scores.add(peer, `invalid_${kind}`);
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
function sameUrl(one: string, other: string): boolean {
  const bare = (url: string): string => (url.endsWith('/') ? url.slice(0, -1) : url);
  return one !== '' && bare(one) === bare(other);
}
