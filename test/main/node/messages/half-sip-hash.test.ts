import assert from 'node:assert/strict';
import { test } from 'node:test';
import { halfSipHash } from '../../../../src/main/node/messages/half-sip-hash.js';

test('hashes as the reference implementation does', () => {
  // Its `vectors_hsip32`: key and message are 0, 1, 2, …
  const bytes = Uint8Array.from({ length: 16 }, (_, index) => index);
  const words = new Uint32Array(bytes.buffer);
  const [k0 = 0, k1 = 0] = words;
  const hashed = (from: number, to: number, of = words): string => {
    const answer = Buffer.alloc(4);
    answer.writeInt32LE(halfSipHash(of, from, to, k0, k1));
    return answer.toString('hex');
  };
  assert.deepEqual(
    [0, 1, 2, 3, 4].map((length) => hashed(0, length)),
    ['a9359f5b', '2a6e4689', 'd0b8848f', '57f0872f', 'd9b5ac84'],
  );
  assert.equal(
    hashed(2, 5, Uint32Array.of(7, 7, ...words.subarray(0, 3))),
    '57f0872f',
    'of words in the middle',
  );
});
