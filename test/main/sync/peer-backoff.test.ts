import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PeerBackoff } from '../../../src/main/sync/peer-backoff.js';
import { asPeer } from '../../support/branded.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

function open() {
  const time = { now: 1_700_000_000_000 };
  const peers = new PeerBackoff(() => time.now);
  /** Minutes that it rests from now. */
  const rest = (peer = 'one') => {
    const { now } = time;
    let minutes = 0;
    for (; peers.isBackingOff(asPeer(peer)); minutes++) time.now += MINUTE;
    time.now = now;
    return minutes;
  };
  return { peers, time, rest };
}

describe('peers that were tried in vain', () => {
  it('rest twice as long each time that catching up failed, an hour at the most, until one is of use', () => {
    const { peers, rest } = open();
    const rests = Array.from({ length: 8 }, () => {
      peers.failed(asPeer('one'));
      return rest();
    });
    assert.deepEqual(rests, [1, 2, 4, 8, 16, 32, 60, 60]);
    peers.succeeded(asPeer('one'));
    assert.deepEqual([rest(), peers.triedAt(asPeer('one'))], [0, 0]);
    peers.failed(asPeer('one'));
    assert.equal(rest(), 1);
  });

  it('rest a minute each time that their data hub did not answer, and no longer for it afterwards', () => {
    const { peers, rest, time } = open();
    for (let n = 0; n < 20; n++) {
      peers.unanswered(asPeer('one'));
      assert.equal(rest(), 1);
      time.now += MINUTE;
    }
    peers.failed(asPeer('one'));
    assert.equal(rest(), 1);
    for (let n = 0; n < 3; n++) peers.failed(asPeer('one'));
    peers.unanswered(asPeer('one'));
    assert.equal(rest(), 8, 'nor a shorter time');
  });

  it('have what failed forgotten two hours after the last time', () => {
    const { peers, rest, time } = open();
    for (let n = 0; n < 5; n++) peers.failed(asPeer('one'));
    time.now += 2 * HOUR - 1;
    peers.failed(asPeer('one'));
    assert.equal(rest(), 32);
    time.now += 2 * HOUR;
    peers.failed(asPeer('one'));
    assert.equal(rest(), 1);
  });

  it('may be woken a minute after they were tried', () => {
    const { peers, time } = open();
    assert.equal(peers.mayBeWoken(asPeer('one')), true);
    for (let n = 0; n < 5; n++) peers.failed(asPeer('one'));
    time.now += MINUTE - 1;
    assert.equal(peers.mayBeWoken(asPeer('one')), false);
    time.now += 1;
    assert.deepEqual([peers.mayBeWoken(asPeer('one')), peers.isBackingOff(asPeer('one'))], [true, true]);
    assert.equal(peers.triedAt(asPeer('one')), time.now - MINUTE);
  });
});
