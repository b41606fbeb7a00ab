import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { createPeerMetrics } from '../../../src/main/peers/metrics.js';
import { NO_RECORD } from '../../../src/main/peers/peer-record.js';
import { PeerRecords, type PeerRecordsOptions } from '../../../src/main/peers/peer-records.js';
import { RECOVERY_MS } from '../../../src/main/peers/reputation.js';
import { asPeer } from '../../support/branded.js';

const START = 1_700_000_000_000;

function open(options: PeerRecordsOptions = {}) {
  const time = { now: START };
  const registry = new Registry();
  const changed: string[] = [];
  const records = new PeerRecords(
    {
      metrics: createPeerMetrics(registry),
      clock: () => time.now,
      onChange: (peer) => void changed.push(peer),
    },
    options,
  );
  return { records, time, registry, changed };
}

test('attempts, successes and failures are counted, timed and judged', () => {
  const { records, time } = open();
  assert.equal(records.has(asPeer('p')), false);
  assert.equal(records.get(asPeer('p')), NO_RECORD);
  records.catchupAttempt(asPeer('p'));
  assert.deepEqual(
    { ...records.get(asPeer('p')) },
    { ...NO_RECORD, attempts: 1, catchupAttempts: 1, lastAttempt: START },
  );
  time.now++;
  records.catchupSuccess(asPeer('p'), 300n);
  records.validSubtree(asPeer('p'));
  records.validBlock(asPeer('p'));
  records.validHeaders(asPeer('p'), 800n);
  const record = records.get(asPeer('p'));
  assert.equal(record.successes, 4);
  assert.equal(record.catchupSuccesses, 1);
  assert.equal(record.attempts, 2, 'headers are asked for by themselves');
  assert.equal(record.averageMs, 400n);
  assert.equal(record.lastValidBlock, START + 1);
  assert.equal(record.lastSuccess, START + 1);
  assert.equal(Math.round(record.reputation), 99);
  assert.equal(records.get(asPeer('stranger')), NO_RECORD, 'another peer’s are not touched');
});

test('subtrees that were not given count as failures, and strangers take no more than half the places', () => {
  const { records } = open({ maxPeers: 4 });
  records.subtreeFailure(asPeer('p'));
  records.subtreeFailure(asPeer('p'));
  assert.equal(records.get(asPeer('p')).failures, 2);
  assert.equal(records.get(asPeer('p')).catchupFailures, 0, 'nothing was caught up');
  assert.equal(records.get(asPeer('p')).lastFailure, START);
  assert.equal(records.isLow(asPeer('p')), true);
  records.catchupAttempt(asPeer('known'));
  for (let n = 0; n < 10; n++) records.subtreeFailure(asPeer(`made up ${n}`));
  assert.deepEqual(records.peers().sort(), ['known', 'p']);
  records.subtreeFailure(asPeer('known'));
  assert.equal(records.get(asPeer('known')).failures, 1);
});

test('a peer that fails is low until five minutes have passed, longer after each time', async () => {
  const { records, time, registry } = open();
  records.catchupFailure(asPeer('p'), 'call');
  assert.equal(records.get(asPeer('p')).reputation, 5);
  assert.equal(records.isLow(asPeer('p')), true);
  assert.equal(records.isLow(asPeer('other')), false);
  assert.match(await registry.metrics(), /peers_low_reputation 1/);
  time.now += RECOVERY_MS - 1;
  assert.equal(records.isLow(asPeer('p')), true);
  time.now += 1;
  assert.equal(records.isLow(asPeer('p')), false);
  assert.equal(records.get(asPeer('p')).reputation, 30);
  assert.match(await registry.metrics(), /peers_low_reputation 0/);

  records.malicious(asPeer('p'));
  assert.equal(records.get(asPeer('p')).reputation, 5);
  assert.equal(records.get(asPeer('p')).malicious, 1);
  time.now += 3 * RECOVERY_MS - 1;
  assert.equal(records.isLow(asPeer('p')), true);
  time.now += 1;
  assert.deepEqual(
    [
      records.get(asPeer('p')).reputation,
      records.get(asPeer('p')).malicious,
      records.get(asPeer('p')).recoveries,
    ],
    [30, 0, 2],
  );
});

test('cheating is counted as a failure, and no success makes up for it', () => {
  const { records } = open();
  records.malicious(asPeer('p'));
  for (let n = 0; n < 50; n++) records.validBlock(asPeer('p'));
  const { malicious, failures, attempts, reputation } = records.get(asPeer('p'));
  assert.deepEqual([malicious, failures, attempts, reputation], [1, 1, 1, 5]);
  assert.equal(records.isLow(asPeer('p')), true);
});

test('a failure that a call and a notification tell is one; two calls are two', () => {
  const { records, time } = open();
  assert.equal(records.catchupFailure(asPeer('p'), 'notification'), true);
  assert.equal(records.catchupFailure(asPeer('p'), 'call'), false);
  assert.equal(records.get(asPeer('p')).catchupFailures, 1);
  assert.equal(records.catchupFailure(asPeer('p'), 'call'), true);
  assert.equal(records.catchupFailure(asPeer('p'), 'call'), true);
  assert.equal(records.get(asPeer('p')).failures, 3);
  time.now += 10_000;
  assert.equal(records.catchupFailure(asPeer('p'), 'notification'), true, 'long after it is another');
});

test('only a chain with more work lifts what was validated', () => {
  const { records } = open();
  assert.equal(records.validatedProgress(asPeer('p'), 100, 'aa', Uint8Array.of(0, 0, 9)), true);
  assert.equal(records.validatedProgress(asPeer('p'), 101, 'bb', Uint8Array.of(9)), false, 'the same work');
  assert.equal(records.validatedProgress(asPeer('p'), 102, 'cc', Uint8Array.of(8)), false);
  assert.equal(records.get(asPeer('p')).validatedHeight, 100);
  assert.equal(records.validatedProgress(asPeer('p'), 90, 'dd', Uint8Array.of(1, 0)), true);
  assert.deepEqual(
    [records.get(asPeer('p')).validatedHeight, records.get(asPeer('p')).validatedHash],
    [90, 'dd'],
  );
  assert.equal(records.validatedProgress(asPeer('p'), 1, 'ee', new Uint8Array(32)), false, 'no work at all');
});

test('downloads add up to the limit of uint64 and stay there', () => {
  const { records } = open();
  records.bytesDownloaded(asPeer('p'), 2n ** 64n - 2n);
  records.bytesDownloaded(asPeer('p'), 1n);
  assert.equal(records.get(asPeer('p')).bytesDownloaded, 2n ** 64n - 1n);
  records.bytesDownloaded(asPeer('p'), 2n ** 64n - 1n);
  assert.equal(records.get(asPeer('p')).bytesDownloaded, 2n ** 64n - 1n);
});

test('a reset forgets how dealing went, and keeps what was downloaded and validated', () => {
  const { records } = open();
  records.malicious(asPeer('p'));
  records.catchupError(asPeer('p'), 'why');
  records.bytesDownloaded(asPeer('p'), 7n);
  records.validatedProgress(asPeer('p'), 5, 'aa', Uint8Array.of(1));
  records.reset(asPeer('p'));
  assert.deepEqual(
    { ...records.get(asPeer('p')) },
    { ...NO_RECORD, bytesDownloaded: 7n, validatedHeight: 5, validatedHash: 'aa', validatedWork: '1' },
  );
  assert.equal(records.isLow(asPeer('p')), false);
  records.reset(asPeer('stranger'));
  assert.equal(records.has(asPeer('stranger')), false);
});

test('records are bounded: the least recently reported is forgotten', async () => {
  const { records, registry, changed } = open({ maxPeers: 2 });
  records.malicious(asPeer('one'));
  records.validBlock(asPeer('two'));
  records.validBlock(asPeer('three'));
  assert.deepEqual(records.peers().sort(), ['three', 'two']);
  assert.equal(records.isLow(asPeer('one')), false, 'nor is it held low');
  assert.ok(changed.filter((peer) => peer === 'one').length === 2, 'its end is told');
  assert.match(await registry.metrics(), /teranode_p2p_peers_recorded 2/);
  assert.match(await registry.metrics(), /peers_low_reputation 0/);
});

test('what is stored is taken up again, low peers included; what is damaged is refused', () => {
  const one = open();
  one.records.malicious(asPeer('p'));
  one.records.bytesDownloaded(asPeer('p'), 2n ** 64n - 1n);
  const json = one.records.encoded(asPeer('p')) ?? '';
  const { records } = open();
  records.restore(asPeer('p'), json);
  assert.deepEqual(records.get(asPeer('p')), one.records.get(asPeer('p')));
  assert.equal(records.isLow(asPeer('p')), true);
  assert.equal(records.encoded(asPeer('stranger')), undefined);
  for (const damaged of ['', 'null', '7', '{"failures":"1"}', '{"failures":-1}', '{"bytesDownloaded":"x"}']) {
    assert.throws(() => records.restore(asPeer('q'), damaged), damaged);
  }
  records.restore(asPeer('q'), '{"failures":1,"of the future":{}}');
  assert.deepEqual({ ...records.get(asPeer('q')) }, { ...NO_RECORD, failures: 1 });
});
