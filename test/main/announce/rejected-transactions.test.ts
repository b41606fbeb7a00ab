import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { AnnouncementPublisher } from '../../../src/main/announce/announcement-publisher.js';
import { createAnnounceMetrics } from '../../../src/main/announce/metrics.js';
import { decodeRejection, RejectedTransactions } from '../../../src/main/announce/rejected-transactions.js';
import type { FsmState } from '../../../src/main/chain/types.js';
import { hashFromBytes } from '../../../src/shared/bitcoin/hash.js';
import { KafkaRejectedTxTopicMessage } from '../../../src/shared/generated/kafkamessage.js';
import { kindNamed } from '../../support/kinds.js';
import { keptLog } from '../../support/logger.js';
import { type SettingChanges, settingsOf } from '../../support/settings.js';

const txId = (n: number): string => n.toString(16).padStart(64, '0');
const protobuf = (n: number, peer_id = ''): Uint8Array =>
  KafkaRejectedTxTopicMessage.encode({ txHash: txId(n), reason: 'fee <too> low', peer_id }).finish();

function announcing(changes: SettingChanges = {}, state: FsmState = 'RUNNING') {
  const clock = { now: 0 };
  const registry = new Registry();
  const metrics = createAnnounceMetrics(registry);
  const settings = settingsOf({ p2p_payload_framing: 'direct', ...changes });
  const published: Record<string, string>[] = [];
  const voice = new AnnouncementPublisher({
    settings,
    logger: keptLog().logger,
    metrics,
    node: {
      publish: async (kind, data) => {
        assert.equal(kind, kindNamed('rejected_tx').id);
        published.push(JSON.parse(Buffer.from(data).toString()));
        return 1;
      },
    },
    showLocally: () => {},
    chain: {
      get fsmState() {
        return state;
      },
    },
  });
  const rejected = new RejectedTransactions({
    settings,
    metrics,
    publisher: voice,
    peerId: 'me',
    now: () => clock.now,
  });
  const handle = (...values: Uint8Array[]) =>
    rejected.handle(
      values.map((value, n) => ({
        topic: 'rejectedtx',
        partition: 0,
        offset: BigInt(n),
        timestamp: 0,
        value,
      })),
    );
  const limited = async (reason: string): Promise<number> => {
    const { values } = await metrics.rejectedTxLimited.get();
    return values.find(({ labels }) => labels.reason === reason)?.value ?? 0;
  };
  return { clock, published, handle, limited };
}

test('a rejection of ours is announced, its reason safe to show', async () => {
  const { published, handle } = announcing();
  await handle(protobuf(1));
  assert.deepEqual(published, [{ TxId: txId(1), Reason: 'fee too low', PeerId: 'me', ClientName: '' }]);
});

test('with p2p_rejected_tx_reason=code its error codes alone are told', async () => {
  const { published, handle } = announcing({ p2p_rejected_tx_reason: 'code' });
  const reason = 'TX_INVALID (31): a script of <mine> -> PROCESSING (4): failed';
  await handle(KafkaRejectedTxTopicMessage.encode({ txHash: txId(1), reason, peer_id: '' }).finish());
  assert.deepEqual(
    published.map(({ Reason }) => Reason),
    ['TX_INVALID/PROCESSING'],
  );
});

test('one that the network told us is not told again', async () => {
  const { published, handle, limited } = announcing();
  await handle(protobuf(1, '12D3KooWSomebody'));
  assert.equal(published.length, 0);
  assert.equal(await limited('known'), 1);
});

test('the raw format is read in internal byte order', async () => {
  const { published, handle, limited } = announcing({ kafka_record_format: 'raw' });
  const bytes = Buffer.concat([Buffer.alloc(31), Buffer.from([7])]);
  await handle(Buffer.concat([bytes, Buffer.from('why')]), Buffer.alloc(31));
  assert.deepEqual(
    published.map(({ TxId, Reason }) => [TxId, Reason]),
    [[hashFromBytes(bytes), 'why']],
  );
  assert.equal(await limited('malformed'), 1);
});

test('protobuf with the hash as bytes is read in internal byte order', async () => {
  const { published, handle, limited } = announcing({ kafka_record_format: 'protobuf-bytes' });
  const bytes = Buffer.concat([Buffer.alloc(31), Buffer.from([7])]);
  // Field 1, 32 bytes; field 2, three.
  const record = Buffer.concat([Buffer.from([0x0a, 32]), bytes, Buffer.from([0x12, 3]), Buffer.from('why')]);
  await handle(record, protobuf(1), record.subarray(0, 20));
  assert.deepEqual(
    published.map(({ TxId, Reason }) => [TxId, Reason]),
    [[hashFromBytes(bytes), 'why']],
  );
  assert.equal(await limited('malformed'), 2);
});

test('what is no record is counted and passed over', async () => {
  const { published, handle, limited } = announcing();
  const badHash = KafkaRejectedTxTopicMessage.encode({ txHash: 'zz', reason: '', peer_id: '' }).finish();
  await handle(Buffer.from([0xff, 0xff]), badHash, new Uint8Array(0), protobuf(1));
  assert.equal(published.length, 1);
  assert.equal(await limited('malformed'), 3);
  assert.equal(decodeRejection(Buffer.from('0aff', 'hex'), 'protobuf'), undefined);
});

test('a burst goes out at once, then the rate holds', async () => {
  const { clock, published, handle, limited } = announcing({
    p2p_rejected_tx_publish_rate: 2,
    p2p_rejected_tx_publish_burst: 3,
  });
  for (let n = 0; n < 10; n++) await handle(protobuf(n));
  assert.equal(published.length, 3);
  assert.equal(await limited('rate'), 7);
  clock.now += 499;
  await handle(protobuf(20));
  assert.equal(published.length, 3);
  clock.now += 1;
  await handle(protobuf(21), protobuf(22));
  assert.equal(published.length, 4);
  clock.now += 3_600_000;
  for (let n = 30; n < 40; n++) await handle(protobuf(n));
  assert.equal(published.length, 7, 'an hour’s rest saves no more than a burst');
});

test('the same transaction within ten minutes is a repeat, and costs nothing', async () => {
  const { clock, published, handle, limited } = announcing({ p2p_rejected_tx_publish_burst: 2 });
  await handle(protobuf(1), protobuf(1), protobuf(1), protobuf(2));
  assert.equal(published.length, 2);
  clock.now = 599_000;
  await handle(protobuf(1));
  assert.equal(published.length, 2);
  assert.equal(await limited('repeat'), 3);
  clock.now = 601_000;
  await handle(protobuf(1));
  assert.equal(published.length, 3);
});

test('a node that catches up announces none', async () => {
  const { published, handle } = announcing({}, 'CATCHINGBLOCKS');
  await handle(protobuf(1));
  assert.equal(published.length, 0);
});
