import assert from 'node:assert/strict';
import { test } from 'node:test';
import { growCipherMemory } from '../../../../src/main/node/patches/cipher-memory.js';
import { BLOCK, BLOCK_TOPIC, createTestNode, SHARED_KEY } from '../../../support/node.js';
import { createPeer } from '../../../support/peer.js';
import { waitFor } from '../../../support/wait.js';

test('on a private network messages above 640 KiB pass between several peers both ways', async (context) => {
  growCipherMemory();
  growCipherMemory();
  const { node, heard, address } = await createTestNode(context, {
    generation: 'first',
    verdict: 'accept',
    settings: { p2p_topic_prefix: 'teranode/bitcoin/1.0.0/regtest' },
  });
  const peers = [];
  for (let count = 0; count < 3; count++) {
    const peer = await createPeer({ context, topics: [BLOCK_TOPIC], sharedKey: SHARED_KEY });
    await peer.dial(address);
    await peer.sees(node.peerId, BLOCK_TOPIC);
    peers.push(peer);
  }
  const large = Buffer.alloc(1_200_000, 'x');
  await waitFor(async () => (await node.publish(BLOCK, large)) === 3, {
    what: 'the message to go to all three',
    everyMs: 1_000,
    timeoutMs: 60_000,
  });
  for (const peer of peers) await peer.publish(BLOCK_TOPIC, large);
  await waitFor(() => new Set(heard.map(({ author }) => author)).size === 3, {
    what: 'three large messages',
    timeoutMs: 60_000,
  });
  for (const peer of peers) {
    await waitFor(
      () => peer.heard.some(({ author, data }) => author === node.peerId && data.length === large.length),
      { what: 'the large message at each', timeoutMs: 60_000 },
    );
  }
  assert.equal(node.peers().length, 3);
});
