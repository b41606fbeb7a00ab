import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { test } from 'node:test';
import { BLOCK, BLOCK_TOPIC, createTestNode, SHARED_KEY, type TestNode } from '../../../support/node.js';
import { createPeer, type Peer } from '../../../support/peer.js';
import { waitFor } from '../../../support/wait.js';

/** As files of 2025 ship them, which nodes of the current generation read and do not follow. */
const LEFTOVERS = { p2p_dht_use_private: true, p2p_shared_key: SHARED_KEY, p2p_dht_protocol_id: '/teranode' };
const METRIC = 'teranode_p2p_node_key_mismatches_total';

const warnings = ({ lines }: TestNode) =>
  lines.filter(({ level, msg }) => level === 40 && String(msg).includes('pre-shared key'));

/** The DHT protocols that the one peer of `peer` tells. */
const dhtProtocols = ({ libp2p }: Peer) =>
  waitFor(
    async () => {
      const told = (await libp2p.peerStore.all()).flatMap(({ protocols }) => protocols);
      const found = told.filter((protocol) => protocol.includes('/kad/'));
      return found.length > 0 ? found : undefined;
    },
    { what: 'the DHT protocol' },
  );

test('the private network of files of 2025 is not joined: the node hears the public one and its DHT is theirs', async (context) => {
  const tested = await createTestNode(context, {
    settings: { ...LEFTOVERS, p2p_dht_mode: 'server' },
    verdict: 'accept',
  });
  const peer = await createPeer({ context, topics: [BLOCK_TOPIC] });
  await peer.dial(tested.address);
  await peer.sees(tested.node.peerId, BLOCK_TOPIC);
  await peer.publish(BLOCK_TOPIC, 'in the open');
  await waitFor(() => tested.heard.some(({ data }) => Buffer.from(data).toString() === 'in the open'));
  await waitFor(async () => (await tested.node.publish(BLOCK, Buffer.from('and back'))) === 1);
  assert.deepEqual(await dhtProtocols(peer), ['/ipfs/kad/1.0.0']);
  assert.equal(await tested.metric(METRIC), 0);
});

test('p2p_private_network joins one in the current generation, by its key and with its DHT prefix', async (context) => {
  const tested = await createTestNode(context, {
    settings: { ...LEFTOVERS, p2p_private_network: true, p2p_dht_mode: 'server' },
  });
  const member = await createPeer({ context, sharedKey: SHARED_KEY });
  await member.dial(tested.address);
  assert.deepEqual(await dhtProtocols(member), ['/teranode/kad/1.0.0']);
});

test('the first generation without its private network has the public DHT, as its nodes had', async (context) => {
  const tested = await createTestNode(context, {
    generation: 'first',
    settings: { ...LEFTOVERS, p2p_dht_use_private: false },
  });
  const peer = await createPeer({ context });
  await peer.dial(tested.address);
  assert.deepEqual(await dhtProtocols(peer), ['/ipfs/kad/1.0.0']);
});

test('a peer with a pre-shared key is told from others when this node has none, called and calling', async (context) => {
  const tested = await createTestNode(context);
  const member = await createPeer({ context, sharedKey: SHARED_KEY });
  await assert.rejects(
    tested.node.connect(member.address),
    /speaks as behind a pre-shared key.*p2p_private_network/,
  );
  assert.equal(await tested.metric(METRIC, { key: 'theirs' }), 1);
  const dialled = assert.rejects(member.dial(tested.address));
  await waitFor(async () => (await tested.metric(METRIC, { key: 'theirs' })) === 2, { what: 'the count' });
  const [warning, ...others] = warnings(tested);
  assert.match(String(warning?.hint), /speaks as behind a pre-shared key/);
  assert.deepEqual(others, [], 'once a host');
  await dialled;
});

test('a peer without a pre-shared key is told from others when this node has one', async (context) => {
  const tested = await createTestNode(context, { generation: 'first' });
  const stranger = await createPeer({ context });
  await assert.rejects(stranger.dial(tested.address));
  await waitFor(async () => (await tested.metric(METRIC, { key: 'ours' })) === 1, { what: 'the count' });
  const [warning] = warnings(tested);
  assert.match(String(warning?.hint), /speaks without a pre-shared key, and this node has one/);
  assert.equal(warning?.direction, 'inbound');
});

/** Writes each piece by itself to the node's port, as far as it listens, and then ends. */
async function write({ node }: TestNode, pieces: readonly Uint8Array[]): Promise<void> {
  const socket = connect({ host: '127.0.0.1', port: node.port ?? 0, noDelay: true });
  // It is cut off for what it says.
  socket.on('error', () => {});
  const closed = new Promise((resolve) => socket.once('close', resolve));
  await new Promise((resolve) => socket.once('connect', resolve));
  for (const piece of pieces) await new Promise((resolve) => socket.write(piece, resolve));
  socket.end();
  socket.resume();
  await closed;
}

test('first bytes that come one by one, too few or from something else are read with care, and blamed on no key', async (context) => {
  const tested = await createTestNode(context);
  const nonce = Uint8Array.from({ length: 24 }, (_, index) => 0x80 + index);
  for (const said of [
    [nonce.subarray(0, 5)],
    [...nonce.subarray(0, 19)].map((byte) => Uint8Array.of(byte)),
    [Buffer.from('GET / HTTP/1.1\r\nHost: example.org\r\n\r\n')],
    [Buffer.concat([Buffer.from('16030100f0010000ec0303', 'hex'), randomBytes(200)])],
    [Buffer.from('e3e1f3e876657273696f6e000000000066000000aabbccdd', 'hex')],
    [Buffer.from('\x13/multi'), Buffer.from('stream/1.0.0\n')],
  ]) {
    await write(tested, said);
  }
  assert.equal(await tested.metric(METRIC), 0);
  await write(tested, [nonce]);
  await waitFor(async () => (await tested.metric(METRIC, { key: 'theirs' })) === 1, { what: 'the count' });
  const peer = await createPeer({ context });
  await peer.dial(tested.address);
});
