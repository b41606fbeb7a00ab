import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FairQueue, type QueuedMessage, type QueueOptions } from '../../../src/main/pipeline/queue.js';
import type { AuthorStanding } from '../../../src/shared/pipeline/standing.js';

const LOW = 0;
const HIGH = 1;

interface Message extends QueuedMessage {
  readonly id: string;
}

function queueOf(changes: Partial<QueueOptions> = {}): FairQueue<Message> {
  return new FairQueue({
    maxBytes: 1e9,
    batchMessages: 10,
    batchBytes: 1e6,
    batchMicros: 1e6,
    priorityOf: (kind) => kind,
    ...changes,
  });
}

let made = 0;
function message(changes: Partial<Message> = {}): Message {
  return {
    id: `${made++}`,
    kind: LOW,
    author: 'a',
    source: 's',
    receivedAt: 0,
    standing: 'stranger',
    data: new Uint8Array(488),
    ...changes,
  };
}

const ids = (messages: readonly Message[]) => messages.map(({ id }) => id);

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

  it('gives a source whose messages take long as much time as others, not as many turns', () => {
    const queue = queueOf({ batchMessages: 1 });
    const sources = ['quick', 'slow'] as const;
    const micros = { quick: 100, slow: 2_000 };
    const taken = { quick: 0, slow: 0 };
    for (let n = 0; n < 1000; n++) {
      for (const source of sources) queue.push(message({ source, author: source }));
    }
    for (let n = 0; n < 1000; n++) {
      const source = queue.take()[0]?.source as (typeof sources)[number];
      taken[source] += 1;
      queue.charge(source, micros[source]);
    }
    // A turn is as long as two and a half of the quick ones: what is not used is not kept.
    const times = taken.slow / taken.quick;
    assert.ok(times > 1 / 12 && times < 1 / 7, `${taken.slow} slow and ${taken.quick} quick ones`);
    // Nobody else waits: it is served at every turn.
    while (queue.take().length > 0);
    for (let n = 0; n < 10; n++) queue.push(message({ source: 'slow', author: 'slow' }));
    for (let n = 0; n < 10; n++) assert.equal(queue.take().length, 1);
  });

  for (const micros of [100, 300, 400, 700, 1_000, 2_500, 5_000]) {
    for (const earlier of ['strangers', 'own'] as const) {
      it(`a source of messages of ${micros} µs has its own taken beside those of strangers, its ${earlier} waiting first`, () => {
        const queue = queueOf({ batchMicros: 20_000 });
        for (let n = 0; n < 100; n++) queue.charge('relay', micros);
        let strangers = 0;
        const flood = () => {
          while (queue.length < 200)
            queue.push(message({ source: 'relay', author: `stranger ${strangers++}` }));
        };
        const own = message({ source: 'relay', author: 'relay', standing: 'connected' });
        if (earlier === 'strangers') flood();
        queue.push(own);
        let taken = 0;
        for (let batch: string[] = []; !batch.includes(own.id) && taken < 1000; taken += batch.length) {
          flood();
          batch = ids(queue.take());
        }
        assert.ok(taken <= 20, `after ${taken} others`);
      });
    }
  }

  it('bounds a batch by the time that its sources’ messages took, but lets one long one through', () => {
    const queue = queueOf({ batchMicros: 3_000 });
    for (let n = 0; n < 100; n++) queue.charge('slow', 1_000);
    for (let n = 0; n < 100; n++) queue.charge('slower', 5_000);
    for (let n = 0; n < 5; n++) queue.push(message({ source: 'slow', author: 'slow' }));
    assert.deepEqual([queue.take().length, queue.take().length, queue.take().length], [3, 2, 0]);
    for (let n = 0; n < 2; n++) queue.push(message({ source: 'slower', author: 'slower' }));
    assert.deepEqual([queue.take().length, queue.take().length, queue.take().length], [1, 1, 0]);
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

  it('who floods and passes on an originator’s message first holds up none that comes by others', () => {
    const queue = queueOf();
    for (let n = 0; n < 1000; n++) queue.push(message({ source: 'flood', author: `author${n % 50}` }));
    const first = message({ source: 'flood', author: 'victim' });
    queue.push(first);
    const next = [0, 1, 2].map(() => message({ source: 'honest', author: 'victim' }));
    for (const one of next) queue.push(one);
    const taken = ids(queue.take()).filter((id) => [first, ...next].some((one) => one.id === id));
    assert.deepEqual(taken, ids([first, ...next]));
    // The other way about it is the same.
    const calm = message({ source: 'honest', author: 'victim' });
    queue.push(calm);
    queue.push(message({ source: 'flood', author: 'victim' }));
    assert.ok(ids(queue.take()).includes(calm.id));
  });

  it('a message that comes by two waits with the one that has less waiting, and is not shed with the other’s', () => {
    const queue = queueOf({ maxBytes: 10_000 });
    for (let n = 0; n < 5; n++) queue.push(message({ source: 'flood', author: 'flood' }));
    const one = message({ source: 'flood', author: 'victim' });
    queue.push(one);
    const before = queue.bytes;
    queue.relieve(one, 'honest');
    queue.relieve(one, 'flood');
    assert.equal(queue.bytes, before, 'it is there once, and stays where less waits');
    const shed: Message[] = [];
    for (let n = 0; n < 50; n++) shed.push(...queue.push(message({ source: 'flood', author: 'flood' })));
    assert.ok(shed.length > 40 && shed.every(({ author }) => author === 'flood'));
    assert.ok(ids(queue.take()).includes(one.id));
    queue.relieve(one, 'honest');
    assert.ok(!ids(queue.take()).includes(one.id), 'what is taken does not come back');
  });

  it('who forges an author’s name in bulk puts nothing into the lanes of others, and gets no turns for it', () => {
    const queue = queueOf({ batchMicros: 1e9 });
    const honest = Array.from({ length: 20 }, () => message({ source: 'honest', author: 'victim' }));
    const others = Array.from({ length: 20 }, (_, n) => message({ source: 'other', author: `other ${n}` }));
    let forged = 0;
    const forge = () => {
      for (; forged < 600; forged++) queue.push(message({ source: 'forger', author: 'victim' }));
    };
    forge();
    for (let n = 0; n < 20; n++) {
      queue.push(honest[n]!);
      queue.push(others[n]!);
      forge();
    }
    const taken: Message[] = [];
    while ([...honest, ...others].some((one) => !taken.includes(one))) taken.push(...queue.take());
    assert.ok(taken.length <= 70, `${taken.length} for forty`);
  });

  it('a turn that takes earlier messages of its author from another lane is paid for there', () => {
    const queue = queueOf({ batchMessages: 1 });
    const taken = { quick: 0, slow: 0 };
    for (let n = 0; n < 100; n++) queue.charge('slow', 2_000);
    for (let n = 0; n < 100; n++) queue.charge('quick', 100);
    let made = 0;
    for (let n = 0; n < 600; n++) {
      // Always an earlier one of the same author with the slow source.
      while (queue.length < 120) {
        const author = `author ${made++}`;
        queue.push(message({ source: 'slow', author }));
        queue.push(message({ source: 'quick', author }));
      }
      for (const { source } of queue.take()) taken[source as 'quick' | 'slow'] += 1;
    }
    // One for one where each brings another along, and none besides.
    assert.ok(taken.slow <= taken.quick + 1, `${taken.slow} slow and ${taken.quick} quick ones`);
  });

  it('however often an originator’s messages go over, each is there once, and nothing is left', () => {
    const queue = queueOf({ maxBytes: 200_000 });
    const sent = new Map<string, string[]>();
    const came = new Map<string, string[]>();
    const note = (where: Map<string, string[]>, { author, kind, id }: Message) => {
      const key = `${author} ${kind}`;
      where.set(key, [...(where.get(key) ?? []), id]);
    };
    const gone = new Set<string>();
    let turn = 1;
    const draw = (below: number) => {
      turn = (turn * 48_271) % 2_147_483_647;
      return turn % below;
    };
    const take = () => {
      for (const one of queue.take()) note(came, one);
    };
    for (let n = 0; n < 20_000; n++) {
      const data = new Uint8Array(draw(1_000));
      const one = message({ source: `s${draw(5)}`, author: `a${draw(4)}`, kind: draw(2), data });
      note(sent, one);
      for (const { id } of queue.push(one)) gone.add(id);
      if (draw(12) === 0) take();
    }
    while (queue.length > 0) take();
    assert.ok(gone.size > 100);
    for (const [key, messages] of sent) {
      assert.deepEqual(
        came.get(key),
        messages.filter((id) => !gone.has(id)),
      );
    }
    assert.deepEqual([queue.length, queue.bytes, queue.take()], [0, 0, []]);
  });

  it('a turn takes no more from other lanes than it may cost: beyond that the order of arrival is lost', () => {
    for (const earlier of [64, 65]) {
      const queue = queueOf({ batchMessages: 100 });
      for (let n = 0; n < 300; n++) queue.push(message({ source: 'flood', author: 'flood' }));
      for (let n = 0; n < earlier; n++) queue.push(message({ source: 'flood', author: 'victim' }));
      const late = message({ source: 'honest', author: 'victim' });
      queue.push(late);
      const batch = queue.take();
      assert.ok(batch.includes(late));
      const first = batch.filter(({ author, source }) => author === 'victim' && source === 'flood');
      assert.equal(first.length, earlier === 64 ? 64 : 0);
    }
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

  it('strangers’ flood that a peer passes on neither holds up nor sheds what it or another peer says itself', () => {
    const queue = queueOf({ maxBytes: 10_000 });
    const standing = 'connected';
    const peers: Message[] = [];
    const shed: Message[] = [];
    const flood = () => {
      for (let n = 0; n < 50; n++)
        shed.push(...queue.push(message({ kind: HIGH, source: 'relay', author: `made up ${n}` })));
    };
    flood();
    for (const author of ['relay', 'another']) {
      const one = message({ kind: HIGH, source: 'relay', author, standing });
      peers.push(one);
      shed.push(...queue.push(one));
    }
    flood();
    assert.ok(shed.length > 80 && shed.every(({ standing }) => standing === 'stranger'));
    const first = ids(queue.take());
    assert.ok(peers.every(({ id }) => first.includes(id)));
  });

  it('of one source strangers’ blocks go before a peer’s subtrees, and after its statuses', () => {
    const [STATUS, SUBTREE, BLOCK] = [1, 5, 6];
    const queue = queueOf({ maxBytes: 2_500 });
    const push = (name: string, kind: number, standing: AuthorStanding) =>
      queue.push(message({ id: name, source: 'relay', author: name, kind, standing }));
    push('a peer’s subtree', SUBTREE, 'reputed');
    push('a stranger’s block', BLOCK, 'stranger');
    assert.deepEqual(ids(push('a peer’s status', STATUS, 'connected')), ['a peer’s status']);
    assert.deepEqual(ids(push('a peer’s block', BLOCK, 'configured')), ['a stranger’s block']);
  });

  it('counts empty messages too', () => {
    const queue = queueOf({ maxBytes: 10_000 });
    for (let n = 0; n < 100; n++) queue.push(message({ data: new Uint8Array(0) }));
    assert.ok(queue.length < 20);
  });
});
