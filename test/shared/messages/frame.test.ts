import assert from 'node:assert/strict';
import { test } from 'node:test';
import { frameTimestamp } from '../../../src/shared/messages/frame.js';

test('a frame’s time is the second of its own message, whatever was asked before', () => {
  const second = Date.UTC(2026, 1, 28, 23, 59, 59);
  const asked: readonly (readonly [number, string])[] = [
    [second, '2026-02-28T23:59:59Z'],
    [second + 999.75, '2026-02-28T23:59:59Z'],
    [second + 1000, '2026-03-01T00:00:00Z'],
    [second, '2026-02-28T23:59:59Z'],
    [0, '1970-01-01T00:00:00Z'],
  ];
  for (const [at, text] of asked) assert.equal(frameTimestamp(at), text);
  assert.throws(() => frameTimestamp(Number.NaN), RangeError);
  assert.throws(() => frameTimestamp(Number.NaN), RangeError);
});
