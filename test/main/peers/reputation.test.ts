import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  blendedMs,
  type Interactions,
  RECOVERY_MS,
  recoveryDue,
  reputationOf,
} from '../../../src/main/peers/reputation.js';

const HOUR = 3_600_000;
const NOW = 1_700_000_000_000;
const OLD = NOW - HOUR;
const NONE: Interactions = {
  successes: 0,
  failures: 0,
  lastSuccess: 0,
  lastFailure: 0,
  malicious: 0,
  averageMs: 0n,
};
const of = (changes: Partial<Interactions>) => reputationOf({ ...NONE, ...changes }, NOW);

test('without outcomes it is neutral, whatever was tried', () => {
  assert.equal(of({}), 50);
  assert.equal(of({ averageMs: 100n }), 50);
});

test('the rate of success counts three fifths, what is recent ten for and fifteen against', () => {
  assert.equal(of({ successes: 4, lastSuccess: OLD }), 80);
  assert.equal(of({ failures: 4, lastFailure: OLD }), 20);
  assert.equal(of({ successes: 1, failures: 1, lastSuccess: OLD, lastFailure: OLD }), 50);
  assert.equal(of({ successes: 1, lastSuccess: OLD + 1 }), 90);
  assert.equal(of({ failures: 1, lastFailure: OLD + 1 }), 5);
  assert.equal(of({ successes: 1, failures: 1, lastSuccess: NOW, lastFailure: NOW }), 45);
});

test('fast answers raise it and slow ones lower it, within 0 and 100', () => {
  const factors: readonly [bigint, number][] = [
    [1n, 1.2],
    [199n, 1.2],
    [200n, 1.1],
    [500n, 1],
    [2_000n, 0.9],
    [5_000n, 0.8],
    [10_000n, 0.7],
    [30_000n, 0.6],
    [2n ** 63n - 1n, 0.6],
  ];
  for (const [averageMs, factor] of factors) {
    const score = of({ successes: 1, failures: 1, lastSuccess: OLD, lastFailure: OLD, averageMs });
    assert.ok(Math.abs(score - 50 * factor) < 1e-9, `${averageMs}: ${score}`);
  }
  assert.equal(of({ successes: 1, lastSuccess: NOW, averageMs: 100n }), 100);
});

test('one that cheated is at the lowest, whatever else it did', () => {
  assert.equal(of({ malicious: 1, successes: 1_000, lastSuccess: NOW, averageMs: 1n }), 5);
});

test('an average takes a fifth of each sample, none of 0, and holds int64 at its limit', () => {
  assert.equal(blendedMs(0n, 100n), 100n);
  assert.equal(blendedMs(100n, 200n), 120n);
  assert.equal(blendedMs(100n, 0n), 100n);
  assert.equal(blendedMs(2n ** 63n - 1n, 2n ** 63n - 1n), 2n ** 63n - 1n);
});

test('each recovery takes three times as long as the one before, a day at the most', () => {
  assert.equal(recoveryDue(NOW, 0, 0), NOW + RECOVERY_MS);
  assert.equal(recoveryDue(NOW, NOW - 1_000, 1), NOW - 1_000 + 3 * RECOVERY_MS);
  assert.equal(recoveryDue(NOW, NOW, 2), NOW + 9 * RECOVERY_MS);
  assert.equal(recoveryDue(NOW, NOW, 50), NOW + 24 * HOUR);
  assert.equal(recoveryDue(NOW, NOW - 24 * HOUR, 1), NOW + RECOVERY_MS, 'a new failure is waited for too');
});
