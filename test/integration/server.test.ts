/** The whole line: gossip in, Kafka records, WebSocket frames and gRPC answers out, on real parts. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import protobuf from 'protobufjs';
import { PeerServiceClient } from '../../src/shared/grpc/peer-service-client.js';
import { chainOf, openFeed, recordsOf, serverSettings, startServer } from '../support/server.js';
import { waitFor } from '../support/wait.js';

for (const generation of ['current', 'first'] as const) {
  test(`${generation} generation: what one server mines reaches another's feed, records and peers`, async (context) => {
    const mining = { clientName: 'miner', p2p_embedded_subtree_interval: 300 };
    const miner = await startServer(context, serverSettings(context, mining, generation));
    const listening = { clientName: 'listener', p2p_static_peers: [miner.address] };
    const listener = await startServer(context, serverSettings(context, listening, generation));
    const feed = await openFeed(context, listener.server);
    const ownFeed = await openFeed(context, miner.server);
    const blocks = await recordsOf(context, listener, 'kafka_blocksConfig');
    const minerBlocks = await recordsOf(context, miner, 'kafka_blocksConfig');
    const from = { miner: miner.server.peerId, listener: listener.server.peerId };

    await feed.next((frame) => frame.type === 'subtree' && frame.peer_id === from.miner, 'a subtree');
    const mined = await chainOf(miner).mine();
    const frame = await feed.next((each) => each.type === 'block' && each.hash === mined.hash, 'the block');
    assert.equal(frame.peer_id, from.miner);
    assert.equal(frame.height, mined.height);
    assert.equal(frame.base_url, 'http://127.0.0.1:8090/api/v1');
    await feed.next((each) => each.type === 'mining_on' && each.hash === mined.hash, 'mining on it');
    assert.deepEqual(
      [feed.frames[0]?.type, feed.frames[0]?.peer_id],
      ['node_status', from.listener],
      'the first frame is the node’s own status',
    );
    await ownFeed.next(
      (each) => each.type === 'block' && each.hash === mined.hash,
      'the block in the miner’s own feed',
    );

    const record = await waitFor(() => blocks.records[0], { what: 'a Kafka record' });
    if (generation === 'current') {
      const contract = await protobuf.load('proto/kafkamessage.proto');
      const type = contract.lookupType('kafkamessage.KafkaBlockTopicMessage');
      assert.deepEqual(type.toObject(type.decode(record.value)), {
        hash: mined.hash,
        URL: 'http://127.0.0.1:8090/api/v1',
        peerId: from.miner,
      });
      assert.equal(Buffer.from(record.key ?? []).toString(), mined.hash);
    } else {
      assert.equal(Buffer.from(record.value.subarray(0, 32)).reverse().toString('hex'), mined.hash);
      assert.equal(Buffer.from(record.value.subarray(32)).toString(), 'http://127.0.0.1:8090/api/v1');
      assert.equal(record.key, undefined);
    }
    assert.equal(minerBlocks.records.length, 0, 'our own blocks are no records');

    const client = new PeerServiceClient(`127.0.0.1:${listener.server.ports.grpc}`);
    context.after(() => client.close());
    const peers = await client.getPeers();
    assert.deepEqual(
      peers.map(({ id, currentHeight }) => ({ id, currentHeight })),
      [{ id: from.miner, currentHeight: mined.height }],
    );
  });
}
