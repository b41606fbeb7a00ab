import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FairQueue, type QueuedMessage } from '../../../src/main/pipeline/queue.js';

const LOW = 0;
const HIGH = 1;

function queueOf(changes: Partial<ConstructorParameters<typeof FairQueue>[0]> = {}): FairQueue {
  return new FairQueue({
    maxBytes: 1e9,
    batchMessages: 10,
    batchBytes: 1e6,
    priorityOf: (kind) => kind,
    ...changes,
  });
}

let made = 0;
function message(changes: Partial<QueuedMessage> = {}): QueuedMessage {
  return {
    id: `${made++}`,
    kind: LOW,
    author: 'a',
    source: 's',
    receivedAt: 0,
    own: false,
    data: new Uint8Array(488),
    ...changes,
  };
}

const ids = (messages: readonly QueuedMessage[]) => messages.map(({ id }) => id);

describe('the queue of gossip', () => {
  it('gives what fits a batch in the order of arrival', () => {
    const queue = queueOf();
    const pushed = ['x', 'y', 'x', 'z', 'y'].map((source, index) =>
      message({ source, author: source, kind: index % 2 }),
    );
    for (const one of pushed) assert.deepEqual(queue.push(one), []);
    assert.deepEqual(ids(queue.take()), ids(pushed));
    assert.deepEqual(queue.take(), []);
    assert.deepEqual([queue.length, queue.bytes], [0, 0]);
  });

  it('bounds a batch by messages and by bytes, but lets one large message through', () => {
    const queue = queueOf({ batchMessages: 3, batchBytes: 1000 });
    for (let n = 0; n < 4; n++) queue.push(message());
    assert.equal(queue.take().length, 2);
    queue.push(message({ data: new Uint8Array(5000) }));
    assert.equal(queue.take().length, 2);
    assert.equal(queue.take().length, 1);
    for (let n = 0; n < 4; n++) queue.push(message({ data: new Uint8Array(1) }));
    assert.equal(queue.take().length, 3);
  });

  it('keeps a flood to its own lane', () => {
    const queue = queueOf();
    for (let n = 0; n < 1000; n++) queue.push(message({ source: 'flood', author: 'flood' }));
    const block = message({ source: 'honest', author: 'honest', kind: HIGH });
    queue.push(block);
    const own = message({ source: 'flood', author: 'miner', kind: HIGH });
    queue.push(own);
    const batch = ids(queue.take());
    assert.ok(batch.includes(block.id));
    assert.ok(batch.includes(own.id), 'and a block that came through the flood is in a lane of its own');
  });

  it('keeps each originator’s order of a kind, by whatever way its messages come', () => {
    const queue = queueOf({ batchMessages: 7 });
    const sent: string[] = [];
    for (let n = 0; n < 500; n++) {
      queue.push(message({ source: 'slow', author: `other${n}` }));
      const one = message({ source: n % 3 === 0 ? 'slow' : `way${n % 5}`, author: 'originator' });
      sent.push(one.id);
      queue.push(one);
    }
    const taken: string[] = [];
    for (let batch = queue.take(); batch.length > 0; batch = queue.take()) {
      taken.push(...ids(batch.filter(({ author }) => author === 'originator')));
    }
    assert.deepEqual(taken, sent);
    assert.deepEqual([queue.length, queue.bytes], [0, 0]);
  });

  it('sheds from the source with the most bytes, its lowest priority first and oldest first', () => {
    const queue = queueOf({ maxBytes: 10_000 });
    const blocks = [0, 1, 2].map(() => message({ source: 'flood', author: 'flood', kind: HIGH }));
    const honest = message({ source: 'honest', author: 'honest' });
    for (const one of [...blocks, honest]) assert.deepEqual(queue.push(one), []);
    const junk = Array.from({ length: 20 }, () => message({ source: 'flood', author: 'flood' }));
    const shed = junk.flatMap((one) => queue.push(one));
    assert.ok(queue.bytes <= 10_000);
    assert.deepEqual(ids(shed), ids(junk.slice(0, shed.length)));
    const more = Array.from({ length: 20 }, () => message({ source: 'flood', author: 'flood', kind: HIGH }));
    const last = ids(more.flatMap((one) => queue.push(one)));
    assert.ok(
      junk.slice(shed.length).every(({ id }) => last.includes(id)),
      'junk before blocks',
    );
    assert.ok(last.includes(blocks[0]!.id), 'then the oldest block');
    assert.ok(!last.includes(honest.id));
    assert.ok(queue.bytes <= 10_000);
  });

  it('counts empty messages too', () => {
    const queue = queueOf({ maxBytes: 10_000 });
    for (let n = 0; n < 100; n++) queue.push(message({ data: new Uint8Array(0) }));
    assert.ok(queue.length < 20);
  });
});
