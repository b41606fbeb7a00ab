import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FrameRing } from '../../../src/shared/frames/ring.js';

describe('frame ring', () => {
  it('keeps the newest by count', () => {
    const ring = new FrameRing({ frames: 3, bytes: 1000 });
    for (let seq = 10; seq < 20; seq++) ring.push(seq, Buffer.alloc(1));
    assert.deepEqual([ring.frames, ring.bytes, ring.next], [3, 3, 20]);
    assert.equal(ring.get(16), undefined);
    assert.equal(ring.get(17)?.length, 1);
    assert.deepEqual(
      [16, 17, 20, 21, Number.NaN, 17.5].map((seq) => ring.reaches(seq)),
      [false, true, true, false, false, false],
    );
  });

  it('keeps the newest by bytes, and the last one whatever its size', () => {
    const ring = new FrameRing({ frames: 100, bytes: 10 });
    for (let seq = 0; seq < 5; seq++) ring.push(seq, Buffer.alloc(4));
    assert.deepEqual([ring.frames, ring.bytes], [2, 8]);
    ring.push(5, Buffer.alloc(50));
    assert.deepEqual([ring.frames, ring.bytes, ring.get(5)?.length], [1, 50, 50]);
  });

  it('forgets everything before a hole', () => {
    const ring = new FrameRing({ frames: 10, bytes: 100 });
    ring.push(1, Buffer.alloc(1));
    ring.push(3, Buffer.alloc(1));
    assert.deepEqual([ring.frames, ring.reaches(1), ring.reaches(3), ring.next], [1, false, true, 4]);
  });

  it('refuses to be empty', () => {
    assert.throws(() => new FrameRing({ frames: 0, bytes: 1 }), RangeError);
  });
});
