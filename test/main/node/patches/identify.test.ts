import assert from 'node:assert/strict';
import { test } from 'node:test';
import { identifyPush } from '@libp2p/identify';
import { peerIdFromString } from '@libp2p/peer-id';
import { multiaddr } from '@multiformats/multiaddr';
import { createHost } from '../../../support/host.js';
import { createTestNode, type TestNode } from '../../../support/node.js';
import { acquainted, createPair, hostOf, speakBothWays } from '../../../support/pair.js';
import { waitFor } from '../../../support/wait.js';

const PUSH = '/ipfs/id/push/1.0.0';

/** As the port mapper does when a router has opened a port. */
function learnAddress({ node }: TestNode, address: string): void {
  const { addressManager } = (node.inspect().host as any).components;
  const [, , ip, , port] = address.split('/');
  addressManager.addPublicAddressMapping('127.0.0.1', node.port, ip, Number(port), 'tcp');
  addressManager.confirmObservedAddr(multiaddr(address), { type: 'ip-mapping' });
}

test('a peer that is connected already learns an address that comes later, and under which network', async (context) => {
  const test = await createTestNode(context);
  const { node } = test;
  // Answers no identify and says nothing: our store has never heard of it. Asked first, it is no reason not to tell the others.
  const mute = await createHost(context, { listen: [] });
  for (const protocol of mute.getProtocols()) await mute.unhandle(protocol);
  await mute.dial(multiaddr(test.address));
  const peer = await createHost(context, { services: { push: identifyPush() } });
  await node.connect(String(peer.getMultiaddrs()[0]));
  const host = node.inspect().host!;
  await waitFor(async () => (await host.peerStore.get(peer.peerId)).protocols.includes(PUSH), {
    what: 'it to be known',
  });
  await host.peerStore.delete(mute.peerId);
  assert.ok(host.getConnections(mute.peerId).length > 0);
  const known = () => peer.peerStore.get(peerIdFromString(node.peerId));
  learnAddress(test, '/ip4/45.77.1.9/tcp/4001');
  await waitFor(
    async () => (await known()).addresses.some((address) => String(address.multiaddr).includes('45.77.1.9')),
    { what: 'the peer to know it' },
  );
  const { metadata } = await known();
  assert.equal(Buffer.from(metadata.get('ProtocolVersion')!).toString(), '/teranode/bitcoin/regtest/1.0.0');
});

test('an address that a connected peer learns later is known here, and one that pushes without end is not listened to', async (context) => {
  const { node } = await createTestNode(context);
  const host = node.inspect().host!;
  const peer = await createHost(context, { services: { push: identifyPush() } });
  await node.connect(String(peer.getMultiaddrs()[0]));
  await waitFor(() => node.peers()[0]?.agent !== '', { what: 'identify' });
  const { addressManager } = (peer as any).components;
  addressManager.addPublicAddressMapping(
    '127.0.0.1',
    Number(peer.getMultiaddrs()[0]?.getComponents()[1]?.value),
    '45.77.1.9',
    4001,
    'tcp',
  );
  addressManager.confirmObservedAddr(multiaddr('/ip4/45.77.1.9/tcp/4001'), { type: 'ip-mapping' });
  await waitFor(
    async () =>
      (await host.peerStore.get(peer.peerId)).addresses.some((address) =>
        String(address.multiaddr).includes('45.77.1.9'),
      ),
    { what: 'its new address' },
  );

  let taken = 0;
  host.addEventListener('peer:identify', () => taken++);
  const { push } = peer.services as any;
  for (let count = 0; count < 20; count++) {
    const before = taken;
    await push.sendPushMessage();
    // One that is refused is told of by nobody.
    await waitFor(() => taken > before, { timeoutMs: 150 }).catch(() => {});
  }
  assert.ok(taken >= 1 && taken <= 10, `${taken} of 20 were taken`);
  assert.ok(
    node.peers().some(({ id }) => id === peer.peerId.toString()),
    'it is still connected',
  );
});

test('two nodes of which neither gets an answer to identify at first get one later, and hear one another', async (context) => {
  const pair = await createPair(context);
  const [one, two] = pair;
  let refused = 0;
  for (const each of pair) {
    const { identify } = hostOf(each).services as any;
    let first = true;
    await hostOf(each).handle(
      '/ipfs/id/1.0.0',
      (stream, connection) => {
        if (!first) return identify.handleProtocol(stream, connection);
        first = false;
        refused++;
        stream.abort(new Error('test'));
      },
      { force: true },
    );
  }
  await one.node.connect(two.address);
  await acquainted(pair);
  await speakBothWays(pair);
  assert.equal(refused, 2);
  await waitFor(() => pair.every(({ node }) => node.peers()[0]?.agent !== ''), { what: 'who they are' });
});
