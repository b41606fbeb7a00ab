import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { generateKeyPair } from '@libp2p/crypto/keys';
import type { Libp2p } from '@libp2p/interface';
import { multiaddr } from '@multiformats/multiaddr';
import { StaticPeers, type StaticPeersOptions } from '../../../../src/main/node/peering/static-peers.js';
import { createHost, type PeripheryParts, peripheryParts } from '../../../support/host.js';
import { freePorts } from '../../../support/ports.js';
import { waitFor, within } from '../../../support/wait.js';

const GAUGE = 'teranode_p2p_node_configured_peers';

interface Node {
  readonly host: Libp2p;
  readonly peers: StaticPeers;
  readonly parts: PeripheryParts;
}

async function node(context: TestContext, options: Partial<StaticPeersOptions>): Promise<Node> {
  const host = await createHost(context, { listen: [] });
  const parts = peripheryParts();
  const peers = new StaticPeers(
    { libp2p: host, logger: parts.log.logger, metrics: parts.metrics },
    { kind: 'static', addresses: [], missingIntervalMs: 50, settledIntervalMs: 60_000, ...options },
  );
  peers.start();
  context.after(() => peers.stop());
  return { host, peers, parts };
}

/** What a host listens on that goes and comes back: nobody takes it meanwhile. */
const ownPort = async (): Promise<string[]> => [`/ip4/127.0.0.1/tcp/${(await freePorts(1))[0]}`];
const addressOf = (host: Libp2p): string => String(host.getMultiaddrs()[0]);
const isConnected = (from: Libp2p, to: Libp2p): boolean => from.getConnections(to.peerId).length > 0;

describe('static peers', () => {
  it('are all connected, tagged to be kept, and counted', async (context) => {
    const targets = [await createHost(context), await createHost(context)];
    const { host, peers, parts } = await node(context, { addresses: targets.map(addressOf) });
    await waitFor(async () => (await parts.value(GAUGE, { kind: 'static', state: 'connected' })) === 2, {
      what: 'both',
    });
    assert.equal(await parts.value(GAUGE, { state: 'missing' }), 0);
    assert.deepEqual([...peers.peerIds].sort(), targets.map(({ peerId }) => peerId.toString()).sort());
    for (const { peerId } of targets) {
      const { tags } = await host.peerStore.get(peerId);
      assert.equal(tags.get('keep-alive-teranode')?.value, 100);
    }
  });

  it('are connected again after the other side restarts', async (context) => {
    const privateKey = await generateKeyPair('Ed25519');
    const listen = await ownPort();
    const first = await createHost(context, { privateKey, listen });
    const address = addressOf(first);
    const { host } = await node(context, { addresses: [address] });
    await waitFor(() => isConnected(host, first), { what: 'the first connection' });
    await first.stop();
    await waitFor(() => !isConnected(host, first), { what: 'the outage' });
    const second = await createHost(context, { privateKey, listen });
    await waitFor(() => isConnected(host, second), { what: 'the reconnection' });
    assert.equal(host.getConnections(second.peerId)[0]?.status, 'open');
  });

  it('that are down do not keep the others waiting, and are told of once', async (context) => {
    const up = await createHost(context);
    const down = await createHost(context);
    const address = addressOf(down);
    await down.stop();
    const { host, parts } = await node(context, { addresses: [address, addressOf(up)] });
    await waitFor(() => isConnected(host, up), { what: 'the one that is up' });
    const told = () => parts.log.lines.filter(({ msg }) => msg === 'configured peer cannot be reached');
    await waitFor(() => told().length >= 3, { what: 'three rounds' });
    assert.equal(told().filter(({ level }) => level === 40).length, 1);
    assert.equal(await parts.value(GAUGE, { state: 'missing' }), 1);
  });

  it('behind a /dnsaddr name are found through its TXT records', async (context) => {
    const target = await createHost(context);
    const answers: Record<string, string[]> = {
      '_dnsaddr.boot.example': ['dnsaddr=/dnsaddr/inner.example', 'something else', 'dnsaddr=/nonsense'],
      '_dnsaddr.inner.example': [`dnsaddr=${addressOf(target)}`],
    };
    const { host, peers } = await node(context, {
      kind: 'bootstrap',
      addresses: ['/dnsaddr/boot.example'],
      resolveTxt: async (name) => answers[name] ?? [],
    });
    await waitFor(() => isConnected(host, target), { what: 'the peer' });
    assert.deepEqual([...peers.peerIds], [target.peerId.toString()]);
  });

  it('for bootstrap alone are left in peace once one was reached, until the node is alone', async (context) => {
    const privateKey = await generateKeyPair('Ed25519');
    const listen = await ownPort();
    const target = await createHost(context, { privateKey, listen });
    const address = addressOf(target);
    const { host } = await node(context, {
      kind: 'bootstrap',
      persistent: false,
      addresses: [address],
      settledIntervalMs: 50,
    });
    await waitFor(() => isConnected(host, target), { what: 'the bootstrap peer' });
    assert.equal((await host.peerStore.get(target.peerId)).tags.has('keep-alive-teranode'), false);
    const other = await createHost(context);
    await other.dial(multiaddr(address));
    await target.stop();
    const again = await createHost(context, { privateKey, listen });
    await waitFor(() => isConnected(host, again), { what: 'the bootstrap peer again' });
  });

  it('stop at once, also in the middle of a dial', async (context) => {
    // 192.0.2.0/24 answers nobody.
    const id = (await createHost(context)).peerId;
    const { peers } = await node(context, {
      addresses: [`/ip4/192.0.2.1/tcp/9/p2p/${id}`],
      dialTimeoutMs: 60_000,
    });
    await within(peers.stop(), 20_000, 'stopping');
    assert.equal(peers.peerIds.size, 1);
  });
});
