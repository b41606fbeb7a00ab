import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { MemoryLevel } from 'memory-level';
import { Registry } from 'prom-client';
import { BanEnforcer, type Resolve } from '../../../src/main/bans/enforcer.js';
import { LevelBanStore } from '../../../src/main/bans/level-store.js';
import { BanList } from '../../../src/main/bans/list.js';
import { createBanMetrics } from '../../../src/main/bans/metrics.js';
import { keptLog } from '../../support/logger.js';
import { createPeer } from '../../support/peer.js';
import { waitFor } from '../../support/wait.js';
import { nodeOf } from '../grpc/service-fixture.js';

const later = () => Date.now() + 3_600_000;

async function startEnforcer(context: TestContext, resolve?: Resolve) {
  const { logger } = keptLog();
  const registry = new Registry();
  const metrics = createBanMetrics(registry);
  const level = new MemoryLevel<string, Uint8Array>({ valueEncoding: 'view' });
  const list = new BanList({ store: new LevelBanStore({ level, logger }), logger, metrics });
  await list.open();
  const peer = await createPeer({ context });
  const enforcer = new BanEnforcer({
    list,
    node: nodeOf(peer),
    logger,
    metrics,
    ...(resolve === undefined ? {} : { resolve }),
  });
  context.after(async () => {
    await enforcer.stop();
    await list.stop();
  });
  const peers = () => peer.libp2p.getPeers().map(String);
  return { list, peer, enforcer, peers, registry };
}

test('a new ban closes the connections it forbids, and no others', async (context) => {
  const { list, peer, enforcer, peers, registry } = await startEnforcer(context);
  await enforcer.start();
  const byId = await createPeer({ context, localAddress: '127.0.0.2' });
  const byAddress = await createPeer({ context, localAddress: '127.0.0.3' });
  const bySubnet = await createPeer({ context, localAddress: '127.0.1.4' });
  const free = await createPeer({ context, localAddress: '127.0.0.5' });
  for (const other of [byId, byAddress, bySubnet, free]) await other.dial(peer.address);
  await waitFor(() => peers().length === 4, { what: 'four peers' });
  await list.add(byId.id, later(), 'operator');
  await waitFor(() => !peers().includes(byId.id), { what: 'the banned peer ID to be gone' });
  await list.add('127.0.0.3', later(), 'score');
  await waitFor(() => !peers().includes(byAddress.id), { what: 'the banned address to be gone' });
  await list.add('127.0.1.0/24', later(), 'operator');
  await waitFor(() => !peers().includes(bySubnet.id), { what: 'the banned subnet to be gone' });
  await enforcer.sweep();
  assert.deepEqual(peers(), [free.id]);
  assert.match(await registry.metrics(), /closed_connections_total 3/);
});

test('whoever was banned before the start is closed at the start', async (context) => {
  const { list, peer, enforcer, peers } = await startEnforcer(context);
  const other = await createPeer({ context, localAddress: '127.0.0.2' });
  await other.dial(peer.address);
  await waitFor(() => peers().length === 1, { what: 'the peer' });
  await list.add('127.0.0.2', later(), 'operator');
  await enforcer.start();
  assert.deepEqual(peers(), []);
});

test('a peer reached by host name is closed when the name leads to a banned address', async (context) => {
  const asked: string[] = [];
  const { list, peer, enforcer, peers } = await startEnforcer(context, async (name) => {
    asked.push(name);
    if (asked.length === 1) throw new Error('no name server yet');
    return ['203.0.113.9', '::1'];
  });
  const other = await createPeer({ context });
  const name = other.address.replace('/ip4/127.0.0.1/', '/dns4/localhost/');
  const { multiaddr } = await import('@multiformats/multiaddr');
  await peer.libp2p.dial(multiaddr(name));
  assert.match(peer.libp2p.getConnections()[0]?.remoteAddr.toString() ?? '', /^\/dns4\/localhost\//);
  await enforcer.start();
  assert.deepEqual(peers(), [other.id], 'a name that does not resolve closes nobody');
  await list.add('203.0.113.8', later(), 'operator');
  await enforcer.sweep();
  assert.deepEqual(peers(), [other.id]);
  await list.add('203.0.113.0/24', later(), 'operator');
  await waitFor(() => peers().length === 0, { what: 'the connection to be closed' });
  assert.deepEqual(new Set(asked), new Set(['localhost']));
});
