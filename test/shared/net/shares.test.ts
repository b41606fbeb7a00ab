import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Shares } from '../../../src/shared/net/shares.js';

const holder = (name: string, share = 100) => ({ name, share });

describe('shares', () => {
  it('let the eldest of a holder give way when it has more than its own, and nobody else’s', () => {
    const shares = new Shares<string>({ slots: 10, givesWay: 'eldest' });
    shares.take('other', [holder('b', 2)]);
    shares.take('first', [holder('a', 2)]);
    shares.take('second', [holder('a', 2)]);
    assert.deepEqual(shares.take('third', [holder('a', 2)]), [{ item: 'first', because: 'share' }]);
    assert.equal(shares.size, 3);
  });

  it('let the eldest of the largest give way when all is full, and of equals the eldest', () => {
    const shares = new Shares<string>({ slots: 4, givesWay: 'eldest' });
    shares.take('a1', [holder('a')]);
    shares.take('b1', [holder('b')]);
    shares.take('b2', [holder('b')]);
    shares.take('c1', [holder('c')]);
    assert.deepEqual(shares.take('d1', [holder('d')]), [{ item: 'b1', because: 'full' }]);
    assert.deepEqual(shares.take('e1', [holder('e')]), [{ item: 'a1', because: 'full' }]);
  });

  it('count each place for all its holders: many peers at one address, or one peer at many', () => {
    const shares = new Shares<string>({ slots: 4, givesWay: 'eldest' });
    shares.take('x', [holder('peer x'), holder('address x')]);
    for (const name of ['1', '2', '3']) shares.take(name, [holder(`peer ${name}`), holder('address y')]);
    assert.deepEqual(shares.take('z', [holder('peer z'), holder('address z')]), [
      { item: '1', because: 'full' },
    ]);
    shares.release('2');
    shares.release('2');
    assert.equal(shares.size, 3);
    assert.deepEqual(shares.take('w', [holder('peer w'), holder('address w')]), []);
  });

  it('refuse the newcomer where the youngest gives way, unless somebody else has more', () => {
    const shares = new Shares<string>({ slots: 3, givesWay: 'youngest' });
    shares.take('a1', [holder('a', 2)]);
    shares.take('a2', [holder('a', 2)]);
    assert.deepEqual(shares.take('a3', [holder('a', 2)]), [{ item: 'a3', because: 'share' }]);
    shares.take('b1', [holder('b', 2)]);
    assert.deepEqual(shares.take('c1', [holder('c', 2)]), [{ item: 'a2', because: 'full' }]);
    assert.deepEqual(shares.take('d1', [holder('d', 2)]), [{ item: 'd1', because: 'full' }]);
  });
});
