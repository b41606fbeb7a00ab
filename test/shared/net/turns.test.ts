import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Provenance } from '../../../src/shared/net/sources.js';
import { Turns } from '../../../src/shared/net/turns.js';

interface Waiting {
  readonly name: string;
}

const from = (network: string, source: string): Provenance => ({ network, source: `${network} ${source}` });

function queue() {
  const turns = new Turns<Waiting>();
  const add = (name: string, where: Provenance) => {
    const item = { name };
    turns.add(item, where);
    return item;
  };
  const rest = () => {
    const names: string[] = [];
    for (let item = turns.next(); item !== undefined; item = turns.next()) names.push(item.name);
    return names.join(' ');
  };
  return { turns, add, rest };
}

describe('turns', () => {
  it('go to networks one after the other, in each to its sources, and of each to who came first', () => {
    const { turns, add, rest } = queue();
    for (const name of ['a1', 'a2', 'a3', 'a4']) add(name, from('a', '1'));
    add('a5', from('a', '2'));
    add('b1', from('b', '1'));
    add('b2', from('b', '1'));
    assert.equal(turns.size, 7);
    assert.equal(rest(), 'a1 b1 a5 b2 a2 a3 a4');
    assert.equal(turns.size, 0);
  });

  it('come round: who waits again is behind everybody else', () => {
    const { turns, add, rest } = queue();
    const crowd = Array.from({ length: 5 }, (_, index) => add(`a${index}`, from('a', String(index))));
    const one = add('b', from('b', '1'));
    const order: string[] = [];
    for (let turn = 0; turn < 8; turn++) {
      const item = turns.next() as Waiting;
      order.push(item.name);
      turns.add(item, item === one ? from('b', '1') : from('a', item.name.slice(1)));
    }
    assert.equal(order.join(' '), 'a0 b a1 b a2 b a3 b');
    for (const item of crowd) turns.delete(item);
    assert.equal(rest(), 'b');
  });

  it('know everybody once, and nobody who has gone', () => {
    const { turns, add, rest } = queue();
    const [first, second] = [add('a', from('a', '1')), add('b', from('a', '1'))];
    turns.add(first, from('a', '1'));
    turns.delete(second);
    turns.delete(second);
    assert.equal(rest(), 'a');
    add('c', from('a', '1'));
    turns.clear();
    assert.deepEqual([rest(), turns.size], ['', 0]);
  });

  it('are each one’s own of those who stand for themselves', () => {
    const { add, rest } = queue();
    for (const name of ['a', 'b']) add(name, undefined);
    for (const name of ['c', 'd']) add(name, from('c', '1'));
    assert.equal(rest(), 'a b c d');
  });
});
