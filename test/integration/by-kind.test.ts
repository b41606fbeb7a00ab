/** What docs/guarantees.md promises by kind, on one server, with each message told twice. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KafkaBlockTopicMessage, KafkaSubtreeTopicMessage } from '../../src/shared/generated/kafkamessage.js';
import { MESSAGE_KINDS } from '../../src/shared/messages/index.js';
import { joinPeer, outcomesOf, topicOf } from '../support/gossip.js';
import { DATA_HUB, mineHeader, sampleData, sampleFields } from '../support/sample-messages.js';
import { openFeed, recordsOf, serverSettings, startServer } from '../support/server.js';
import { waitFor } from '../support/wait.js';

/** Frames of a kind's message told twice; those without one are shown to nobody. */
const FRAMES: Readonly<Record<string, number>> = {
  block: 1,
  subtree: 1,
  mining_on: 1,
  rejected_tx: 1,
  node_status: 2,
  bestblock: 0,
  handshake: 0,
};

test('each kind goes where it is to go, as often as is promised, and nowhere else', async (context) => {
  const server = await startServer(context, serverSettings(context));
  const feed = await openFeed(context, server.server);
  const blocks = await recordsOf(context, server, 'kafka_blocksConfig');
  const subtrees = await recordsOf(context, server, 'kafka_subtreesConfig');
  const topics = MESSAGE_KINDS.map((kind) => topicOf(server, kind));
  const peer = await joinPeer(context, server, { topics });
  assert.deepEqual(Object.keys(FRAMES).sort(), MESSAGE_KINDS.map(({ name }) => name).sort());

  const mined = mineHeader();
  const dataOf = (name: string): Uint8Array | string => {
    if (name === 'handshake') return '{"type":"version"}';
    const changes = name === 'block' ? { ...mined, height: 9 } : {};
    return sampleData(name, changes, 'message-bus', peer.id);
  };
  for (const { name, ...kind } of MESSAGE_KINDS) {
    for (let time = 0; time < 2; time++) await peer.publish(topicOf(server, kind), dataOf(name));
  }

  for (const { name, repeats } of MESSAGE_KINDS) {
    await waitFor(
      async () => {
        const outcomes = await outcomesOf(server);
        const [ok, repeat] = [outcomes.get(`${name} ok`) ?? 0, outcomes.get(`${name} repeat`) ?? 0];
        return repeats ? ok === 1 && repeat === 1 : ok >= 2;
      },
      { what: `both of ${name}` },
    );
  }
  const framesOf = (type: string) =>
    feed.frames.filter((frame) => frame.type === type && frame.peer_id === peer.id);
  await waitFor(() => framesOf('node_status').length === 2, { what: 'both statuses' });
  for (const [name, count] of Object.entries(FRAMES)) assert.equal(framesOf(name).length, count, name);
  assert.deepEqual(
    [framesOf('block')[0]?.hash, framesOf('subtree')[0]?.hash],
    [mined.hash, sampleFields('subtree').hash],
  );
  const kinds = new Set(feed.frames.map(({ type }) => type).filter((type) => type !== 'PING'));
  const shown = Object.keys(FRAMES).filter((name) => FRAMES[name] !== 0);
  assert.deepEqual(
    [...kinds].filter((type) => !shown.includes(String(type))),
    [],
  );

  await waitFor(() => blocks.records.length > 0 && subtrees.records.length > 0, { what: 'the records' });
  assert.deepEqual(
    blocks.records.map(({ value }) => KafkaBlockTopicMessage.decode(value)),
    [{ hash: mined.hash, URL: DATA_HUB, peer_id: peer.id }],
  );
  assert.deepEqual(
    subtrees.records.map(({ value }) => KafkaSubtreeTopicMessage.decode(value)),
    [{ hash: sampleFields('subtree').hash, URL: DATA_HUB, peer_id: peer.id }],
  );

  const known = server.server.parts.registry.known.get(peer.id);
  assert.deepEqual([known?.name, known?.storage], ['one', 'full']);
  // Between kinds there is no order: whichever came last told the height.
  assert.ok(known?.height === 7 || known?.height === 9, String(known?.height));
});
