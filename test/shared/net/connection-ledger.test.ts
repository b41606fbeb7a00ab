import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConnectionLedger } from '../../../src/shared/net/connection-ledger.js';

const admitted = (ledger: ConnectionLedger, holder: string, address: string, tries: number) =>
  Array.from({ length: tries }, () => ledger.admit(holder, address)).filter(Boolean).length;

describe('connection ledger', () => {
  it('gives one source a twentieth, never under four', () => {
    assert.equal(admitted(new ConnectionLedger({ max: 1000, trusted: [] }), 'a', '192.0.2.1', 100), 50);
    assert.equal(admitted(new ConnectionLedger({ max: 10, trusted: [] }), 'a', '192.0.2.1', 100), 4);
  });

  it('counts a source over all holders, mapped addresses as IPv4, IPv6 by /64', () => {
    const ledger = new ConnectionLedger({ max: 100, trusted: [] });
    assert.equal(admitted(ledger, 'a', '192.0.2.1', 3), 3);
    assert.equal(admitted(ledger, 'b', '::ffff:192.0.2.1', 10), 2);
    assert.equal(admitted(ledger, 'a', '2001:db8::1', 3), 3);
    assert.equal(admitted(ledger, 'a', '2001:db8::ffff:0:0:2', 10), 2);
    assert.equal(admitted(ledger, 'a', '2001:db8:0:1::1', 10), 5);
  });

  it('exempts trusted sources and unknown ones from the share, and counts them among all', () => {
    const ledger = new ConnectionLedger({ max: 100, trusted: ['192.0.2.0/24', '2001:db8::1'] });
    assert.equal(admitted(ledger, 'a', '192.0.2.1', 40), 40);
    assert.equal(admitted(ledger, 'b', '2001:db8::1', 20), 20);
    assert.equal(admitted(ledger, 'b', '2001:db8::2', 20), 5);
    assert.equal(admitted(ledger, 'a', '', 160), 35);
    for (const address of ['192.0.2.1', '2001:db8::1', '198.51.100.1', ''])
      assert.equal(ledger.admit('c', address), false);
    assert.equal(ledger.total, 100);
    ledger.releaseHolder('a');
    assert.equal(ledger.total, 25);
    assert.equal(admitted(ledger, 'a', '192.0.2.7', 160), 75);
  });

  it('has no limit where it is 0, none for one source where that is -1, and another where it is told', () => {
    const all = (limits: { max: number; perSource?: number }) =>
      admitted(new ConnectionLedger({ trusted: [], ...limits }), 'a', '192.0.2.1', 3000);
    assert.equal(all({ max: 0 }), 3000);
    assert.equal(all({ max: 0, perSource: 7 }), 7);
    assert.equal(all({ max: 1000, perSource: -1 }), 1000);
    assert.equal(all({ max: 1000, perSource: 60 }), 60);
    assert.equal(all({ max: 10, perSource: 60 }), 10);
  });

  it('trusts nobody where the list says none', () => {
    assert.equal(
      admitted(new ConnectionLedger({ max: 10, trusted: ['192.0.2.0/24', 'None'] }), 'a', '192.0.2.1', 10),
      4,
    );
  });

  it('takes back one by one, and all of a holder at once', () => {
    const ledger = new ConnectionLedger({ max: 10, trusted: [] });
    ledger.admit('a', '192.0.2.1');
    ledger.admit('a', '192.0.2.2');
    ledger.admit('b', '192.0.2.1');
    ledger.release('a', '192.0.2.1');
    assert.equal(ledger.total, 2);
    ledger.release('a', '192.0.2.1');
    ledger.release('c', '192.0.2.1');
    assert.equal(ledger.total, 2);
    ledger.releaseHolder('a');
    assert.equal(ledger.total, 1);
    ledger.releaseHolder('b');
    assert.equal(ledger.total, 0);
    assert.equal(admitted(ledger, 'a', '192.0.2.1', 10), 4);
  });

  it('is copied by what each holder has, and counts in the copy whatever the limits say', () => {
    const limits = { max: 10, trusted: ['192.0.2.9'] };
    const ledger = new ConnectionLedger(limits);
    admitted(ledger, 'a', '192.0.2.1', 3);
    admitted(ledger, 'b', '2001:db8::1', 2);
    ledger.admit('b', '192.0.2.9');
    const copy = new ConnectionLedger(limits);
    copy.copy(ledger.held());
    assert.deepEqual([copy.total, copy.held()], [6, ledger.held()]);
    for (let count = 0; count < 2; count++) copy.take('b', '192.0.2.1');
    assert.equal(copy.admit('own', '192.0.2.1'), false);
    copy.releaseHolder('b');
    assert.equal(copy.admit('own', '192.0.2.1'), true);
    assert.equal(copy.total, 4);
  });

  it('counts what is held by a token over all sources and holders, beside what its sources hold', () => {
    const limits = { max: 10, trusted: [] };
    const ledger = new ConnectionLedger(limits);
    ledger.setTokenLimits(new Map([['two', 2]]));
    assert.equal(ledger.admit('a', '192.0.2.1', 'two'), true);
    assert.equal(ledger.admit('b', '192.0.2.2', 'two'), true);
    assert.equal(ledger.tokenHasRoom('two'), false);
    assert.equal(ledger.admit('a', '192.0.2.3', 'two'), false);
    assert.equal(ledger.admit('a', '192.0.2.3', 'any'), true);
    assert.equal(ledger.admit('a', '192.0.2.3'), true);
    assert.equal(ledger.total, 4);
    const copy = new ConnectionLedger(limits);
    copy.copy(ledger.held());
    copy.setTokenLimits(new Map([['two', 3]]));
    assert.deepEqual([copy.total, copy.held()], [4, ledger.held()]);
    assert.equal(copy.admit('c', '192.0.2.4', 'two'), true);
    assert.equal(copy.tokenHasRoom('two'), false);
    ledger.release('a', '192.0.2.1', 'two');
    assert.equal(ledger.tokenHasRoom('two'), true);
    ledger.admit('a', '192.0.2.1', 'two');
    ledger.releaseHolder('b');
    assert.equal(ledger.admit('a', '192.0.2.5', 'two'), true);
    // A limit that is lowered ends nobody.
    ledger.setTokenLimits(new Map([['two', 1]]));
    assert.equal(ledger.tokenHasRoom('two'), false);
    assert.equal(ledger.total, 4);
    ledger.releaseHolder('a');
    assert.deepEqual([ledger.total, ledger.held()], [0, []]);
  });
});
