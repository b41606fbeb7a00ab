/** Peers that send what is as slow to read as can be, within every budget, beside one whose blocks must not wait for that. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { flood, percentile } from '../support/flood.js';
import { hashOf, joinPeer, numberOf } from '../support/gossip.js';
import { sampleData } from '../support/sample-messages.js';
import { openFeed, serverSettings, startServer } from '../support/server.js';
import { waitFor } from '../support/wait.js';

const TOPIC = 'teranode/bitcoin/1.0.0/regtest-block';
/** Some 29 of the 32 MB/s that a connection may send. */
const PER_SECOND = 900;
const SECONDS = 14;
const BLOCK_MS = 50;
/** Of the blocks beside the flood, those at first: what runs is compiled then. */
const COLD = 0.2;
/** What a block waits beside the flood, in what it waits without. */
const RATIO = 15;
/** Floods at the most: what else runs on the machine beside one and neither before nor after it need not run beside the next. */
const ROUNDS = 3;

test('messages that are costly to read, as many as a connection may send, hold up nobody’s blocks', async (context) => {
  const server = await startServer(context, serverSettings(context, { p2p_heartbeat_interval: 5_000 }));
  const feed = await openFeed(context, server.server);
  const honest = await joinPeer(context, server, { topics: [TOPIC], localAddress: '127.0.0.3' });
  const arrivedAt = new Map<number, number>();
  let looked = 0;
  const look = setInterval(() => {
    for (; looked < feed.frames.length; looked++) {
      const { type, hash, peer_id } = feed.frames[looked] as (typeof feed.frames)[number];
      if (type === 'block' && peer_id === honest.id) arrivedAt.set(numberOf(hash), performance.now());
    }
  }, 1);
  context.after(() => clearInterval(look));
  let sent = 0;

  /** Ms that each block took of those sent while `going` says so. */
  async function delaysWhile(going: () => boolean): Promise<number[]> {
    const sentAt = new Map<number, number>();
    while (going()) {
      const n = sent++;
      const { id } = honest;
      const block = sampleData(
        'block',
        { hash: hashOf(n), height: n, header: '', peerId: id },
        'message-bus',
        id,
      );
      const message = await honest.sign(TOPIC, block);
      sentAt.set(n, performance.now());
      honest.send(server.server.peerId, [message]);
      await delay(BLOCK_MS);
    }
    await waitFor(() => arrivedAt.size === sent, { what: 'every block', timeoutMs: 60_000 });
    return [...sentAt].map(([n, at]) => (arrivedAt.get(n) ?? Number.NaN) - at);
  }
  const median = (delays: readonly number[]) =>
    percentile(
      delays.toSorted((a, b) => a - b),
      0.5,
    );
  const quietDelays = () => {
    const until = performance.now() + 3_000;
    return delaysWhile(() => performance.now() < until);
  };

  await quietDelays();
  let ratio = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS && ratio >= RATIO; round++) {
    const before = median(await quietDelays());
    const { lines, process } = await flood(context, server, {
      topic: TOPIC,
      from: '127.0.0.2',
      count: PER_SECOND * SECONDS,
      perSecond: PER_SECOND,
      how: 'costly',
    });
    const delays = await delaysWhile(() => lines.length < 2 && process.exitCode === null);
    const after = median(await quietDelays());
    const flooded = median(delays.slice(Math.floor(delays.length * COLD)));
    ratio = flooded / Math.max(before, after);
    const shown = [before, flooded, after].map((ms) => ms.toFixed(1));
    context.diagnostic(
      `median ms to the feed: ${shown[0]} before, ${shown[1]} beside the flood, ${shown[2]} after`,
    );
  }
  assert.ok(ratio < RATIO, `${ratio.toFixed(1)} times as long`);
  await waitFor(async () => (await server.server.health(true)).status === 200, { what: 'liveness' });
});
