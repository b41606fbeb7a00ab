/** Newcomers, while others take as many places as they can. */

import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import type { Libp2p } from '@libp2p/interface';
import { multiaddr } from '@multiformats/multiaddr';
import {
  connectionManagerLimits,
  connectionMarks,
} from '../../../../src/main/node/connections/connection-limits.js';
import { createGater, type GaterInit } from '../../../../src/main/node/connections/gater.js';
import { createHost, type PeripheryParts, peripheryParts } from '../../../support/host.js';
import { holdIdle } from '../../../support/idle-connections.js';
import { settingsOf } from '../../../support/settings.js';
import { waitFor } from '../../../support/wait.js';

const REFUSED = 'teranode_p2p_node_connections_refused_total';
const TEN_ADDRESSES = Array.from({ length: 10 }, (_, index) => `127.0.0.${index + 2}`);

interface Admitting {
  readonly host: Libp2p;
  readonly port: number;
  readonly parts: PeripheryParts;
}

/** A host with this server's limits, for which loopback addresses are like any others. */
async function admittingHost(
  context: TestContext,
  changes: Parameters<typeof settingsOf>[0] = {},
  init: Partial<GaterInit> = {},
): Promise<Admitting> {
  const settings = settingsOf({ p2p_allow_private_ips: true, ...changes });
  const parts = peripheryParts();
  const marks = connectionMarks(settings, 0);
  const gater = createGater({
    bans: { isAddressBanned: () => false, isPeerBanned: () => false, applicationScore: () => 0 },
    settings,
    logger: parts.log.logger,
    metrics: parts.metrics,
    exemptLoopback: false,
    slots: marks.ceiling,
    ...init,
  });
  const limits = (connectionManagerLimits as (given?: typeof marks) => object)(marks);
  const host = await createHost(context, { gater, extra: { connectionManager: limits } });
  const port = Number(
    host
      .getMultiaddrs()[0]
      ?.getComponents()
      .find(({ name }) => name === 'tcp')?.value,
  );
  return { host, port, parts };
}

async function dialFrom(context: TestContext, localAddress: string, to: Libp2p): Promise<Libp2p> {
  const guest = await createHost(context, { localAddress, listen: [] });
  await guest.dial(to.getMultiaddrs(), { signal: AbortSignal.timeout(20_000) });
  return guest;
}

const isIn = (host: Libp2p, guest: Libp2p): boolean =>
  host.getConnections(guest.peerId).some(({ status }) => status === 'open');

/** Resolves when the other side has closed it, with the milliseconds it was open. */
async function lifeOf(socket: Socket): Promise<number> {
  await new Promise<void>((resolve) => socket.once('connect', resolve));
  const since = performance.now();
  socket.on('error', () => {}).resume();
  await new Promise<void>((resolve) => socket.once('close', () => resolve()));
  return performance.now() - since;
}

describe('a newcomer', () => {
  it('gets in while ten addresses hold a hundred idle connections, opened again when closed', async (context) => {
    const { host, port, parts } = await admittingHost(context, { p2p_inbound_connections_per_second: 1_000 });
    const attack = holdIdle(context, { host: '127.0.0.1', port, from: TEN_ADDRESSES, each: 10 });
    await waitFor(() => attack.closed >= 60 && attack.open > 0, { what: 'more than can be held' });
    const guests: Libp2p[] = [];
    for (const last of [21, 22, 23, 24, 25, 26])
      guests.push(await dialFrom(context, `127.0.0.${last}`, host));
    await waitFor(() => guests.every((guest) => isIn(host, guest)), { what: 'all six to be in' });
    assert.ok((await parts.value(REFUSED, { direction: 'inbound', reason: 'handshake_share' })) > 0);
    const told = parts.log.lines.filter(({ msg }) => String(msg).includes('beyond their share'));
    assert.equal(told.length, 1, 'the log tells of it once, and is not flooded');
  });

  it('gets in while more addresses than there are places hold one idle connection each', async (context) => {
    const { host, port, parts } = await admittingHost(context);
    const from = Array.from({ length: 150 }, (_, index) => `127.0.1.${index + 1}`);
    const attack = holdIdle(context, { host: '127.0.0.1', port, from, each: 1 });
    await waitFor(() => attack.closed >= 60, { what: 'more than can be held' });
    const guest = await dialFrom(context, '127.0.0.21', host);
    await waitFor(() => isIn(host, guest), { what: 'the newcomer to be in' });
    assert.ok((await parts.value(REFUSED, { reason: 'handshake_places' })) > 0);
  });

  it('gets in while few addresses hold every place with whole connections, and who was there stays', async (context) => {
    const { host, parts } = await admittingHost(
      context,
      { p2p_connections_per_address: 4, p2p_inbound_connections_per_second: 100 },
      { slots: 6 },
    );
    const settled = await dialFrom(context, '127.0.0.20', host);
    const crowd: Libp2p[] = [];
    for (const last of [2, 2, 2, 3, 3]) crowd.push(await dialFrom(context, `127.0.0.${last}`, host));
    await waitFor(() => host.getConnections().length === 6, { what: 'all places to be taken' });
    const newcomer = await dialFrom(context, '127.0.0.21', host);
    await waitFor(() => isIn(host, newcomer), { what: 'the newcomer to be in' });
    await waitFor(() => !isIn(host, crowd[2]!), { what: 'the youngest of the largest to be gone' });
    assert.ok([settled, crowd[0], crowd[1], crowd[3], crowd[4]].every((guest) => isIn(host, guest!)));
    assert.equal(await parts.value(REFUSED, { reason: 'connection_places' }), 1);
  });

  it('from loopback is held to no share of an address, for a proxy may stand there, and to the places of all', async (context) => {
    const { host, parts } = await admittingHost(
      context,
      { p2p_connections_per_address: 1, p2p_inbound_connections_per_second: 1 },
      { exemptLoopback: true, slots: 3 },
    );
    const guests: Libp2p[] = [];
    for (let count = 0; count < 3; count++) guests.push(await dialFrom(context, '127.0.0.2', host));
    await waitFor(() => guests.every((guest) => isIn(host, guest)), { what: 'all three to be in' });
    await assert.rejects(dialFrom(context, '127.0.0.2', host));
    assert.equal(await parts.value(REFUSED, { reason: 'connection_places' }), 1);
    assert.ok(guests.every((guest) => isIn(host, guest)));
  });

  it('that is allow-listed, or at a static peer’s address, or a static peer, takes nobody’s place and needs none', async (context) => {
    const peers = new Set<string>();
    const { host } = await admittingHost(
      context,
      {
        p2p_connections_per_address: 1,
        p2p_inbound_connections_per_second: 100,
        p2p_allowed_addresses: ['127.0.0.30'],
        p2p_static_peers: [
          '/ip4/127.0.0.31/tcp/9905/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN',
          '/dns4/static.example/tcp/9905/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN',
        ],
      },
      { slots: 2, isProtected: (peer) => peers.has(peer), resolve: async () => ['127.0.0.32'] },
    );
    // Where the name leads is known once it was to be dialled.
    await host
      .dial(multiaddr('/dns4/static.example/tcp/1'), {
        signal: AbortSignal.timeout(5_000),
      })
      .catch(() => {});
    const guests: Libp2p[] = [];
    for (const last of [30, 30, 31, 31, 32, 32])
      guests.push(await dialFrom(context, `127.0.0.${last}`, host));
    const named = await createHost(context, { localAddress: '127.0.0.33', listen: [] });
    peers.add(named.peerId.toString());
    await named.dial(host.getMultiaddrs());
    for (const last of [33, 34]) guests.push(await dialFrom(context, `127.0.0.${last}`, host));
    await waitFor(() => [...guests, named].every((guest) => isIn(host, guest)), { what: 'all to be in' });
  });
});

describe('a connection without a handshake', () => {
  it('is cut soon when it says nothing, later when it says next to nothing, and counted', async (context) => {
    const { port, parts } = await admittingHost(
      context,
      {},
      { handshakes: { silenceMs: 300, handshakeMs: 2_000 } },
    );
    const silent = connect({ host: '127.0.0.1', port, localAddress: '127.0.0.2' });
    const slow = connect({ host: '127.0.0.1', port, localAddress: '127.0.0.3' });
    slow.write('\x13');
    const [short, long] = await Promise.all([lifeOf(silent), lifeOf(slow)]);
    assert.ok(short < long, `${short} ms, ${long} ms`);
    assert.equal(await parts.value(REFUSED, { direction: 'inbound', reason: 'handshake_silent' }), 1);
    assert.equal(await parts.value(REFUSED, { direction: 'inbound', reason: 'handshake_timeout' }), 1);
  });
});
