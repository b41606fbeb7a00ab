/** The best-block request and its answer on the direct stream, against a peer that is none of ours. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { peerIdFromString } from '@libp2p/peer-id';
import { PeerServiceClient } from '../../src/shared/grpc/peer-service-client.js';
import { joinPeer, sumOf, topicOf } from '../support/gossip.js';
import { kindNamed } from '../support/kinds.js';
import type { Peer } from '../support/peer.js';
import { chainOf, serverSettings, startServer, type TestServer } from '../support/server.js';
import { waitFor } from '../support/wait.js';

const PROTOCOL = 'teranode/bitcoin/1.0.0';
const BESTBLOCK = kindNamed('bestblock');
if (BESTBLOCK === undefined) throw new Error('no best-block requests');

/** What comes on the direct stream of `peer`, each whole. */
async function answersTo(peer: Peer): Promise<string[]> {
  const answers: string[] = [];
  await peer.libp2p.handle(PROTOCOL, async (stream) => {
    const pieces: Uint8Array[] = [];
    for await (const piece of stream) pieces.push(piece.subarray());
    answers.push(Buffer.concat(pieces).toString());
    await stream.close();
  });
  return answers;
}

async function joined(
  context: TestContext,
  generation: 'first' | 'current',
): Promise<[TestServer, Peer, string]> {
  const server = await startServer(context, serverSettings(context, { clientName: 'asked' }, generation));
  const topic = topicOf(server, BESTBLOCK as NonNullable<typeof BESTBLOCK>);
  const { p2p_shared_key: sharedKey } = server.settings;
  const peer = await joinPeer(context, server, { topics: [topic], ...(sharedKey ? { sharedKey } : {}) });
  return [server, peer, topic];
}

test('nobody is asked for a best block who does not listen to that; who comes and does is', async (context) => {
  const server = await startServer(context, serverSettings(context, { p2p_node_status_interval: 250 }));
  const [request, status] = ['bestblock', 'node_status'].map((name) => topicOf(server, kindNamed(name)));
  const asked = async (labels: Readonly<Record<string, string>> = {}) =>
    sumOf(await server.server.scrape(), 'teranode_p2p_own_messages_total', { kind: 'bestblock', ...labels });
  // As a node of today's network: it has all topics but this one.
  const today = await joinPeer(context, server, { topics: [status ?? ''], localAddress: '127.0.0.2' });
  const told = () => today.heard.filter(({ author }) => author === server.server.peerId).length;
  await waitFor(() => told() >= 12, { what: 'three seconds of statuses' });
  assert.equal(await asked(), 0);
  const older = await joinPeer(context, server, { topics: [request ?? ''], localAddress: '127.0.0.3' });
  await waitFor(() => older.heard.some(({ author }) => author === server.server.peerId), {
    what: 'the request',
  });
  // Before there is a stream to who listens, a request reaches nobody, and another follows.
  assert.equal(await waitFor(() => asked({ outcome: 'published' }), { what: 'the count' }), 1);
});

for (const generation of ['first', 'current'] as const) {
  test(`${generation} generation: who asks is told our best block on the direct stream`, async (context) => {
    const [server, peer, topic] = await joined(context, generation);
    const answers = await answersTo(peer);
    const mined = await chainOf(server).mine();
    const request =
      generation === 'first'
        ? JSON.stringify({ PeerId: peer.id })
        : JSON.stringify({
            name: 'asker',
            data: Buffer.from(JSON.stringify({ PeerID: peer.id })).toString('base64'),
          });
    await peer.publish(topic, request);
    const answer = await waitFor(() => answers[0], { what: 'the answer' });
    const [url, id] = generation === 'first' ? ['DataHubUrl', 'PeerId'] : ['DataHubURL', 'PeerID'];
    assert.deepEqual(JSON.parse(answer), {
      Hash: mined.hash,
      Height: mined.height,
      [url]: 'http://127.0.0.1:8090/api/v1',
      [id]: server.server.peerId,
      ClientName: 'asked',
      Header: Buffer.from(mined.header).toString('hex'),
      Coinbase: '',
    });
  });

  test(`${generation} generation: our request goes out at start, and its answer sets the peer's height`, async (context) => {
    const [server, peer] = await joined(context, generation);
    await waitFor(() => peer.heard.find(({ author }) => author === server.server.peerId), {
      what: 'the request',
    });
    const stream = await peer.libp2p.dialProtocol(peerIdFromString(server.server.peerId), PROTOCOL);
    // As a Go node writes it: without its peer ID.
    const block = { Hash: 'ab'.repeat(32), Height: 777, DataHubUrl: 'http://127.0.0.1:1/api', PeerId: '' };
    stream.send(Buffer.from(JSON.stringify(block)));
    await stream.close();
    const client = new PeerServiceClient(`127.0.0.1:${server.server.ports.grpc}`);
    context.after(() => client.close());
    await waitFor(
      async () =>
        (await client.getPeers()).some(({ id, currentHeight }) => id === peer.id && currentHeight === 777),
      { what: 'the height' },
    );
  });
}
