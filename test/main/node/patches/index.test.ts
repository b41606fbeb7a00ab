import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ALL_PATCHES, type Patches } from '../../../../src/main/node/patches/index.js';
import { BLOCK, BLOCK_TOPIC, createTestNode, SHARED_KEY } from '../../../support/node.js';
import { createPeer } from '../../../support/peer.js';
import { waitFor } from '../../../support/wait.js';

const NO_PATCHES = Object.fromEntries(Object.keys(ALL_PATCHES).map((name) => [name, false])) as Patches;

for (const generation of ['current', 'first'] as const) {
  test(`with every patch off a node of the ${generation} generation is what its libraries make of it, and speaks with a peer`, async (context) => {
    const { node, heard, address } = await createTestNode(context, {
      generation,
      patches: NO_PATCHES,
      verdict: 'accept',
      settings: {
        p2p_topic_prefix: 'teranode/bitcoin/1.0.0/regtest',
        p2p_dht_mode: 'server',
        p2p_enable_nat: true,
      },
    });
    const { pubsub, dht, identify } = node.inspect().host!.services as unknown as Record<string, object>;
    assert.equal((identify as any).host.protocolVersion, 'ipfs/0.1.0');
    // A patched method is the instance's own.
    for (const method of [
      'validateReceivedMessage',
      'handleReceivedRpc',
      'sendRpc',
      'heartbeat',
      'removePeer',
    ])
      assert.ok(!Object.hasOwn(pubsub!, method), method);
    for (const method of ['addProvider', 'getProviders'])
      assert.ok(!Object.hasOwn((dht as any).providers, method), method);
    const peer = await createPeer({
      context,
      topics: [BLOCK_TOPIC],
      ...(generation === 'first' ? { sharedKey: SHARED_KEY } : {}),
    });
    await peer.dial(address);
    await peer.sees(node.peerId, BLOCK_TOPIC);
    await peer.publish(BLOCK_TOPIC, 'from the peer');
    await waitFor(() => heard.length === 1, { what: 'its message' });
    await node.publish(BLOCK, Buffer.from('from the node'));
    await waitFor(() => peer.heard.length === 1, { what: 'ours at the peer' });
  });
}
