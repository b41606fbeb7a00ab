import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { Libp2p } from '@libp2p/interface';
import { kadDHT, passthroughMapper } from '@libp2p/kad-dht';
import { connectionProtector } from '../../../../src/main/node/identity/pre-shared-key.js';
import { Discovery, type DiscoveryOptions, topicCid } from '../../../../src/main/node/peering/discovery.js';
import { createHost, type PeripheryParts, peripheryParts } from '../../../support/host.js';
import { settingsOf } from '../../../support/settings.js';
import { waitFor, within } from '../../../support/wait.js';

const TOPIC = 'teranode/bitcoin/1.0.0/regtest-block';
const KEY = 'ab'.repeat(32);

interface Node {
  readonly host: Libp2p;
  readonly discovery: Discovery;
  readonly parts: PeripheryParts;
}

async function node(
  context: TestContext,
  options: Partial<DiscoveryOptions> = {},
  clientMode = false,
): Promise<Node> {
  const protector = await connectionProtector(settingsOf({ p2p_shared_key: KEY, p2p_private_network: true }));
  const host = await createHost(context, {
    services: {
      // What it asks of its components is there; the type of a bare host does not say so.
      dht: kadDHT({
        protocol: '/teranode/kad/1.0.0',
        clientMode,
        peerInfoMapper: passthroughMapper,
        allowQueryWithZeroPeers: true,
      }) as unknown as () => unknown,
    },
    extra: { ...(protector === undefined ? {} : { connectionProtector: protector }) },
  });
  const parts = peripheryParts();
  const discovery = new Discovery(
    { libp2p: host, logger: parts.log.logger, metrics: parts.metrics },
    { topics: [TOPIC], intervalMs: 100, timeoutMs: 2_000, ...options },
  );
  context.after(() => discovery.stop());
  return { host, discovery, parts };
}

describe('discovery', () => {
  it('names a topic as Go does', async () => {
    // Version 1, raw, SHA-256: bafkrei….
    assert.equal(
      (await topicCid('')).toString(),
      'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku',
    );
    const cid = await topicCid(TOPIC);
    assert.equal(cid.version, 1);
    assert.equal(cid.code, 0x55);
    assert.equal(cid.multihash.code, 0x12);
  });

  it('lets two strangers meet over a third in a private network', async (context) => {
    const third = await node(context);
    const one = await node(context);
    const two = await node(context);
    for (const { host } of [one, two]) await host.dial(third.host.getMultiaddrs());
    one.discovery.start();
    two.discovery.start();
    await waitFor(() => one.host.getConnections(two.host.peerId).length > 0, { what: 'the meeting' });
    // The other may have dialled while this one’s first round was under way.
    await waitFor(() => one.parts.value('teranode_p2p_node_discovery_rounds_total', { outcome: 'ok' }), {
      what: 'a round',
    });
  });

  it('dials a provider that is in nobody’s routing table', async (context) => {
    const third = await node(context);
    const hidden = await node(context, { wantsPeers: () => false }, true);
    const seeker = await node(context, { advertise: false }, true);
    for (const { host } of [hidden, seeker]) await host.dial(third.host.getMultiaddrs());
    hidden.discovery.start();
    seeker.discovery.start();
    await waitFor(
      () => seeker.parts.value('teranode_p2p_node_discovered_peers_total', { outcome: 'connected' }),
      { what: 'the dial' },
    );
    assert.equal(seeker.host.getConnections(hidden.host.peerId)[0]?.direction, 'outbound');
  });

  it('does not dial what it finds while there are peers enough', async (context) => {
    const third = await node(context);
    const one = await node(context, { wantsPeers: () => false });
    const two = await node(context, { wantsPeers: () => false });
    for (const { host } of [one, two]) await host.dial(third.host.getMultiaddrs());
    for (const { discovery } of [one, two]) discovery.start();
    await waitFor(
      async () =>
        (await one.parts.value('teranode_p2p_node_discovery_rounds_total', {
          action: 'search',
          outcome: 'ok',
        })) >= 3,
      { what: 'three searches' },
    );
    assert.equal(await one.parts.value('teranode_p2p_node_discovered_peers_total'), 0);
  });

  it('goes on without a DHT and stops at once', async (context) => {
    const host = await createHost(context);
    const parts = peripheryParts();
    const discovery = new Discovery(
      { libp2p: host, logger: parts.log.logger, metrics: parts.metrics },
      { topics: [TOPIC], intervalMs: 10 },
    );
    discovery.start();
    await waitFor(
      async () => (await parts.value('teranode_p2p_node_discovery_rounds_total', { outcome: 'failed' })) >= 4,
      { what: 'failed rounds' },
    );
    await within(discovery.stop(), 8_000, 'stopping');
    assert.equal(host.status, 'started');
  });
});
