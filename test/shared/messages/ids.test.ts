import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { byId } from '../../../src/shared/messages/ids.js';
import { MESSAGE_KINDS } from '../../../src/shared/messages/index.js';
import type { MessageKind } from '../../../src/shared/messages/kind.js';
import { ANNOUNCED_TOPICS } from '../../../src/shared/messages/topics.js';
import { sighting } from '../../support/made-up/sighting.js';

describe('ids of kinds and topics', () => {
  it('stay what they were: they are in the journals of those who upgrade', () => {
    assert.deepEqual(Object.fromEntries(MESSAGE_KINDS.map(({ name, id }) => [name, id])), {
      block: 1,
      subtree: 2,
      mining_on: 3,
      rejected_tx: 4,
      node_status: 5,
      bestblock: 6,
      handshake: 7,
    });
    assert.deepEqual(Object.fromEntries(ANNOUNCED_TOPICS.map(({ name, id }) => [name, id])), {
      blocks: 1,
      subtrees: 2,
    });
  });

  it('find the row, and nothing where there is none', () => {
    const table = byId<MessageKind>([...MESSAGE_KINDS, sighting]);
    assert.equal(table[sighting.id], sighting);
    assert.equal(table[0], undefined);
    assert.equal(table[199], undefined);
  });

  it('are refused where one is given twice, is none, or has no room', () => {
    assert.throws(() => byId([...MESSAGE_KINDS, { id: 1, name: 'another' }]), {
      name: 'RangeError',
      message: /another and block have the same id, 1/,
    });
    for (const id of [0, 256, -1, 1.5, Number.NaN]) {
      assert.throws(() => byId([{ id, name: 'wrong' }]), /wrong has the id/);
    }
  });
});
