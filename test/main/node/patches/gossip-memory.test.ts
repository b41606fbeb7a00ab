import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { RPC } from '@chainsafe/libp2p-gossipsub/message';
import { KnownIds, SeenIds } from '../../../../src/main/node/messages/remembered-ids.js';
import {
  boundDeliveries,
  boundMessages,
  type DeliveriesInternals,
  type MessageCacheInternals,
} from '../../../../src/main/node/patches/gossip-memory.js';
import { libraryFolder } from '../../../support/library-source.js';
import { BLOCK_TOPIC, createTestNode } from '../../../support/node.js';
import { createPeer } from '../../../support/peer.js';
import { randomNumbers } from '../../../support/random.js';
import { waitFor } from '../../../support/wait.js';

const GOSSIP = libraryFolder('@chainsafe/libp2p-gossipsub');
const MIB = 1024 * 1024;

/** Ids as they come: latin1 text of an author, one of `authors`, and 8 bytes. */
function idOf(author: number, sequence: bigint): string {
  const bytes = Buffer.alloc(46);
  bytes.write('002408011220', 'hex');
  bytes.writeUInt32BE(author, 6);
  bytes.writeBigUInt64BE(sequence, 38);
  return bytes.toString('latin1');
}

/** Thirty-two bytes, as a SHA-256. */
function digestOf(number: number): string {
  const bytes = Buffer.alloc(32, number % 251);
  bytes.writeUInt32BE(Math.imul(number, 2_654_435_761) >>> 0);
  bytes.writeUInt32BE(number, 12);
  return bytes.toString('latin1');
}

test('ids are known as GossipSub’s own caches know them', async (context) => {
  const { SimpleTimeCache } = await import(join(GOSSIP, 'utils/time-cache.js'));
  const seed = Number(process.env.FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31));
  const random = randomNumbers(seed);
  context.diagnostic(`seed ${seed}`);
  const theirs = {
    seen: new SimpleTimeCache({ validityMs: 120_000 }),
    known: new SimpleTimeCache({ validityMs: 120_000 }),
  };
  const ours = { seen: new SeenIds({ maxBytes: 64 * MIB }), known: new KnownIds({ maxBytes: 64 * MIB }) };
  const below = (bound: number): number => Math.floor(random() * bound);
  for (let round = 0; round < 20_000; round++) {
    const id = idOf(below(50), BigInt(below(200)) << BigInt(8 * below(7)));
    const digest = digestOf(below(20_000));
    if (random() < 0.5) {
      assert.equal(ours.seen.put(id), theirs.seen.put(id, true));
      assert.equal(ours.known.put(digest, id), theirs.known.put(digest, id));
    } else {
      assert.equal(ours.seen.has(id), theirs.seen.has(id));
      assert.equal(ours.known.get(digest), theirs.known.get(digest));
    }
  }
  assert.equal(ours.seen.size, theirs.seen.size);
  assert.equal(ours.known.size, theirs.known.size);
  assert.ok(ours.seen.size > 3_000 && ours.known.size > 5_000);
  // What peers may ask after.
  for (const odd of ['', 'short', '1234567', '12345678', '\xff'.repeat(300)])
    assert.equal(ours.seen.has(odd), false);
  ours.seen.clear();
  assert.equal(ours.seen.has(idOf(0, 0n)), false);
  assert.equal(ours.seen.size, 0);
});

test('an id is known for two minutes, and not for ever', (context) => {
  context.mock.timers.enable({ apis: ['Date'] });
  const seen = new SeenIds({ maxBytes: MIB });
  const known = new KnownIds({ maxBytes: MIB });
  const heartbeats = (seconds: number, from: number): void => {
    for (let second = 0; second < seconds; second++) {
      context.mock.timers.tick(1000);
      // Something new comes all the time.
      const id = idOf(2, BigInt(from + second));
      seen.put(id);
      known.put(digestOf(from + second), id);
      seen.prune();
      known.prune();
    }
  };
  heartbeats(45, 1_000);
  seen.put(idOf(1, 1n));
  known.put(digestOf(1), idOf(1, 1n));
  heartbeats(119, 2_000);
  assert.equal(seen.has(idOf(1, 1n)), true);
  assert.equal(known.get(digestOf(1)), idOf(1, 1n));
  heartbeats(60, 3_000);
  assert.equal(seen.has(idOf(1, 1n)), false);
  assert.equal(known.get(digestOf(1)), undefined);
  heartbeats(3_000, 10_000);
  assert.ok(seen.size <= 180, String(seen.size));
});

test('ids stay within their bytes whatever comes, and the newest are still known', () => {
  for (const authors of [1, 1_000_000]) {
    const seen = new SeenIds({ maxBytes: MIB });
    const known = new KnownIds({ maxBytes: MIB });
    for (let n = 0; n < 200_000; n++) {
      const id = idOf(n % authors, BigInt(n));
      seen.put(id);
      known.put(digestOf(n), id);
      if (n % 1000 === 0) assert.ok(seen.bytes <= MIB && known.bytes <= MIB, `${seen.bytes}, ${known.bytes}`);
      assert.ok(seen.has(id) && known.get(digestOf(n)) === id);
    }
    for (let n = 200_000 - 500; n < 200_000; n++)
      assert.ok(seen.has(idOf(n % authors, BigInt(n))), String(n));
    assert.equal(seen.has(idOf(0, 0n)), false);
  }
});

test('messages stay within their bytes: the oldest go, and none without its verdict', async () => {
  const { MessageCache } = await import(join(GOSSIP, 'message-cache.js'));
  const cache = new MessageCache(3, 5, String) as MessageCacheInternals & {
    validate(id: string): object | null;
    getGossipIDs(topics: Set<string>): Map<string, Uint8Array[]>;
  };
  const bytes = boundMessages(cache, MIB);
  const put = (id: string, length: number, validated: boolean): boolean =>
    cache.put({ msgIdStr: id }, { data: Buffer.alloc(length), topic: 't' } as { data: Buffer }, validated);
  for (let n = 0; n < 3_000; n++) {
    assert.equal(put(`done ${n}`, 1_000, true), true);
    if (n % 100 === 0) put(`waits ${n}`, 1_000, false);
    if (n % 1_000 === 999) cache.shift();
    assert.ok(bytes() <= MIB, `${bytes()} bytes after ${n}`);
  }
  assert.ok(cache.msgs.has('done 2999') && !cache.msgs.has('done 0'));
  for (let n = 0; n < 3_000; n += 100) assert.ok(cache.validate(`waits ${n}`), `waits ${n}`);
  assert.equal(put('done 2999', 1, true), false);
  assert.doesNotThrow(() => cache.getGossipIDs(new Set(['t'])));
  cache.remove('done 2999');
  cache.remove('done 2999');
  for (let heartbeat = 0; heartbeat < 5; heartbeat++) cache.shift();
  assert.equal(cache.msgs.size, 0);
  assert.equal(bytes(), 0);
  assert.equal(cache.notValidatedCount, 0);
});

test('a message that is kept, with its verdict or without, keeps nothing else of what its neighbour sent with it', async (context) => {
  const { node, heard, address } = await createTestNode(context, {
    settings: { p2p_heartbeat_interval: 60_000 },
  });
  const peer = await createPeer({ context, topics: [BLOCK_TOPIC] });
  await peer.dial(address);
  await peer.sees(node.peerId, BLOCK_TOPIC);
  const { streamsOutbound } = peer.libp2p.services.pubsub as object as {
    streamsOutbound: Map<string, { push(rpc: Uint8Array): void }>;
  };
  // A field that no decoder knows, of 100,000 bytes.
  const besides = Buffer.alloc(5 + 100_000);
  besides.set([0x9a, 0x06, 0xa0, 0x8d, 0x06]);
  for (let n = 0; n < 20; n++) {
    const messages = [await peer.sign(BLOCK_TOPIC, `text ${n}`)];
    const rpc = RPC.encode({ subscriptions: [], messages });
    streamsOutbound.get(node.peerId)!.push(Buffer.concat([rpc, besides]));
  }
  await waitFor(() => heard.length === 20);
  for (const { id } of heard.slice(10)) node.report(id, 'accept');
  const { host } = node.inspect() as object as {
    host: { services: { pubsub: { mcache: MessageCacheInternals; remembered(): { messages: number } } } };
  };
  const { mcache, remembered } = host.services.pubsub;
  const buffers = new Set<ArrayBufferLike>();
  for (const { message } of mcache.msgs.values()) {
    for (const value of Object.values(message)) if (value instanceof Uint8Array) buffers.add(value.buffer);
  }
  const held = [...buffers].reduce((sum, { byteLength }) => sum + byteLength, 0);
  assert.equal(mcache.msgs.size, 20);
  assert.ok(held <= remembered().messages, `${held} bytes are held, ${remembered().messages} told of`);
});

test('who delivered is remembered of the newest messages alone', async () => {
  const { MessageDeliveries } = await import(join(GOSSIP, 'score/message-deliveries.js'));
  const deliveries = new MessageDeliveries() as DeliveriesInternals & { gc(): void };
  boundDeliveries(deliveries, 100);
  const newest = Array.from({ length: 1_000 }, (_, n) => deliveries.ensureRecord(`m${n}`)).at(-1);
  assert.equal(deliveries.records.size, 100);
  assert.equal(deliveries.ensureRecord('m999'), newest);
  deliveries.gc();
  assert.equal(deliveries.queue.length, 100);
});

test('two minutes of 2,000 messages a second are remembered in less than 60 MiB', async (context) => {
  const { node } = await createTestNode(context);
  const { host } = node.inspect() as object as { host: { services: { pubsub: Remembering } } };
  const gossip = host.services.pubsub;
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const held = (): number => {
    collect();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  const before = held();
  for (let n = 0; n < 240_000; n++) {
    const id = idOf(n % 20, BigInt(n));
    gossip.fastMsgIdCache.put(digestOf(n), id);
    gossip.seenCache.put(id);
    gossip.score.validateMessage(id);
    gossip.score.deliverMessage('peer', id, BLOCK_TOPIC);
  }
  const mib = (held() - before) / MIB;
  assert.ok(mib < 60, `${mib.toFixed(1)} MiB`);
  for (const n of [0, 120_000, 239_999]) {
    assert.equal(gossip.fastMsgIdCache.get(digestOf(n)), idOf(n % 20, BigInt(n)));
    assert.equal(gossip.seenCache.has(idOf(n % 20, BigInt(n))), true);
  }
  context.diagnostic(`${mib.toFixed(1)} MiB`);
});

interface Remembering {
  readonly seenCache: { has(id: string): boolean; put(id: string): boolean };
  readonly fastMsgIdCache: {
    get(digest: string): string | undefined;
    put(digest: string, id: string): boolean;
  };
  readonly score: {
    validateMessage(id: string): void;
    deliverMessage(from: string, id: string, topic: string): void;
  };
}
