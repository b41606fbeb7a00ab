import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import type { FsmState } from '../../../src/main/chain/types.js';
import { InvalidBlocks } from '../../../src/main/feedback/invalid-blocks.js';
import { InvalidFeedback } from '../../../src/main/feedback/invalid-feedback.js';
import { createFeedbackMetrics } from '../../../src/main/feedback/metrics.js';
import type { KnownPeer } from '../../../src/main/peers/known-peer.js';
import { parseHashHex } from '../../../src/shared/bitcoin/hash.js';
import {
  KafkaInvalidBlockTopicMessage,
  KafkaInvalidSubtreeTopicMessage,
} from '../../../src/shared/generated/kafkamessage.js';
import type { PeerIdText } from '../../../src/shared/net/peer-id.js';
import type { Announcer } from '../../../src/shared/pipeline/types.js';
import { asHub } from '../../support/branded.js';
import { createStranger } from '../../support/gossip.js';
import { keptLog } from '../../support/logger.js';

const hash = (n: number): string => n.toString(16).padStart(64, '0');
const invalidBlock = (n: number, peer_id = '', peer_url = ''): Uint8Array =>
  KafkaInvalidBlockTopicMessage.encode({ blockHash: hash(n), reason: 'bad', peer_id, peer_url }).finish();
const invalidSubtree = (n: number, peerUrl = ''): Uint8Array =>
  KafkaInvalidSubtreeTopicMessage.encode({ subtreeHash: hash(n), reason: 'bad', peerUrl }).finish();

const [ALICE, BOB, US] = (await Promise.all([createStranger(), createStranger(), createStranger()])).map(
  ({ id }) => id,
) as [PeerIdText, PeerIdText, PeerIdText];
const A_HUB = asHub('https://a.example/api/v1');
const B_HUB = asHub('https://b.example/api/v1');

interface Situation {
  readonly announcers?: Readonly<Record<string, readonly Announcer[]>>;
  readonly known?: readonly Pick<KnownPeer, 'id' | 'dataHubUrl'>[];
}

function reporting({ announcers = {}, known = [] }: Situation = {}) {
  const state: { fsm: FsmState | undefined; publisher: 'there' | 'away'; whole: boolean; now: number } = {
    fsm: 'RUNNING',
    publisher: 'there',
    whole: true,
    now: 0,
  };
  const failed: string[] = [];
  const scored: [peer: string, reason: string][] = [];
  const metrics = createFeedbackMetrics(new Registry());
  const invalidBlocks = new InvalidBlocks();
  const reports = new InvalidFeedback({
    logger: keptLog().logger,
    metrics,
    scores: {
      add: (peer, reason) => {
        scored.push([peer, reason]);
        return { score: 10, banned: false };
      },
    },
    peers: { known: () => known as KnownPeer[] },
    invalidBlocks,
    announcersOf: async (kind, hashes) => {
      if (state.publisher === 'away') throw new Error('the publisher is being replaced');
      return {
        of: hashes.map((one) => announcers[`${kind} ${one}`] ?? []),
        whole: hashes.map(() => state.whole),
      };
    },
    records: { subtreeFailure: (peer) => failed.push(peer) },
    clock: () => state.now,
    chain: {
      get fsmState() {
        return state.fsm;
      },
    },
    ownPeerId: () => US,
  });
  const handle = (kind: 'block' | 'subtree', ...values: Uint8Array[]) =>
    reports.handle(
      kind,
      values.map((value, n) => ({ topic: kind, partition: 0, offset: BigInt(n), timestamp: 1, value })),
    );
  /** Outcomes that there were; the others stand at 0. */
  const counted = async (kind: string): Promise<Record<string, number>> =>
    Object.fromEntries(
      (await metrics.reports.get()).values
        .filter(({ labels, value }) => labels.kind === kind && value > 0)
        .map(({ labels, value }) => [labels.outcome, value]),
    );
  return { state, scored, failed, handle, counted, invalidBlocks };
}

test('everybody who announced an invalid block is scored, once a hash however often the record comes', async () => {
  const { scored, handle, counted } = reporting({
    announcers: {
      [`block ${hash(1)}`]: [
        { peer: ALICE, dataHubUrl: A_HUB },
        { peer: BOB, dataHubUrl: B_HUB },
        { peer: ALICE, dataHubUrl: `${A_HUB}/other` },
      ],
    },
  });
  await handle('block', invalidBlock(1, US), invalidBlock(1));
  await handle('block', invalidBlock(1, BOB));
  assert.deepEqual(scored, [
    [ALICE, 'invalid_block'],
    [BOB, 'invalid_block'],
  ]);
  assert.deepEqual(await counted('block'), { scored: 1, repeat: 2 });
});

test('of those who announced the ones are scored whose data hub or peer ID the report names', async () => {
  const both = [
    { peer: ALICE, dataHubUrl: A_HUB },
    { peer: BOB, dataHubUrl: B_HUB },
  ];
  const announcers = { [`block ${hash(1)}`]: both, [`subtree ${hash(1)}`]: both };
  for (const [kind, report] of [
    ['subtree', invalidSubtree(1, `${B_HUB}/`)],
    ['block', invalidBlock(1, '', B_HUB)],
    ['block', invalidBlock(1, BOB)],
  ] as const) {
    const { handle, scored } = reporting({ announcers });
    await handle(kind, report);
    assert.deepEqual(scored, [[BOB, `invalid_${kind}`]]);
  }
  const unnamed = reporting({ announcers });
  await unnamed.handle('subtree', invalidSubtree(1));
  await unnamed.handle('block', invalidBlock(1, '', 'https://elsewhere.example'));
  assert.deepEqual(unnamed.scored, [
    [ALICE, 'invalid_subtree'],
    [BOB, 'invalid_subtree'],
    [ALICE, 'invalid_block'],
    [BOB, 'invalid_block'],
  ]);
});

test('who announced a good subtree does not pay for a data hub that is another’s', async () => {
  const announcers = { [`subtree ${hash(1)}`]: [{ peer: ALICE, dataHubUrl: A_HUB }] };
  // A block that names its own data hub has the subtree fetched from there: nobody announced it so.
  const { scored, handle, counted } = reporting({ announcers, known: [{ id: BOB, dataHubUrl: B_HUB }] });
  await handle('subtree', invalidSubtree(1, 'https://elsewhere.example'));
  assert.deepEqual(scored, []);
  assert.deepEqual(await counted('subtree'), { nobody: 1 });
  await handle('subtree', invalidSubtree(1, B_HUB));
  assert.deepEqual(scored, [[BOB, 'invalid_subtree']]);
});

test('a data hub’s owner does not pay for who may have named it and is forgotten', async () => {
  const { state, scored, handle, counted } = reporting({ known: [{ id: ALICE, dataHubUrl: A_HUB }] });
  state.whole = false;
  await handle('subtree', invalidSubtree(1, A_HUB));
  assert.deepEqual(scored, []);
  assert.deepEqual(await counted('subtree'), { nobody: 1 });
  state.whole = true;
  await handle('subtree', invalidSubtree(1, A_HUB));
  assert.deepEqual(scored, [[ALICE, 'invalid_subtree']]);
});

test('a subtree that was not given counts against its peer’s reputation, a block does not', async () => {
  const { failed, handle } = reporting({ known: [{ id: ALICE, dataHubUrl: A_HUB }] });
  await handle('subtree', invalidSubtree(1, A_HUB), invalidSubtree(1, A_HUB));
  await handle('block', invalidBlock(2, BOB));
  assert.deepEqual(failed, [ALICE]);
});

test('old reports, as of a topic that is read from its beginning, score nobody', async () => {
  const { state, scored, handle, counted, invalidBlocks } = reporting();
  state.now = 600_002;
  await handle('block', invalidBlock(1, ALICE));
  assert.deepEqual(scored, []);
  assert.deepEqual(await counted('block'), { late: 1 });
  assert.equal(invalidBlocks.size, 1);
  state.now = 600_001;
  await handle('block', invalidBlock(1, ALICE));
  assert.equal(scored.length, 1);
});

test('a flood of reports that nobody announced does not walk all known peers for each', async () => {
  let looks = 0;
  const known = Array.from({ length: 10_000 }, (_, n) => ({
    id: ALICE,
    get dataHubUrl() {
      looks++;
      return asHub(`https://h${n}.example`);
    },
  }));
  const { handle, counted } = reporting({ known });
  const flood = Array.from({ length: 5_000 }, (_, n) => invalidSubtree(n, `https://none${n}.example`));
  await handle('subtree', ...flood);
  // Fifty million looks, some seconds, would be a walk for each.
  assert.ok(looks <= 2 * known.length, `${looks} looks at ${known.length} peers`);
  assert.deepEqual(await counted('subtree'), { nobody: 5_000 });
});

test('what nobody announced is its peer’s, or whose data hub it came from', async () => {
  const known = [
    { id: ALICE, dataHubUrl: A_HUB },
    { id: BOB, dataHubUrl: B_HUB },
  ];
  const { scored, handle, counted } = reporting({ known });
  await handle('block', invalidBlock(1, ALICE, B_HUB), invalidBlock(2, '', B_HUB), invalidBlock(3, 'legacy'));
  await handle(
    'subtree',
    invalidSubtree(4, A_HUB),
    invalidSubtree(5),
    invalidSubtree(6, 'https://c.example'),
  );
  assert.deepEqual(scored, [
    [ALICE, 'invalid_block'],
    [BOB, 'invalid_block'],
    [ALICE, 'invalid_subtree'],
  ]);
  assert.deepEqual(await counted('block'), { scored: 2, nobody: 1 });
  assert.deepEqual(await counted('subtree'), { scored: 1, nobody: 2 });
});

test('this node itself is not scored', async () => {
  const { scored, handle } = reporting({
    announcers: { [`block ${hash(1)}`]: [{ peer: US, dataHubUrl: A_HUB }] },
  });
  await handle('block', invalidBlock(1), invalidBlock(2, US));
  assert.deepEqual(scored, []);
});

test('poison is counted and passed, the good beside it is not lost', async () => {
  const { scored, handle, counted } = reporting({
    announcers: { [`block ${hash(1)}`]: [{ peer: ALICE, dataHubUrl: A_HUB }] },
  });
  const noHash = KafkaInvalidBlockTopicMessage.encode({
    blockHash: 'zz',
    reason: '',
    peer_id: ALICE,
    peer_url: '',
  });
  const poison = [Buffer.alloc(0), Buffer.alloc(1_000_000, 0xff), Buffer.from('{"hash"'), noHash.finish()];
  await handle('block', ...poison, invalidBlock(1), ...poison);
  assert.deepEqual(scored, [[ALICE, 'invalid_block']]);
  assert.deepEqual(await counted('block'), { scored: 1, malformed: 8 });
});

test('while the node catches up nobody is scored, but the block is known to be invalid', async () => {
  const { state, scored, handle, counted, invalidBlocks } = reporting({
    announcers: { [`block ${hash(1)}`]: [{ peer: ALICE, dataHubUrl: A_HUB }] },
  });
  for (const fsm of ['CATCHINGBLOCKS', 'LEGACYSYNCING'] as const) {
    state.fsm = fsm;
    await handle('block', invalidBlock(1));
  }
  assert.deepEqual(scored, []);
  assert.deepEqual(await counted('block'), { catching_up: 2 });
  const invalid = parseHashHex(hash(1));
  assert.ok(invalid !== undefined && invalidBlocks.has(invalid));
  // A state that cannot be read is none that excuses.
  state.fsm = undefined;
  await handle('block', invalidBlock(1));
  assert.equal(scored.length, 1);
});

test('records are read again while nobody can say who announced what', async () => {
  const { state, scored, handle } = reporting({
    announcers: { [`block ${hash(1)}`]: [{ peer: ALICE, dataHubUrl: A_HUB }] },
  });
  state.publisher = 'away';
  await assert.rejects(handle('block', invalidBlock(1)));
  assert.deepEqual(scored, []);
  state.publisher = 'there';
  await handle('block', invalidBlock(1));
  assert.equal(scored.length, 1);
});

test('the invalid blocks remembered are bounded', () => {
  const invalidBlocks = new InvalidBlocks();
  for (let n = 0; n < 10_100; n++) {
    const one = parseHashHex(hash(n));
    assert.ok(one);
    invalidBlocks.add(one);
  }
  assert.equal(invalidBlocks.size, 10_000);
});
