/** Two nodes with one key, as after a copied volume; and one node that meets itself. */

import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { generateKeyPair } from '@libp2p/crypto/keys';
import type { PrivateKey } from '@libp2p/interface';
import { LOOKUP_1_1 } from '../../../../src/main/node/protocols/address-protocol.js';
import { LossyProxy } from '../../../support/lossy-proxy.js';
import { createTestNode, type TestNode, type TestNodeOptions } from '../../../support/node.js';
import { createPeer } from '../../../support/peer.js';
import { OTHER_PEER } from '../../../support/sample-messages.js';
import { waitFor } from '../../../support/wait.js';

const ELSEWHERE = 'teranode_p2p_node_key_elsewhere_total';
const NAMED = /another node runs with the key of this one \(p2p\.key\)/;

const portOf = (address: string): number => Number(/\/tcp\/(\d+)/.exec(address)?.[1]);
const bare = (address: string): string => address.replace(/\/p2p\/.*/, '');
const message = async ({ node }: TestNode): Promise<string> => String((await node.health()).message);
const told = ({ lines }: TestNode) =>
  lines.filter(({ msg, level }) => Number(level) >= 40 && NAMED.test(String(msg)));

async function twins(
  context: TestContext,
  options: (other: TestNode) => TestNodeOptions = () => ({}),
): Promise<{ readonly one: TestNode; readonly other: TestNode; readonly privateKey: PrivateKey }> {
  const privateKey = await generateKeyPair('Ed25519');
  const other = await createTestNode(context, { privateKey });
  const one = await createTestNode(context, { privateKey, ...options(other) });
  return { one, other, privateKey };
}

async function isNamed(...nodes: TestNode[]): Promise<void> {
  for (const each of nodes) {
    await waitFor(async () => NAMED.test(await message(each)), { what: 'readiness to say so' });
    assert.ok((await each.metric(ELSEWHERE)) > 0);
    assert.equal(told(each).length, 1, 'once in the log');
    assert.equal(each.node.peers().length, 0);
  }
}

describe('another node with this node’s key', () => {
  it('is named by both when one dials the other', async (context) => {
    const { one, other } = await twins(context);
    await assert.rejects(one.node.connect(other.address), NAMED);
    await isNamed(one, other);
    assert.match(await message(one), new RegExp(`met at /ip4/127.0.0.1/tcp/${portOf(other.address)}`));
  });

  it('is named when it is where a static peer is to be, by its own ID or by the one it had', async (context) => {
    for (const id of [undefined, OTHER_PEER]) {
      const { one, other } = await twins(context, ({ address }) => ({
        settings: {
          p2p_static_peers: [id === undefined ? address : address.replace(/\/p2p\/.*/, `/p2p/${id}`)],
        },
      }));
      await isNamed(one, other);
    }
  });

  it('is named when another peer tells where this node is', async (context) => {
    const { one, other } = await twins(context, () => ({ ownLookupMs: 100 }));
    const [peer, third] = [await createPeer({ context }), await createPeer({ context })];
    await peer.libp2p.handle(LOOKUP_1_1, async (stream) => {
      stream.send(Buffer.from(JSON.stringify([one.address, bare(third.address), other.address])));
      await stream.close();
    });
    await peer.dial(one.address);
    await waitFor(async () => NAMED.test(await message(one)), { what: 'readiness to say so' });
    assert.ok((await other.metric(ELSEWHERE, { seen: 'handshake' })) > 0);
    await waitFor(() => third.libp2p.getConnections().length === 0, {
      what: 'whoever else is there to be let go',
    });
    assert.deepEqual(
      one.node.peers().map(({ id }) => id),
      [peer.id],
    );
  });

  it('is named when its node status comes by others, an old one of our own is not', async (context) => {
    const topic = 'teranode/bitcoin/1.0.0/regtest-node_status';
    const { one, privateKey } = await twins(context);
    const twin = await createPeer({ context, privateKey, topics: [topic] });
    const between = [
      await createPeer({ context, topics: [topic] }),
      await createPeer({ context, topics: [topic] }),
    ] as const;
    await twin.dial(between[0].address);
    await between[0].dial(between[1].address);
    await between[1].dial(one.address);
    await twin.sees(between[0].id, topic);
    await between[0].sees(between[1].id, topic);
    await between[1].sees(one.node.peerId, topic);
    const status = (sentAt: number) =>
      JSON.stringify({
        peer_id: one.node.peerId,
        type: 'node_status',
        start_time: Math.floor(sentAt / 1000) - 3_600,
        uptime: 3_600,
      });
    const heard = between[1].heard;
    await twin.publish(topic, status(Date.now() - 3_600_000));
    await waitFor(() => heard.length === 1, { what: 'the old one to come by' });
    await waitFor(() => one.metric('teranode_p2p_node_verdicts_total', { verdict: 'ignore' }), {
      what: 'the old one to arrive',
    });
    assert.equal(await one.metric(ELSEWHERE), 0);
    // Its clock is a little ahead.
    await twin.publish(topic, status(Date.now() + 90_000));
    await waitFor(async () => NAMED.test(await message(one)), { what: 'readiness to say so' });
    assert.equal(await one.metric(ELSEWHERE, { seen: 'gossip' }), 1);
    assert.equal(told(one).length, 1);
  });
});

describe('a node that meets itself', () => {
  it('under an address of its own, or one that a router leads back, says nothing of another', async (context) => {
    const proxy = await LossyProxy.listen(context);
    const test = await createTestNode(context);
    proxy.target = portOf(test.address);
    const led = test.address.replace(/\/tcp\/\d+/, `/tcp/${proxy.port}`);
    for (const address of [test.address, led]) {
      await assert.rejects(test.node.connect(address), /own peer ID/);
    }
    const met = test.lines.filter(({ error }) => /dial self/.test(String(error)));
    assert.equal(met.length, 2, 'both connections came through, and ended at the own ID');
    assert.doesNotMatch(await message(test), NAMED);
    assert.equal(await test.metric(ELSEWHERE), 0);
    assert.equal(told(test).length, 0);
  });
});
