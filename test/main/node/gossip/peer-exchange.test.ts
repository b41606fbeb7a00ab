import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RPC } from '@chainsafe/libp2p-gossipsub/message';
import { generateKeyPair } from '@libp2p/crypto/keys';
import { peerIdFromPrivateKey, peerIdFromString } from '@libp2p/peer-id';
import { PeerExchange } from '../../../../src/main/node/gossip/peer-exchange.js';
import { connectBeside } from '../../../../src/main/node/patches/peer-exchange.js';
import { BLOCK_TOPIC, createTestNode, type TestNode } from '../../../support/node.js';
import { createPeer, type Peer } from '../../../support/peer.js';
import { waitFor } from '../../../support/wait.js';

const SUBTREE_TOPIC = 'teranode/bitcoin/1.0.0/regtest-subtree';
const topics = [BLOCK_TOPIC, SUBTREE_TOPIC];

/** Says to `node` what no full peer would have to say. */
function prune(from: Peer, { node }: TestNode, prunes: RPC.ControlPrune[]): void {
  const { streamsOutbound } = from.libp2p.services.pubsub as unknown as {
    streamsOutbound: Map<string, { push(rpc: Uint8Array): void }>;
  };
  const control = { ihave: [], iwant: [], graft: [], prune: prunes, idontwant: [] };
  streamsOutbound.get(node.peerId)?.push(RPC.encode({ subscriptions: [], messages: [], control }));
}

/** A new peer as `by`, who is connected to it, recommends it. */
async function recommended(by: Peer, other: Peer): Promise<RPC.PeerInfo> {
  await by.dial(other.address);
  const id = peerIdFromString(other.id);
  const signedPeerRecord = await waitFor(async () => (await by.libp2p.peerStore.get(id)).peerRecordEnvelope, {
    what: 'the signed record',
  });
  return { peerID: id.toMultihash().bytes, signedPeerRecord };
}

const meshOf = ({ node }: TestNode, topic: string) =>
  node.inspect().host?.services.pubsub.getMeshPeers(topic) ?? [];
const meshed = (node: TestNode, peer: Peer) =>
  waitFor(() => topics.every((topic) => meshOf(node, topic).includes(peer.id)), { what: 'the mesh' });
const isConnected = ({ node }: TestNode, { id }: Peer) => node.peers().some((peer) => peer.id === id);

test('whom we called is believed at once when it recommends others, who called us is not', async (context) => {
  const tested = await createTestNode(context);
  const [caller, called, by1, by2] = [
    await createPeer({ context, topics }),
    await createPeer({ context, topics }),
    await createPeer({ context }),
    await createPeer({ context }),
  ];
  await caller.dial(tested.address);
  await tested.node.connect(called.address);
  for (const peer of [caller, called]) await meshed(tested, peer);

  prune(caller, tested, [{ topicID: BLOCK_TOPIC, peers: [await recommended(caller, by1)], backoff: 60 }]);
  await waitFor(() => !meshOf(tested, BLOCK_TOPIC).includes(caller.id), { what: 'its PRUNE' });
  prune(called, tested, [{ topicID: BLOCK_TOPIC, peers: [await recommended(called, by2)], backoff: 60 }]);
  await waitFor(() => isConnected(tested, by2), { what: 'the connection to a recommended peer' });
  assert.equal(isConnected(tested, by1), false);
});

test('a recommended peer that is not to be reached leaves the rest of the message whole', async (context) => {
  const tested = await createTestNode(context);
  const called = await createPeer({ context, topics });
  await tested.node.connect(called.address);
  await meshed(tested, called);
  const nobody = peerIdFromPrivateKey(await generateKeyPair('Ed25519'));
  const peers = [{ peerID: nobody.toMultihash().bytes }, { peerID: new Uint8Array([1, 2, 3]) }];
  prune(
    called,
    tested,
    topics.map((topicID) => ({ topicID, peers, backoff: 60 })),
  );
  await waitFor(() => topics.every((topic) => !meshOf(tested, topic).includes(called.id)), {
    what: 'the end of its place in both meshes',
  });
});

test('recommendations are bounded: those of a peer, and the connections that are tried', async () => {
  const tried: Uint8Array[] = [];
  const ends: (() => void)[] = [];
  const gossip = {
    getScore: (id: string) => ({ bad: -1, earned: 5 })[id] ?? 0,
    outbound: new Map([
      ['called', true],
      ['bad', true],
      ['earned', false],
    ]),
    pxConnect(peers: RPC.PeerInfo[]) {
      for (const { peerID } of peers) if (peerID !== undefined) tried.push(peerID);
      return new Promise<void>((_, reject) => ends.push(() => reject(new Error('not reached'))));
    },
  };
  connectBeside(gossip);
  const exchange = new PeerExchange(gossip);
  const some = (count: number, start = 0): RPC.PeerInfo[] =>
    Array.from({ length: count }, (_, n) => ({ peerID: Uint8Array.of(start + n) }));

  for (const from of ['bad', 'stranger']) assert.deepEqual(exchange.admit(from, some(3)), [], from);
  for (const from of ['called', 'earned']) {
    assert.deepEqual(exchange.admit(from, some(16)), some(16), from);
    let more = 0;
    for (let n = 0; n < 100; n++) more += exchange.admit(from, some(16)).length;
    assert.ok(more >= 112 && more < 120, `${from}: ${more} more`);
  }

  await gossip.pxConnect(some(20));
  await gossip.pxConnect(some(20));
  assert.deepEqual(
    tried.map(([id]) => id),
    Array.from({ length: 16 }, (_, n) => n),
    'no more than 16, each once',
  );
  ends[0]?.();
  await waitFor(async () => {
    await gossip.pxConnect(some(1, 100));
    return tried.length === 17;
  });
});
