import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { rangeOf } from '../../../../src/workers/websocket-server/http/range.js';

describe('the range that is asked for', () => {
  // The examples of RFC 9110, section 14.1.2, for a representation of 10,000 bytes.
  it('is as RFC 9110 has it', () => {
    assert.deepEqual(rangeOf('bytes=0-499', 10_000), { from: 0, to: 500 });
    assert.deepEqual(rangeOf('bytes=500-999', 10_000), { from: 500, to: 1000 });
    assert.deepEqual(rangeOf('bytes=-500', 10_000), { from: 9500, to: 10_000 });
    assert.deepEqual(rangeOf('bytes=9500-', 10_000), { from: 9500, to: 10_000 });
    assert.deepEqual(rangeOf('bytes=0-0', 10_000), { from: 0, to: 1 });
    assert.deepEqual(rangeOf('bytes=-1', 10_000), { from: 9999, to: 10_000 });
  });

  it('ends where the representation does', () => {
    assert.deepEqual(rangeOf('bytes=9999-99999999999999999999', 10_000), { from: 9999, to: 10_000 });
    assert.deepEqual(rangeOf('bytes=-99999999999999999999', 10_000), { from: 0, to: 10_000 });
  });

  it('cannot be had where nothing of it is there', () => {
    for (const header of ['bytes=10000-', 'bytes=10000-10001', 'bytes=99999999999999999999-', 'bytes=-0'])
      assert.equal(rangeOf(header, 10_000), 'unsatisfiable', header);
    assert.equal(rangeOf('bytes=-5', 0), 'unsatisfiable');
  });

  it('is left at that where it is none, or several', () => {
    for (const header of [
      '',
      'bytes',
      'bytes=',
      'bytes=-',
      'bytes=5-4',
      'bytes=a-b',
      'lines=0-5',
      'bytes=0-1,3-4',
      'bytes=1e3-',
    ])
      assert.equal(rangeOf(header, 10_000), undefined, header);
  });
});
