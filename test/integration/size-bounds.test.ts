/** Messages that are larger than some nodes take: what is made of them here, and to whom they go. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createStranger, joinPeer, outcomesOf, topicOf } from '../support/gossip.js';
import { kindNamed } from '../support/kinds.js';
import { sampleData } from '../support/sample-messages.js';
import { openFeed, recordsOf, serverSettings, startServer } from '../support/server.js';
import { waitFor } from '../support/wait.js';

/** Bytes of JSON that the Go nodes of 2026 take (`go`), and those before them (`older`). */
const BOUNDS = [
  { name: 'block', go: 32_768, older: 32_768 },
  { name: 'subtree', go: 8_192, older: 32_768 },
  { name: 'rejected_tx', go: 8_192, older: 16_384 },
  { name: 'node_status', go: 16_384, older: 65_536 },
];

for (const framing of ['direct', 'message-bus'] as const) {
  test(`${framing}: what the newest Go nodes do not take for its size is taken and not passed on`, async (context) => {
    const server = await startServer(
      context,
      serverSettings(context, {
        p2p_node_status_interval: 3_600_000,
        p2p_heartbeat_interval: 4_000,
        p2p_max_announcers_per_hash: 0,
      }),
    );
    const feed = await openFeed(context, server.server);
    const kinds = BOUNDS.map((bound) => {
      const kind = kindNamed(bound.name);
      if (kind === undefined) throw new Error(`no kind ${bound.name}`);
      return { ...bound, topic: topicOf(server, kind) };
    });
    const topics = kinds.map(({ topic }) => topic);
    const author = await joinPeer(context, server, { topics, localAddress: '127.0.0.2' });
    const neighbour = await joinPeer(context, server, { topics, localAddress: '127.0.0.3' });
    const subtrees = await recordsOf(context, server, 'kafka_subtreesConfig');
    const heard = (id: string) => neighbour.heard.some((message) => message.author === id);
    const shown = (type: string, id: string) =>
      feed.next((frame) => frame.type === type && frame.peer_id === id, `a ${type}`);

    for (const { name, topic, go, older } of kinds) {
      /** Somebody's message of so many bytes of JSON; its author. */
      const send = async (size: number): Promise<string> => {
        const { id, sign } = await createStranger();
        const json = Buffer.from(sampleData(name, {}, 'direct', id)).toString();
        const head = `${json.slice(0, -1)},"filling":"`;
        const filled = `${head}${'x'.repeat(size - head.length - 2)}"}`;
        assert.equal(Buffer.byteLength(filled), size);
        const data =
          framing === 'direct'
            ? filled
            : JSON.stringify({ name: 'one', data: Buffer.from(filled).toString('base64') });
        author.send(server.server.peerId, [await sign(topic, data)]);
        return id;
      };
      const fits = await send(go);
      await waitFor(() => heard(fits), { what: `a ${name} of ${go} bytes at the neighbour` });
      await shown(name, fits);
      const larger = go < older ? [await send(go + 1), await send(older)] : [];
      for (const id of larger) await shown(name, id);
      const refused = await send(older + 1);
      await waitFor(async () => (await outcomesOf(server)).get(`${name} oversized`) === 1, {
        what: `a ${name} of ${older + 1} bytes to be refused`,
      });
      // What is passed on comes in order: the larger ones would have come before this.
      const after = await send(go);
      await waitFor(() => heard(after), { what: `the next ${name} at the neighbour` });
      for (const id of [...larger, refused]) assert.equal(heard(id), false, `${name} of ${id}`);
    }
    await waitFor(() => subtrees.records.length === 4, { what: 'the records of the subtrees taken' });
    const peer = server.server.parts.node.peers().find(({ id }) => id === author.id);
    assert.ok((peer?.score ?? -1) >= 0, 'and who sent them is as welcome as before');
    assert.deepEqual(server.server.parts.scores.score(author.id), 0);
  });
}
