/** Order, from gossip through three checkers to Kafka and the WebSocket. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import {
  createStranger,
  joinPeer,
  numberedFrames,
  numberOf,
  outcomesOf,
  subtreeData,
  sumOf,
} from '../support/gossip.js';
import { openFeed, recordsOf, serverSettings, startServer } from '../support/server.js';
import { waitFor } from '../support/wait.js';

const TOPIC = 'teranode/bitcoin/1.0.0/regtest-subtree';
const ORIGINATORS = 4;
const EACH = 500;
/** Every tenth is announced twice. */
const REPEATS = (ORIGINATORS * EACH) / 10;

const ascending = (numbers: readonly number[]) =>
  numbers.every((n, at) => at === 0 || n > (numbers[at - 1] ?? n));

test('2,000 interleaved messages of four originators arrive whole, each originator’s in its order', async (context) => {
  const server = await startServer(
    context,
    serverSettings(context, { p2p_node_status_interval: 3_600_000, p2p_max_announcers_per_hash: 0 }),
  );
  const feed = await openFeed(context, server.server);
  const numbered = numberedFrames(context, server);
  const { records } = await recordsOf(context, server, 'kafka_subtreesConfig');
  const [near, far] = await Promise.all([
    joinPeer(context, server, { topics: [TOPIC], localAddress: '127.0.0.2' }),
    joinPeer(context, server, { topics: [TOPIC], localAddress: '127.0.0.3' }),
  ]);
  const originators = await Promise.all(Array.from({ length: ORIGINATORS }, () => createStranger()));
  const { peerId } = server.server;

  // Two neighbours, each with two originators' messages, in RPCs of changing size.
  let at = 0;
  for (let size = 1; at < EACH; size = (size % 23) + 1) {
    const numbers = Array.from({ length: Math.min(size, EACH - at) }, (_, index) => at + index);
    at += numbers.length;
    for (const [index, neighbour] of [near, far].entries()) {
      const pair = originators.slice(index * 2, index * 2 + 2);
      const messages = numbers.flatMap((n) =>
        pair.flatMap(({ id, sign }) => {
          const announce = () => sign(TOPIC, subtreeData(id, n));
          return n % 10 === 0 ? [announce(), announce()] : [announce()];
        }),
      );
      neighbour.send(peerId, await Promise.all(messages));
    }
    await turn();
  }

  const total = ORIGINATORS * EACH;
  const subtrees = () => feed.frames.filter(({ type }) => type === 'subtree');
  await waitFor(() => subtrees().length >= total, { what: `${total} frames`, timeoutMs: 30_000 });
  await waitFor(() => records.length >= total, { what: `${total} records`, timeoutMs: 30_000 });
  await waitFor(async () => (await outcomesOf(server)).get('subtree repeat') === REPEATS, {
    what: 'the repeats',
  });
  assert.equal(subtrees().length, total);
  assert.equal(records.length, total);
  assert.equal((await outcomesOf(server)).get('subtree ok'), total);

  for (const { id } of originators) {
    const seen = subtrees().filter(({ peer_id }) => peer_id === id);
    const numbers = seen.map(({ hash }) => numberOf(hash));
    assert.equal(numbers.length, EACH);
    assert.ok(ascending(numbers), 'an originator’s frames are in its order');
  }
  // Records carry no originator but in their value: the order of all of them is that of the frames.
  const keys = records.map(({ key }) => Buffer.from(key ?? []).toString());
  assert.deepEqual(
    keys,
    subtrees().map(({ hash }) => hash),
  );

  const frames = numbered.frames.filter(({ fields }) => fields.type === 'subtree');
  assert.deepEqual(
    frames.map(({ fields }) => `${fields.hash} ${fields.peer_id}`),
    subtrees().map(({ hash, peer_id }) => `${hash} ${peer_id}`),
    'clients see the frames in the order of their numbers',
  );
  const sequence = numbered.frames.map(({ seq }) => seq);
  assert.deepEqual(
    sequence,
    sequence.map((_, index) => (sequence[0] ?? 0) + index),
    'the numbers are without a gap',
  );
  assert.equal(numbered.gaps, 0);
  const scrape = await server.server.scrape();
  assert.equal(sumOf(scrape, 'teranode_p2p_messages_total', { kind: 'subtree', outcome: 'repeat' }), REPEATS);
});
