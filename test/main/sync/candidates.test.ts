import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NO_RECORD, type PeerRecord } from '../../../src/main/peers/peer-record.js';
import type { PeerSnapshot } from '../../../src/main/peers/peer-snapshot.js';
import {
  hubsToAsk,
  type Selection,
  type SyncCandidate,
  syncCandidates,
} from '../../../src/main/sync/candidates.js';
import type { PeerIdText } from '../../../src/shared/net/peer-id.js';
import { asHub, asPeer } from '../../support/branded.js';

const SELECTION: Selection = {
  ownHeight: 100,
  ownWork: '1000',
  now: 10_000,
  deliveredSince: 5_000,
  allowUnproven: true,
  allowPruned: true,
  receivedSince: 0,
  backoff: { isBackingOff: () => false, mayBeWoken: () => true, triedAt: () => 0 },
  isConfigured: () => false,
  isInvalid: () => false,
};

const peer = (
  name: string,
  { reputation = 50, ...changes }: Partial<PeerSnapshot> & { reputation?: number } = {},
): PeerSnapshot => ({
  id: asPeer(name),
  known: {
    id: asPeer(name),
    height: 200,
    startingHeight: 0,
    bestBlock: '',
    dataHubUrl: asHub('https://hub.example.org'),
    name: '',
    storage: 'full',
    chainWork: '',
    lastReceived: 1,
    lastBlock: 0,
    connectedAt: 0,
    bytesReceived: 0n,
  },
  record: { ...NO_RECORD, reputation },
  connection: undefined,
  banScore: 0,
  banned: false,
  name: '',
  dataHubUrl: asHub('https://hub.example.org'),
  height: 200,
  blockHash: 'ab'.repeat(32),
  storage: 'full',
  bytesReceived: 0n,
  ...changes,
});

const orderOf = (peers: readonly PeerSnapshot[], changes: Partial<Selection> = {}) =>
  syncCandidates(peers, { ...SELECTION, ...changes }).map(({ id }) => id);

/** A peer of which services have recorded something. */
const recorded = (id: PeerIdText, record: Partial<PeerRecord>, changes: Partial<PeerSnapshot> = {}) =>
  peer(id, { ...changes, record: { ...NO_RECORD, ...record } });

describe('whom to catch up from', () => {
  it('who is ahead by validated work, full storage, who delivered lately, the most validated work, the lowest ban score, the best reputation', () => {
    const peers = [
      peer('unknown storage', { storage: '', banScore: 1 }),
      peer('pruned', { storage: 'pruned', height: 900, reputation: 100 }),
      peer('scored', { banScore: 10, height: 900, reputation: 100 }),
      peer('good', { reputation: 60 }),
      peer('better', { reputation: 70 }),
      recorded(asPeer('some work'), { validatedWork: 'fff' }, { banScore: 50 }),
      recorded(asPeer('delivered'), { lastValidBlock: 5_000 }, { banScore: 90 }),
      recorded(asPeer('ahead, pruned'), { validatedWork: '1001' }, { storage: 'pruned' }),
      recorded(asPeer('ahead'), { validatedWork: '1001' }),
      recorded(asPeer('farthest ahead'), { validatedWork: '10000' }, { banScore: 90 }),
      recorded(
        asPeer('ahead and delivered'),
        { validatedWork: '1001', lastValidBlock: 9_000 },
        { banScore: 90 },
      ),
    ];
    const order = [
      'ahead and delivered',
      'farthest ahead',
      'ahead',
      'ahead, pruned',
      'delivered',
      'some work',
      'better',
      'good',
      'scored',
      'pruned',
      'unknown storage',
    ];
    assert.deepEqual(orderOf(peers), order);
    assert.deepEqual(orderOf(peers.toReversed()), order);
  });

  it('the height that a peer claims gives it no place before others', () => {
    const peers = [peer('bold', { height: 4_000_000 }), peer('honest')];
    const first = new Set(Array.from({ length: 200 }, () => orderOf(peers)[0]));
    assert.deepEqual([...first].sort(), ['bold', 'honest']);
  });

  it('work counts while the peer did not lack a block lately, and a delivery as long as it is fresh', () => {
    const lacked = recorded(asPeer('lacked a block'), { validatedWork: '1001', storageDoubtedUntil: 10_001 });
    assert.deepEqual(orderOf([lacked, recorded(asPeer('ahead'), { validatedWork: '1001' })]), [
      'ahead',
      'lacked a block',
    ]);
    const proven = (...peers: PeerSnapshot[]) => orderOf(peers, { allowUnproven: false });
    assert.deepEqual(proven(lacked), []);
    assert.deepEqual(
      proven(recorded(asPeer('forgiven'), { validatedWork: '1001', storageDoubtedUntil: 10_000 })),
      ['forgiven'],
    );
    assert.deepEqual(proven(recorded(asPeer('stale'), { lastValidBlock: 4_999 })), []);
    assert.deepEqual(proven(recorded(asPeer('fresh'), { lastValidBlock: 5_000 })), ['fresh']);
    assert.deepEqual(proven(recorded(asPeer('as far as we are'), { validatedWork: '1000' })), []);
  });

  it('without our own work nobody is ahead by it', () => {
    const ahead = recorded(asPeer('ahead'), { validatedWork: 'ffffff' });
    assert.deepEqual(orderOf([ahead], { ownWork: '', allowUnproven: false }), []);
    assert.deepEqual(orderOf([ahead], { ownWork: '' }), ['ahead']);
  });

  it('equals are drawn: no identity is worth making to order', () => {
    const peers = Array.from({ length: 4 }, (_, n) => peer(String(n)));
    const first = new Set(Array.from({ length: 300 }, () => orderOf(peers)[0]));
    assert.equal(first.size, 4);
  });

  it('where all rest, the one that was tried least recently, and nobody who was tried a moment ago', () => {
    const triedAt = (id: string) => ({ first: 1, second: 2 })[id] ?? 0;
    const peers = [peer('second', { height: 900 }), peer('first'), peer('third')];
    const whileResting = (isResting: (id: PeerIdText) => boolean) =>
      syncCandidates(peers, {
        ...SELECTION,
        backoff: { isBackingOff: isResting, mayBeWoken: (id) => id !== 'third', triedAt },
      }).map(({ id }) => id);
    assert.deepEqual(
      whileResting(() => true),
      ['first'],
    );
    assert.deepEqual(
      whileResting((id) => id !== 'third'),
      ['third'],
    );
  });

  it('who is connected, configured or was of use is more than a name', () => {
    const peers = [
      peer('connected', { connection: {} as NonNullable<PeerSnapshot['connection']> }),
      peer('configured'),
      peer('of use', { record: { ...NO_RECORD, successes: 1 } }),
      peer('validated', { record: { ...NO_RECORD, validatedHeight: 1 } }),
      peer('failed', { record: { ...NO_RECORD, failures: 1 } }),
    ];
    const found = syncCandidates(peers, { ...SELECTION, isConfigured: (id) => id === 'configured' });
    const standings = Object.fromEntries(found.map(({ id, standing }) => [id, standing]));
    assert.deepEqual(standings, {
      connected: 'connected',
      configured: 'proven',
      'of use': 'proven',
      validated: 'proven',
      failed: 'stranger',
    });
  });
});

const candidate = (id: PeerIdText, changes: Partial<SyncCandidate> = {}): SyncCandidate => ({
  id,
  height: 200,
  hash: 'ab'.repeat(32),
  dataHubUrl: asHub(`https://${id}.example.org`),
  full: true,
  banScore: 0,
  reputation: 50,
  standing: 'stranger',
  ahead: false,
  delivers: false,
  validatedWork: '',
  ...changes,
});

const many = (count: number, name: string, changes: Partial<SyncCandidate> = {}) =>
  Array.from({ length: count }, (_, n) => candidate(asPeer(`${name}-${n}`), changes));

const NOT_TRIED = () => 0;
const idsOf = (candidates: readonly SyncCandidate[]) => candidates.map(({ id }) => id);

describe('whose data hubs are asked', () => {
  it('of made-up identities, however many and high, no more than every fourth, and among the others the best', () => {
    const known = many(40, 'known', { standing: 'connected' });
    const asked = idsOf(hubsToAsk([...many(1_000, 'made-up', { height: 9_000 }), ...known], NOT_TRIED));
    assert.equal(asked.length, 32);
    const best = idsOf(known.slice(0, 16));
    assert.deepEqual(
      asked
        .filter((_, index) => index % 4 !== 3)
        .filter((id) => best.includes(id))
        .sort(),
      best.sort(),
    );
    assert.ok(asked.every((id, index) => id.startsWith('made-up') === (index % 4 === 3)));
  });

  it('strangers are drawn, and have the places that nobody else wants', () => {
    const strangers = many(64, 'stranger');
    const met = new Set<string>();
    for (let n = 0; n < 100; n++) {
      const asked = idsOf(
        hubsToAsk([...strangers, candidate(asPeer('known'), { standing: 'connected' })], NOT_TRIED),
      );
      assert.deepEqual([asked.length, asked[0]], [32, 'known']);
      for (const id of asked) met.add(id);
    }
    assert.equal(met.size, 65);
  });

  it('however many connect under new names, who is configured or was of use comes first, and anyone may be drawn', () => {
    const crowd = many(100, 'crowd', { standing: 'connected', height: 9_000 });
    const honest = candidate(asPeer('honest'), { standing: 'connected' });
    const proven = many(3, 'proven', { standing: 'proven' });
    const everybody = [...crowd, honest, ...proven];
    // It was tried in vain, as everybody is while our own way out is broken; the crowd has ever new names.
    const ask = () => idsOf(hubsToAsk(everybody, (id) => (id.startsWith('crowd') ? 0 : 1)));
    const rounds = Array.from({ length: 200 }, ask);
    for (const asked of rounds) {
      assert.equal(asked[0], 'proven-0');
      assert.ok(proven.every(({ id }) => asked.includes(id)));
    }
    assert.ok(rounds.some((asked) => asked.includes(asPeer('honest'))));
  });

  it('two of a host at the most where not all can be asked, whatever its identities', () => {
    const url = (_: unknown, n: number) => `https://one.example.org:${8000 + n}/${n}`;
    const crowd = many(500, 'crowd').map((one, n) => ({
      ...one,
      dataHubUrl: asHub(url(one, n)),
      standing: n < 250 ? ('connected' as const) : ('stranger' as const),
    }));
    const asked = idsOf(hubsToAsk([...crowd, candidate(asPeer('alone'))], NOT_TRIED));
    assert.equal(asked.length, 3);
    assert.equal(hubsToAsk(crowd.slice(0, 32), NOT_TRIED).length, 32);
    assert.ok(asked.includes(asPeer('alone')));
    assert.deepEqual(
      idsOf(hubsToAsk([candidate(asPeer('bad'), { dataHubUrl: asHub('no URL') })], NOT_TRIED)),
      ['bad'],
    );
  });

  it('who was tried in vain comes behind who was not, and behind who was tried before', () => {
    const known = many(40, 'known', { standing: 'connected' });
    const asked = new Set<string>();
    const tried = new Map<string, number>();
    for (let round = 1; round <= 2; round++) {
      for (const id of idsOf(hubsToAsk(known, (peer) => tried.get(peer) ?? 0))) {
        asked.add(id);
        tried.set(id, round);
      }
    }
    assert.equal(asked.size, 40);
    const [first] = idsOf(hubsToAsk(known.slice(0, 3), (peer) => 3 - Number(peer.at(-1))));
    assert.equal(first, 'known-2');
  });
});
