/** The model of P8, against sums made by hand, and the places of threads, as the system tells them. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { platform } from 'node:os';
import { test } from 'node:test';
import { modelOf, pin } from '../../bench/checkers.js';

const STAGES = { main: 25, checkers: 60, publisher: 10, 'Node’s own threads': 5 };

test('the model ends at the first stage that fills its cores, or at all cores together', () => {
  // 100 µs a message on two cores, though two checkers alone could take 33,333.
  assert.deepEqual(modelOf(STAGES, { cores: 2, checkers: 2 }), { rate: 20_000, limit: 'cores' });
  // One checker at 60 µs.
  assert.deepEqual(modelOf(STAGES, { cores: 4, checkers: 1 }), { rate: 1e6 / 60, limit: 'checkers' });
  // Three make 50,000; main ends at 40,000, and four cores at 40,000 too.
  assert.deepEqual(modelOf(STAGES, { cores: 8, checkers: 3 }), { rate: 40_000, limit: 'main' });
  // More checkers than cores bring nothing.
  assert.equal(modelOf({ checkers: 60 }, { cores: 2, checkers: 16 }).rate, 2e6 / 60);
  // What has no thread of its own ends nothing by itself.
  assert.deepEqual(modelOf({ main: 1, 'Node’s own threads': 99 }, { cores: 50, checkers: 2 }), {
    rate: 500_000,
    limit: 'cores',
  });
});

test('a thread is where it was put, and what cannot be put is told', () => {
  const allowed = () => /^Cpus_allowed_list:\s+(\S+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  assert.equal(pin(2 ** 30, [0]), false);
  if (platform() !== 'linux') {
    assert.equal(pin(process.pid, [0]), false);
    return;
  }
  const before = allowed() ?? '';
  const core = Number(/^\d+/.exec(before)?.[0]);
  assert.equal(pin(process.pid, [core]), true);
  assert.equal(allowed(), String(core));
});
