import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { generateKeyPair } from '@libp2p/crypto/keys';
import type { Libp2p, PeerId } from '@libp2p/interface';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import {
  type CachedPeer,
  formatPeerCache,
  parsePeerCache,
} from '../../../../src/main/node/peer-store/cache-file.js';
import { PeerCache, type PeerCacheOptions } from '../../../../src/main/node/peer-store/peer-cache.js';
import { createHost, type PeripheryParts, peripheryParts } from '../../../support/host.js';
import { shiftDate } from '../../../support/shifted-clock.js';
import { temporaryDirectory } from '../../../support/temporary.js';
import { waitFor } from '../../../support/wait.js';

const ID = '12D3KooWGRUVh6ccszaFZJ1qmuuFHVhxvSqXCPd3JXGqiXMDzTqt';
const OTHER = '12D3KooWRBhwfeP2Y4TCx1SM6s9rUoHhR5STiGwxBhgFRcw3UERE';
const HOUR = 3_600_000;

interface Node {
  readonly host: Libp2p;
  readonly cache: PeerCache;
  readonly parts: PeripheryParts;
}

async function node(context: TestContext, options: PeerCacheOptions): Promise<Node> {
  const host = await createHost(context);
  const parts = peripheryParts();
  const cache = new PeerCache({ libp2p: host, logger: parts.log.logger, metrics: parts.metrics }, options);
  await cache.start();
  context.after(() => cache.stop());
  return { host, cache, parts };
}

const peerOf = (id: string, lastSeen: number, addresses = ['/ip4/192.0.2.1/tcp/9905']): CachedPeer => ({
  id,
  name: 'node',
  addresses,
  lastSeen,
});

describe('the peer cache', () => {
  it('is the file of the Go service, byte for byte', () => {
    const text = formatPeerCache([{ ...peerOf(ID, Date.UTC(2026, 0, 2, 3, 4, 5, 678)), name: 'miner-1' }]);
    assert.equal(
      text,
      `[
  {
    "id": "${ID}",
    "name": "miner-1",
    "addrs": [
      "/ip4/192.0.2.1/tcp/9905"
    ],
    "last_seen": "2026-01-02T03:04:05.678Z"
  }
]`,
    );
    assert.deepEqual(parsePeerCache(text), [
      { ...peerOf(ID, Date.UTC(2026, 0, 2, 3, 4, 5, 678)), name: 'miner-1' },
    ]);
  });

  it('is dated by the clock as it is when it is written', async (context) => {
    const directory = temporaryDirectory(context);
    const { cache } = await node(context, { directory, dial: false });
    cache.met(ID, ['/ip4/192.0.2.1/tcp/1']);
    let shift = 0;
    const undo = shiftDate(() => shift);
    try {
      shift = 48 * 3_600_000;
      await cache.stop();
    } finally {
      undo();
    }
    const [{ last_seen }] = JSON.parse(readFileSync(join(directory, 'p2p_peers.json'), 'utf8'));
    const ahead = Date.parse(last_seen) - Date.now();
    assert.ok(Math.abs(ahead - shift) < 60_000, `${last_seen}: the next run would drop it for its age`);
  });

  it('is not taken over by one address with many identities', async (context) => {
    const { host, cache } = await node(context, { directory: temporaryDirectory(context), dial: false });
    const ids = await Promise.all(
      Array.from({ length: 40 }, async () => peerIdFromPrivateKey(await generateKeyPair('Ed25519'))),
    );
    const identified = (peerId: PeerId, direction: string, address: string) =>
      cache.met(peerId.toString(), ['/ip4/192.0.2.1/tcp/1'], direction === 'inbound' ? address : undefined);
    identified(ids[0]!, 'outbound', '203.0.113.1');
    identified(ids[1]!, 'inbound', '203.0.113.2');
    for (const id of ids.slice(2)) identified(id, 'inbound', '203.0.113.3');
    const kept = cache.peers().map(({ id }) => id);
    assert.equal(kept.length, 18);
    for (const id of [ids[0], ids[1], ids.at(-1)]) assert.ok(kept.includes(id!.toString()));
    // From a real connection, too.
    const strangers = await Promise.all(
      Array.from({ length: 18 }, () =>
        createHost(context, { listen: ['/ip4/127.0.0.4/tcp/0'], localAddress: '127.0.0.4' }),
      ),
    );
    for (const stranger of strangers) await stranger.dial(host.getMultiaddrs());
    const last = strangers.at(-1)!.peerId.toString();
    await waitFor(() => cache.peers().some(({ id }) => id === last), { what: 'the last stranger' });
    assert.ok(cache.peers().length <= 18 + 16);
  });

  it('reads what Go writes, and leaves out what is no peer', () => {
    const now = Date.now();
    const text = JSON.stringify([
      { id: ID, name: 'a', addrs: null, last_seen: '2025-10-03T12:00:20.123456789-04:00' },
      {
        id: OTHER,
        addrs: ['/ip4/192.0.2.1/tcp/1', 'nonsense', 7, `/ip4/192.0.2.2/tcp/1/p2p/${ID}/p2p-circuit`],
        last_seen: '0001-01-01T00:00:00Z',
      },
      { id: ID, name: 'bidi \u202e\u0007<', addrs: [], last_seen: '2999-01-01T00:00:00Z' },
      { id: 'nonsense', addrs: [] },
      { addrs: [] },
      null,
      7,
    ]);
    const peers = parsePeerCache(text, now);
    assert.equal(peers.length, 3);
    assert.deepEqual(peers[0], {
      id: ID,
      name: 'a',
      addresses: [],
      lastSeen: Date.parse('2025-10-03T16:00:20.123Z'),
    });
    assert.deepEqual(peers[1], { id: OTHER, name: '', addresses: ['/ip4/192.0.2.1/tcp/1'], lastSeen: now });
    assert.deepEqual(peers[2], { id: ID, name: 'bidi <', addresses: [], lastSeen: now });
    assert.deepEqual(parsePeerCache('null'), []);
    assert.throws(() => parsePeerCache('{}'), /not an array/);
  });

  it('brings a restarted node back to a peer without any bootstrap', async (context) => {
    const directory = temporaryDirectory(context);
    const friend = await createHost(context);
    const first = await node(context, { directory });
    await friend.dial(first.host.getMultiaddrs());
    await waitFor(() => first.cache.peers().length === 1, { what: 'identify' });
    first.cache.setName(friend.peerId.toString(), 'friend');
    await first.cache.stop();
    await first.host.stop();
    const path = join(directory, 'p2p_peers.json');
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.deepEqual(readdirSync(directory), ['p2p_peers.json']);
    const [entry] = JSON.parse(readFileSync(path, 'utf8'));
    assert.equal(entry.name, 'friend');
    // The friend dialled: what is kept is where it listens, not where it dialled from.
    assert.deepEqual(
      entry.addrs,
      friend.getMultiaddrs().map((address) => address.decapsulateCode(421).toString()),
    );
    const second = await node(context, { directory });
    await waitFor(() => second.host.getConnections(friend.peerId).length > 0, { what: 'the friend' });
    assert.equal(second.cache.peers()[0]?.name, 'friend');
  });

  it('forgets after 24 hours, and keeps the newest of too many', async (context) => {
    const directory = temporaryDirectory(context);
    const now = Date.now();
    writeFileSync(
      join(directory, 'teranode_peers.json'),
      formatPeerCache([peerOf(ID, now - 25 * HOUR), peerOf(OTHER, now - 23 * HOUR)]),
    );
    const { cache, parts, host } = await node(context, { directory, dial: false, maxPeers: 2 });
    assert.deepEqual(
      cache.peers().map(({ id }) => id),
      [OTHER],
    );
    assert.equal(await parts.value('teranode_p2p_peer_cache_peers'), 1);
    cache.met(ID, ['/ip4/192.0.2.3/tcp/1']);
    cache.met(host.peerId.toString(), ['/ip4/192.0.2.4/tcp/1']);
    assert.deepEqual(
      cache.peers().map(({ id }) => id),
      [host.peerId.toString(), ID],
    );
    cache.met('unknown and without an address', []);
    assert.equal(cache.peers().length, 2);
  });

  it('reads the newer file where there are both, and writes it', async (context) => {
    const directory = temporaryDirectory(context);
    writeFileSync(join(directory, 'teranode_peers.json'), formatPeerCache([peerOf(ID, Date.now())]));
    writeFileSync(join(directory, 'p2p_peers.json'), formatPeerCache([peerOf(OTHER, Date.now())]));
    const { cache } = await node(context, { directory, dial: false });
    await cache.save();
    assert.deepEqual(
      parsePeerCache(readFileSync(join(directory, 'p2p_peers.json'), 'utf8')).map(({ id }) => id),
      [OTHER],
    );
    assert.equal(parsePeerCache(readFileSync(join(directory, 'teranode_peers.json'), 'utf8'))[0]?.id, ID);
  });

  it('sets a corrupt file aside with a warning and starts empty', async (context) => {
    for (const text of ['[{"id":', '', '{"not":"an array"}', `${'['.repeat(100_000)}`]) {
      const directory = temporaryDirectory(context);
      const path = join(directory, 'p2p_peers.json');
      writeFileSync(path, text);
      const { cache, parts } = await node(context, { directory, dial: false });
      assert.deepEqual(cache.peers(), []);
      assert.equal(parts.log.lines.filter(({ level }) => level === 40).length, 1);
      assert.equal(readFileSync(`${path}.corrupt`, 'utf8'), text);
      assert.equal(existsSync(path), false);
      await cache.save();
      assert.equal(readFileSync(path, 'utf8'), '[]');
    }
  });

  it('that cannot be written is told of and stops nothing', async (context) => {
    const directory = join(temporaryDirectory(context), 'file');
    writeFileSync(directory, '');
    const { cache, parts } = await node(context, { directory, dial: false });
    cache.met(ID, ['/ip4/192.0.2.3/tcp/1']);
    await cache.save();
    await cache.save();
    assert.equal(parts.log.lines.filter(({ msg }) => msg === 'the peer cache cannot be written').length, 2);
    assert.equal(cache.peers().length, 1);
  });
});
