/** Servers in private networks behind routers: through a relay, through both routers at once, and by a port that a router opens. */

import '../../src/shared/process/polyfill.js';

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type CircuitRelayServerInit, circuitRelayServer } from '@libp2p/circuit-relay-v2';
import { identify } from '@libp2p/identify';
import { noise } from '@libp2p/noise';
import { ping } from '@libp2p/ping';
import { tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import { waitFor } from '../support/wait.js';
import { type PrivateNetwork, privateNetwork, startUpnp } from './support/routers.js';
import { type ServerInside, serverInside } from './support/server-inside.js';

const NOBODY = '12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN';

/** A relay on the public network that speaks of nothing else: what is heard did not come by way of its gossip. */
async function startRelay(context: TestContext, upstream: string, unlimited: boolean) {
  const reservations: CircuitRelayServerInit['reservations'] = { applyDefaultLimit: !unlimited };
  const relay = await createLibp2p({
    addresses: { listen: [`/ip4/${upstream}/tcp/0`] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: { identify: identify(), ping: ping(), relay: circuitRelayServer({ reservations }) },
  });
  context.after(() => relay.stop());
  // libp2p itself does not tell of public addresses that nobody has checked.
  const { transportManager } = (
    relay as unknown as { components: { transportManager: { getAddrs(): Multiaddr[] } } }
  ).components;
  return { relay, address: `${transportManager.getAddrs()[0]}/p2p/${relay.peerId}` };
}

interface Pair {
  readonly networks: readonly [PrivateNetwork, PrivateNetwork];
  readonly servers: readonly [ServerInside, ServerInside];
  readonly relayAddress: string;
  readonly relay: Awaited<ReturnType<typeof startRelay>>['relay'];
}

/** Two servers in two private networks, both with a place at a relay between them, which is all they know of. */
async function twoBehindRouters(
  context: TestContext,
  { nat, unlimited, scrambled = false }: { nat: boolean; unlimited: boolean; scrambled?: boolean },
): Promise<Pair> {
  const networks = [
    await privateNetwork(context, 1, { scrambled }),
    await privateNetwork(context, 2, { scrambled }),
  ] as const;
  const { relay, address } = await startRelay(context, networks[0].upstream, unlimited);
  const start = (network: PrivateNetwork) =>
    serverInside(context, network.inside, { p2p_enable_nat: nat, p2p_bootstrap_peers: [address] });
  const servers = await Promise.all([start(networks[0]), start(networks[1])] as const);
  for (const server of servers) {
    await waitFor(
      async () =>
        (await server.call('addresses')).some((text) => text.endsWith(`/p2p-circuit/p2p/${server.peerId}`)),
      { what: 'a place at the relay', timeoutMs: 120_000 },
    );
  }
  return { networks, servers, relayAddress: address, relay };
}

async function heardOneAnother([one, other]: Pair['servers']): Promise<void> {
  const hears = async (listener: ServerInside, author: string) =>
    waitFor(async () => (await listener.call('heard')).includes(author), {
      what: 'its node status',
      timeoutMs: 60_000,
    });
  await Promise.all([hears(one, other.peerId), hears(other, one.peerId)]);
}

test('two servers behind routers hear one another through a relay, and without p2p_enable_nat stay there', async (context) => {
  const { networks, servers, relayAddress, relay } = await twoBehindRouters(context, {
    nat: false,
    unlimited: true,
  });
  const [one, other] = servers;
  for (const [index, { publicAddress }] of networks.entries()) {
    const connection = relay
      .getConnections()
      .find(({ remotePeer }) => String(remotePeer) === servers[index]?.peerId);
    assert.match(
      String(connection?.remoteAddr),
      new RegExp(`^/ip4/${publicAddress}/`),
      'it comes from its router',
    );
  }
  await assert.rejects(
    one.call('connect', `/ip4/${networks[1].publicAddress}/tcp/${other.port}/p2p/${other.peerId}`),
    /no connection/,
    'the router lets nobody in',
  );
  await one.call('connect', `${relayAddress}/p2p-circuit/p2p/${other.peerId}`);
  await heardOneAnother(servers);
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    const open = await from.call('connections', to.peerId);
    assert.ok(open.length > 0 && open.every((text) => text.includes('/p2p-circuit')), open.join(' '));
  }
});

for (const unlimited of [false, true]) {
  test(`with p2p_enable_nat two servers come from a relay ${unlimited ? 'without' : 'with'} limits to a direct connection through both routers, and messages flow`, async (context) => {
    const { networks, servers, relayAddress } = await twoBehindRouters(context, { nat: true, unlimited });
    const [one, other] = servers;
    await one.call('connect', `${relayAddress}/p2p-circuit/p2p/${other.peerId}`);
    for (const [from, to, { publicAddress }] of [
      [one, other, networks[1]],
      [other, one, networks[0]],
    ] as const) {
      await waitFor(
        async () => {
          const open = await from.call('connections', to.peerId);
          return (
            open.length > 0 &&
            open.every(
              (text) => text.startsWith(`/ip4/${publicAddress}/tcp/`) && !text.includes('/p2p-circuit'),
            )
          );
        },
        { what: 'a direct connection alone', timeoutMs: 60_000 },
      );
    }
    const before = await Promise.all(servers.map((each) => each.call('heard').then(({ length }) => length)));
    const since = async (listener: ServerInside, from: number, author: string) =>
      waitFor(async () => (await listener.call('heard')).slice(from).includes(author), {
        what: 'a node status on the direct connection',
        timeoutMs: 60_000,
      });
    await Promise.all([since(one, before[0] ?? 0, other.peerId), since(other, before[1] ?? 0, one.peerId)]);
  });
}

test('a router is asked for the port while p2p_enable_nat is on, strangers come in by it, and it is given back at stop', async (context) => {
  const network = await privateNetwork(context, 1);
  const upnp = await startUpnp(context, network);
  const silent = await serverInside(context, network.inside, { p2p_enable_nat: false });
  const server = await serverInside(context, network.inside, { p2p_enable_nat: true });
  const rule = await waitFor(
    async () => (await upnp.mappings()).find((line) => line.includes(`${network.address}:${server.port}`)),
    { what: 'the mapping', timeoutMs: 60_000 },
  );
  const outside = /dport (\d+)/.exec(rule)?.[1];
  const address = `/ip4/${network.publicAddress}/tcp/${outside}/p2p/${server.peerId}`;
  await waitFor(async () => (await server.call('addresses')).includes(address), {
    what: 'the address to be told to peers',
  });
  const stranger = await createLibp2p({
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: { identify: identify(), ping: ping() },
  });
  context.after(() => stranger.stop());
  await stranger.dial(multiaddr(address));
  assert.ok(
    (await upnp.mappings()).every((line) => !line.includes(`:${silent.port}`)),
    'nothing was asked for the other',
  );

  await server.call('stop');
  await waitFor(async () => (await upnp.mappings()).length === 0, { what: 'the mapping to be gone' });
});

test('neither a relay nor a router that does not answer holds up the start', async (context) => {
  const network = await privateNetwork(context, 1);
  const plain = await serverInside(context, network.inside, { p2p_enable_nat: false });
  const server = await serverInside(context, network.inside, {
    p2p_enable_nat: true,
    p2p_bootstrap_peers: [`/ip4/45.77.1.99/tcp/4001/p2p/${NOBODY}`],
  });
  // As long as one that asks nobody, and less than it takes to give up a relay; on a busy machine all is slower.
  const bound = (plainMs: number): number => plainMs * 3 + 8_000;
  assert.ok(server.startedMs < bound(plain.startedMs), `${server.startedMs} to ${plain.startedMs} ms`);
  const [stopped, plainStopped] = [await server.call('stop'), await plain.call('stop')];
  assert.ok(stopped.tookMs < bound(plainStopped.tookMs), `${stopped.tookMs} to ${plainStopped.tookMs} ms`);
});

test('a machine with a public address tells peers of it unasked, and one behind a router does not', async (context) => {
  const network = await privateNetwork(context, 1);
  const [exposed, hidden] = await Promise.all([
    serverInside(context, network.router, { p2p_enable_nat: false }),
    serverInside(context, network.inside, { p2p_enable_nat: false }),
  ]);
  const address = `/ip4/${network.publicAddress}/tcp/${exposed.port}/p2p/${exposed.peerId}`;
  const told = await exposed.call('addresses');
  assert.ok(told.includes(address), told.join(' '));
  const hiddenTold = await hidden.call('addresses');
  assert.ok(
    hiddenTold.every((text) => !text.includes(network.publicAddress)),
    hiddenTold.join(' '),
  );
});
