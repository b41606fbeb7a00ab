import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { holdersOf, Sources } from '../../../src/shared/net/sources.js';

describe('sources', () => {
  it('are an IPv4 address in its /24, or an IPv6 /64 in its /48, a mapped address being IPv4', () => {
    const sources = new Sources([]);
    const cases: readonly (readonly [address: string, network: string, source: string])[] = [
      ['192.0.2.77', '192.0.2.0/24', '192.0.2.77'],
      ['::ffff:192.0.2.77', '192.0.2.0/24', '192.0.2.77'],
      ['2001:db8:1:2:3:4:5:6', '2001:db8:1::/48', '2001:db8:1:2::/64'],
      ['2001:db8::1', '2001:db8::/48', '2001:db8::/64'],
    ];
    for (const [address, network, source] of cases)
      assert.deepEqual(sources.of(address), { network, source });
    assert.deepEqual(holdersOf(sources.of('192.0.2.77'), 8), [
      { name: '192.0.2.0/24', share: Number.POSITIVE_INFINITY },
      { name: '192.0.2.77', share: 8 },
    ]);
  });

  it('stand for themselves where they are trusted or not known, and where nobody is trusted do not', () => {
    const sources = new Sources(['192.0.2.0/24']);
    assert.deepEqual([sources.of('192.0.2.1'), sources.of('')], [undefined, undefined]);
    assert.deepEqual(holdersOf(undefined, 8), []);
    assert.notEqual(new Sources(['192.0.2.0/24', 'none']).of('192.0.2.1'), undefined);
  });
});
