/** What a node that only listens tells the network, and what it shows its own WebSocket clients. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MESSAGE_KINDS } from '../../src/shared/messages/index.js';
import { joinPeer, topicOf } from '../support/gossip.js';
import { chainOf, openFeed, serverSettings, startServer } from '../support/server.js';
import { waitFor } from '../support/wait.js';

/** The message in an envelope. */
function inner(data: Uint8Array): Record<string, unknown> {
  const envelope = JSON.parse(Buffer.from(data).toString()) as { data: string };
  return JSON.parse(Buffer.from(envelope.data, 'base64').toString()) as Record<string, unknown>;
}

for (const mode of ['full', 'listen_only', 'silent'] as const) {
  test(`${mode}: what is told, and that our own clients are shown everything all the same`, async (context) => {
    const server = await startServer(
      context,
      serverSettings(context, { listen_mode: mode, p2p_node_status_interval: 300, p2p_dht_mode: 'server' }),
    );
    const topics = MESSAGE_KINDS.map((kind) => topicOf(server, kind));
    const feed = await openFeed(context, server.server);
    // A silent node tells no address: it is dialled where it listens.
    const peer = await joinPeer(context, server, { topics });
    const { block, height } = await chainOf(server)
      .mine()
      .then(({ hash, height }) => ({ block: hash, height }));
    await chainOf(server).makeSubtree();
    for (const type of ['block', 'mining_on', 'subtree']) {
      await feed.next((frame) => frame.type === type && frame.peer_id === server.server.peerId, type);
    }
    assert.equal(feed.frames[0]?.type, 'node_status', 'the first frame is the node’s own status');
    const statuses = () =>
      feed.frames.filter((frame) => frame.type === 'node_status' && frame.best_block_hash === block);
    await waitFor(() => statuses().length >= 3, { what: 'statuses with the new best block' });
    const status = statuses()[0];
    assert.equal(status?.best_height, height);
    assert.equal(status?.listen_mode, mode);
    assert.equal(status?.base_url, mode === 'listen_only' ? undefined : 'http://127.0.0.1:8090/api/v1');

    const kindsHeard = () =>
      [...new Set(peer.heard.map(({ topic }) => topic.slice(topic.lastIndexOf('-') + 1)))].sort();
    const expected = {
      full: ['block', 'miningon', 'node_status', 'subtree'],
      listen_only: ['node_status'],
      silent: [],
    }[mode];
    await waitFor(() => kindsHeard().filter((kind) => kind !== 'bestblock').length >= expected.length, {
      what: 'what is told',
    });
    const heard = kindsHeard().filter((kind) => mode !== 'full' || kind !== 'bestblock');
    assert.deepEqual(heard, expected);
    for (const { topic, data } of peer.heard) {
      if (mode === 'listen_only' && topic.endsWith('-node_status')) assert.equal(inner(data).base_url, '');
    }
  });
}
