/** From whom to catch up: who may be asked, and who first. Pure but for the order of equals. */

import type { DataHubUrl } from '../../shared/messages/data-hub-url.js';
import type { PeerIdText } from '../../shared/net/peer-id.js';
import { QUEUES } from '../../shared/queues.js';
import type { PeerSnapshot } from '../peers/peer-snapshot.js';
import { LOW_REPUTATION } from '../peers/reputation.js';
import type { PeerBackoff } from './peer-backoff.js';

/** What there is to a peer besides its word: it was of use or is configured; it is connected; nothing. */
type Standing = 'proven' | 'connected' | 'stranger';

export interface SyncCandidate {
  /** Base58. */
  readonly id: PeerIdText;
  /** Above ours. */
  readonly height: number;
  /** Its best block, 64 hex digits in display order. */
  readonly hash: string;
  /** Its data hub. */
  readonly dataHubUrl: DataHubUrl;
  readonly full: boolean;
  readonly banScore: number;
  readonly reputation: number;
  readonly standing: Standing;
  /** Services have validated more work from it than our chain has, and it did not lack a block lately. */
  readonly ahead: boolean;
  /** It delivered a whole block that turned out valid, within p2p_full_delivery_freshness_window. */
  readonly delivers: boolean;
  /** Of the chain with the most work that was validated from it: hex without leading zeros; empty for none. */
  readonly validatedWork: string;
}

export interface Selection {
  readonly ownHeight: number;
  /** Hex without leading zeros; empty while the chain has not said it. */
  readonly ownWork: string;
  /** Unix ms. */
  readonly now: number;
  /** Unix ms since when a valid block delivered counts. */
  readonly deliveredSince: number;
  /** Whether a peer may be tried of which nothing is proven. */
  readonly allowUnproven: boolean;
  /** p2p_allow_pruned_node_fallback. */
  readonly allowPruned: boolean;
  /** Unix ms: a peer whose last message is older told no news. */
  readonly receivedSince: number;
  /** Peers that were tried in vain. */
  readonly backoff: Pick<PeerBackoff, 'isBackingOff' | 'mayBeWoken' | 'triedAt'>;
  /** Static and bootstrap peers. */
  readonly isConfigured: (peer: PeerIdText) => boolean;
  /** Blocks that our node found invalid. */
  readonly isInvalid: (hash: string) => boolean;
}

const HASH = /^[0-9a-f]{64}$/;

/** Undefined for a peer without a data hub. */
function candidateOf(peer: PeerSnapshot, selection: Selection): SyncCandidate | undefined {
  const { isConfigured, ownWork, now, deliveredSince } = selection;
  const { id, height, blockHash: hash, dataHubUrl, storage, banScore, record, connection } = peer;
  if (dataHubUrl === '') return undefined;
  const { reputation, successes, validatedHeight, validatedWork, lastValidBlock } = record;
  const proven = isConfigured(id) || successes > 0 || validatedHeight > 0;
  return {
    id,
    height,
    hash,
    dataHubUrl,
    full: storage === 'full',
    banScore,
    reputation,
    standing: proven ? 'proven' : connection === undefined ? 'stranger' : 'connected',
    ahead: ownWork !== '' && compareWork(validatedWork, ownWork) > 0 && record.storageDoubtedUntil <= now,
    delivers: lastValidBlock > 0 && lastValidBlock >= deliveredSince,
    validatedWork,
  };
}

/** Whether it told a best block above ours. */
function isAhead({ hash, height }: SyncCandidate, { ownHeight, isInvalid }: Selection): boolean {
  return height > ownHeight && HASH.test(hash) && !isInvalid(hash);
}

/** One peer, whatever it did; undefined where there is nothing to catch up on. */
export function forcedCandidate(
  peer: PeerSnapshot | undefined,
  selection: Selection,
): SyncCandidate | undefined {
  if (peer === undefined) return undefined;
  const candidate = candidateOf(peer, selection);
  return candidate !== undefined && isAhead(candidate, selection) ? candidate : undefined;
}

/**
 * Those of `peers` (without banned ones and blacklisted data hubs) from which one can catch up, the best first. Where all of
 * them rest, the one that was tried least recently, unless that was a moment ago.
 */
export function syncCandidates(peers: readonly PeerSnapshot[], selection: Selection): SyncCandidate[] {
  const { allowPruned, allowUnproven, receivedSince, backoff } = selection;
  const able = peers
    .filter(({ known }) => (known?.lastReceived ?? 0) >= receivedSince)
    .flatMap((peer) => candidateOf(peer, selection) ?? [])
    .filter(
      (candidate) =>
        isAhead(candidate, selection) &&
        candidate.reputation >= LOW_REPUTATION &&
        (allowPruned || candidate.full) &&
        (allowUnproven || isProven(candidate)),
    );
  const awake = able.filter(({ id }) => !backoff.isBackingOff(id));
  if (awake.length > 0) return drawn(awake).sort(inOrder);
  return drawn(able.filter(({ id }) => backoff.mayBeWoken(id)))
    .sort((one, other) => backoff.triedAt(one.id) - backoff.triedAt(other.id))
    .slice(0, 1);
}

/** Data hubs asked for one choice. */
const MAX_ASKED = QUEUES.dataHubChecks.bounds.hubs;
/** Of one host, where not all can be asked: whoever has it may have any number of identities, and may not even have the host. */
const MAX_ASKED_OF_HOST = 2;

/**
 * Whose data hubs are asked, the most wanted first; `candidates` is in order. Heights and identities are there for the making,
 * so that by the order alone they would take every slot. Where not all can be asked, of four slots two go by standing, those
 * tried in vain behind the others of theirs; one is drawn among those who are no strangers, for connections are to be had as
 * well; and one among strangers.
 */
export function hubsToAsk(
  candidates: readonly SyncCandidate[],
  triedAt: (peer: PeerIdText) => number,
): SyncCandidate[] {
  const familiar = candidates.filter(({ standing }) => standing !== 'stranger');
  const ordered = familiar.toSorted(
    (one, other) =>
      Number(other.standing === 'proven') - Number(one.standing === 'proven') ||
      triedAt(one.id) - triedAt(other.id),
  );
  const anyone = drawn(familiar);
  const strangers = drawn(candidates.filter(({ standing }) => standing === 'stranger'));
  const turns = [ordered, anyone, ordered, strangers];
  const maxOfHost = candidates.length > MAX_ASKED ? MAX_ASKED_OF_HOST : MAX_ASKED;
  const asked = new Set<SyncCandidate>();
  const ofHost = new Map<string, number>();
  const takeFrom = (some: SyncCandidate[]): boolean => {
    for (let one = some.shift(); one !== undefined; one = some.shift()) {
      const hostname = URL.canParse(one.dataHubUrl) ? new URL(one.dataHubUrl).hostname : '';
      const count = ofHost.get(hostname) ?? 0;
      if (asked.has(one) || count === maxOfHost) continue;
      ofHost.set(hostname, count + 1);
      asked.add(one);
      return true;
    }
    return false;
  };
  for (let slot = 0; slot < MAX_ASKED; slot++) {
    const turn = turns[slot % turns.length] ?? strangers;
    if (!takeFrom(turn) && !takeFrom(ordered) && !takeFrom(strangers)) break;
  }
  return [...asked];
}

/** In an order that nobody can choose. */
function drawn<T>(some: readonly T[]): T[] {
  return some
    .map((one) => ({ one, draw: Math.random() }))
    .sort((one, other) => one.draw - other.draw)
    .map(({ one }) => one);
}

/** Hex numbers without leading zeros. Below zero where the first is the smaller. */
export function compareWork(one: string, other: string): number {
  if (one.length !== other.length) return one.length - other.length;
  return one < other ? -1 : Number(one > other);
}

/** Whether more than its word speaks for it. */
export function isProven({ ahead, delivers }: Pick<SyncCandidate, 'ahead' | 'delivers'>): boolean {
  return ahead || delivers;
}

/**
 * What services have validated comes before what peers say: who is ahead by work; then full storage, since a pruned peer may lack what we are missing;
 * who delivered a valid block lately; the most validated work; the lowest ban score, which is what it did; the reputation. The height that a
 * peer claims is not among them: the highest would be the boldest. Equals are drawn: identities can be made to order.
 */
export function inOrder(one: SyncCandidate, other: SyncCandidate): number {
  return (
    Number(other.ahead) - Number(one.ahead) ||
    Number(other.full) - Number(one.full) ||
    Number(other.delivers) - Number(one.delivers) ||
    compareWork(other.validatedWork, one.validatedWork) ||
    one.banScore - other.banScore ||
    other.reputation - one.reputation
  );
}
