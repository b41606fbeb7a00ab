import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HttpPolicy } from '../../../src/workers/websocket-server/http-policy.js';

describe('connections that speak HTTP', () => {
  it('are let go of for a newcomer where twenty addresses hold all, the youngest of who has the most', () => {
    const policy = new HttpPolicy({ max: 1000, trusted: ['10.0.0.1'] }, []);
    const closed: string[] = [];
    const leaves = new Map<string, () => void>();
    const enter = (address: string, name = address) => {
      const leave = policy.enter(address, () => closed.push(name));
      if (leave !== undefined) leaves.set(name, leave);
      return leave !== undefined;
    };
    for (let count = 0; count < 1000; count++) {
      const address = `203.0.${count % 20}.1`;
      assert.ok(enter(address, `${address} ${Math.floor(count / 20)}`));
    }
    assert.equal(enter('203.0.19.1'), false, 'above its share');
    assert.deepEqual(closed, []);
    assert.ok(enter('198.51.100.1'));
    assert.ok(enter('203.0.0.2'), 'within its network');
    assert.ok(enter('10.0.0.1'), 'trusted');
    assert.deepEqual(closed, ['203.0.19.1 49', '203.0.0.1 49', '203.0.18.1 49']);
    // It is told later that those are gone, and no place is given back twice.
    for (const name of closed) leaves.get(name)?.();
    assert.equal(enter('203.0.17.1'), false);
    leaves.get('198.51.100.1')?.();
    leaves.get('198.51.100.1')?.();
    assert.ok(enter('192.0.2.1'));
    assert.equal(closed.length, 3);
    assert.ok(enter('192.0.2.2'));
    assert.equal(closed.length, 4);
  });
});
