import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tcp } from '@libp2p/tcp';
import { isRelaying, relayAddresses } from '../../../../src/main/node/addresses/configured-peers.js';
import { internalsOf } from '../../../../src/main/node/patches/host-internals.js';
import { RelayReservations, relayTransport } from '../../../../src/main/node/patches/relay-reservations.js';
import { Relays } from '../../../../src/main/node/peering/relays.js';
import { asPeer } from '../../../support/branded.js';
import { createHost } from '../../../support/host.js';
import { keptLog } from '../../../support/logger.js';
import { createTestNode, type TestNode } from '../../../support/node.js';
import { createRelay } from '../../../support/relay.js';
import { settingsOf } from '../../../support/settings.js';
import { waitFor } from '../../../support/wait.js';

const RELAYED = /\/p2p-circuit(\/|$)/;
const hasPlace = ({ node }: TestNode) => node.addresses().some((address) => RELAYED.test(address));
const listenersOf = ({ node }: TestNode) =>
  internalsOf(node.inspect().host!).transportManager.getListeners().length;

test('a place at a relay is taken again after the relay’s restart', async (context) => {
  let relay = await createRelay(context);
  const test = await createTestNode(context, { settings: { p2p_bootstrap_peers: [relay.address] } });
  await waitFor(() => hasPlace(test), { what: 'a place' });
  const listeners = listenersOf(test);
  for (let count = 0; count < 2; count++) {
    await relay.libp2p.stop();
    await waitFor(() => !hasPlace(test), { what: 'the place to be given up' });
    relay = await createRelay(context, { again: relay.again });
    await waitFor(() => hasPlace(test), { what: 'the place again', timeoutMs: 30_000 });
  }
  assert.equal(listenersOf(test), listeners);
});

test('a place that only the connection cost is taken again', async (context) => {
  const relay = await createRelay(context);
  const test = await createTestNode(context, { settings: { p2p_bootstrap_peers: [relay.address] } });
  await waitFor(() => hasPlace(test), { what: 'a place' });
  await test.node.disconnect(asPeer(relay.libp2p.peerId.toString()));
  await waitFor(() => !hasPlace(test), { what: 'the place to be given up', everyMs: 1 });
  await waitFor(() => hasPlace(test), { what: 'the place again' });
});

test('a peer that becomes a relay later is asked again, with one listener for all tries', async (context) => {
  const peer = await createRelay(context, { hop: false });
  const { node, ...rest } = await createTestNode(context);
  const test = { node, ...rest };
  const host = node.inspect().host!;
  const places = RelayReservations.of(internalsOf(host).transportManager);
  const { logger, lines } = keptLog();
  const relays = new Relays(
    { libp2p: host, reservations: places, logger },
    { addresses: [peer.address], firstRetryMs: 20 },
  );
  relays.start();
  context.after(() => relays.stop());
  const failures = () => lines.filter(({ msg }) => msg === 'no reservation at a relay').length;
  await waitFor(() => failures() >= 4, { what: 'four tries' });
  assert.equal(listenersOf(test), 2, 'TCP and the relay');
  await peer.libp2p.stop();
  await createRelay(context, { again: peer.again });
  await waitFor(() => hasPlace({ node, ...rest }), { what: 'a place', timeoutMs: 30_000 });
  assert.equal(listenersOf(test), 2);
});

test('a relay behind a /dnsaddr is found, and known as one before it is dialled', async (context) => {
  const relay = await createRelay(context);
  const test = await createTestNode(context);
  const host = test.node.inspect().host!;
  const places = RelayReservations.of(internalsOf(host).transportManager);
  const told: string[] = [];
  const id = relay.libp2p.peerId.toString();
  let answers = 0;
  const relays = new Relays(
    { libp2p: host, reservations: places, logger: keptLog().logger },
    {
      addresses: ['/dnsaddr/relays.example'],
      firstRetryMs: 20,
      onResolved: (ids) => {
        for (const each of ids) if (host.getPeers().length === 0) told.push(each);
      },
      resolveTxt: async (name) => {
        assert.equal(name, '_dnsaddr.relays.example');
        // The resolver is not there yet when the machine starts.
        if (answers++ === 0) throw new Error('queryTxt ESERVFAIL');
        return [`dnsaddr=${relay.address}`];
      },
    },
  );
  relays.start();
  context.after(() => relays.stop());
  await waitFor(() => hasPlace(test), { what: 'a place' });
  assert.deepEqual(told, [id]);
});

test('who speaks to us as a relay at which we have no place has us ask it for none', async (context) => {
  const test = await createTestNode(context);
  const stranger = await createRelay(context);
  const host = test.node.inspect().host!;
  await host.dial(stranger.libp2p.getMultiaddrs());
  const connection = await waitFor(() => stranger.libp2p.getConnections()[0], { what: 'the connection' });
  const listeners = listenersOf(test);
  for (let count = 0; count < 5; count++) {
    const stream = await connection.newStream('/libp2p/circuit/relay/0.2.0/stop');
    await waitFor(() => stream.status !== 'open', { what: 'it to be refused' });
  }
  assert.equal(listenersOf(test), listeners);
  assert.equal(hasPlace(test), false);
});

test('a node speaks through relays in the current generation, in the first where one is named, silent never', async (context) => {
  const relay = '/ip4/192.0.2.1/tcp/1/p2p/12D3KooWGRUVh6ccszaFZJ1qmuuFHVhxvSqXCPd3JXGqiXMDzTqt';
  assert.equal(isRelaying(settingsOf({})), true);
  assert.equal(isRelaying(settingsOf({ listen_mode: 'silent', p2p_relay_peers: [relay] })), false);
  const first = { p2p_shared_key: '5a'.repeat(32) };
  assert.equal(isRelaying(settingsOf(first, 'first')), false);
  assert.equal(isRelaying(settingsOf({ ...first, p2p_relay_peers: [relay] }, 'first')), true);
  assert.deepEqual(relayAddresses(settingsOf({ p2p_bootstrap_peers: ['/dnsaddr/boot.example'] })), [
    '/dnsaddr/boot.example',
  ]);
  // Without a relay of its own it calls peers through others'.
  const hub = await createRelay(context);
  const behind = await createTestNode(context, { settings: { p2p_bootstrap_peers: [hub.address] } });
  await waitFor(() => hasPlace(behind), { what: 'a place' });
  const { node } = await createTestNode(context);
  await node.connect(`${hub.address}/p2p-circuit/p2p/${behind.node.peerId}`);
  assert.ok(node.peers().some(({ id }) => id === behind.node.peerId));
});

test('a place that seems to last, as to a node whose clock is behind its relay’s, is asked for again in time', async (context) => {
  // Two hours.
  const relay = await createRelay(context);
  const host = await createHost(context, {
    listen: [`${relay.address}/p2p-circuit`],
    extra: { transports: [tcp(), relayTransport({ longestMs: 1200 })] },
  });
  let places = 0;
  const { components } = host as unknown as {
    components: { transportManager: { getTransports(): { reservationStore?: EventTarget }[] } };
  };
  const store = components.transportManager.getTransports().find(({ reservationStore }) => reservationStore);
  store?.reservationStore?.addEventListener('relay:created-reservation', () => places++);
  await waitFor(() => places >= 2, { what: 'two more places' });
  assert.ok(host.getMultiaddrs().some((address) => RELAYED.test(String(address))));
});
