/** A peer that sends 5,000 pieces of junk a second, beside one whose blocks must arrive in time. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { flood, percentile } from '../support/flood.js';
import { heldBytes } from '../support/garbage.js';
import { hashOf, joinPeer, numberOf, sumOf } from '../support/gossip.js';
import { sampleData } from '../support/sample-messages.js';
import { openFeed, recordsOf, serverSettings, startServer } from '../support/server.js';
import { waitFor } from '../support/wait.js';

const TOPIC = 'teranode/bitcoin/1.0.0/regtest-block';
const PER_SECOND = 5_000;
const PIECES = 8 * PER_SECOND;
/** A block every 100 ms. */
const BLOCK_MS = 100;
const IN_TIME_MS = 2_000;
/**
 * On a machine too busy for this rate, the flood is the clock: no more of it is treated while a block waits than comes in that
 * time at the full rate.
 */
const IN_TIME_PIECES = (PER_SECOND * IN_TIME_MS) / 1000;
const MEMORY_BYTES = 64 * 1024 * 1024;
const FLOODER_ADDRESS = '127.0.0.2';

for (const how of ['signed', 'forged'] as const) {
  test(`while one peer sends ${PER_SECOND} ${how} pieces of junk a second, another’s blocks arrive in time`, async (context) => {
    // GossipSub forwards nothing whose verdict takes more than five heartbeats: 25 s, for a busy machine.
    const server = await startServer(
      context,
      serverSettings(context, { p2p_heartbeat_interval: 5_000, p2p_dead_peer_timeout: 3_000 }),
    );
    const feed = await openFeed(context, server.server);
    const { records } = await recordsOf(context, server, 'kafka_blocksConfig');
    const quiet = await joinPeer(context, server, { topics: [TOPIC], localAddress: '127.0.0.3' });
    const neighbour = await joinPeer(context, server, { topics: [TOPIC], localAddress: '127.0.0.4' });
    const sentAt: number[] = [];
    const arrivedAt = new Map<number, number>();
    /** Pieces of junk that the server had treated when a block was sent, and while it waited. */
    const treatedBefore: number[] = [];
    const treatedMeanwhile = new Map<number, number>();
    let taken = 0;
    const treated = () => {
      const flooder = server.server.parts.node
        .peers()
        .find(({ address }) => address.includes(FLOODER_ADDRESS));
      taken = Math.max(taken, flooder?.messagesReceived ?? 0);
      return taken - server.server.parts.node.pending.now;
    };
    const look = setInterval(() => {
      for (const { type, hash, peer_id } of feed.frames) {
        if (type !== 'block' || peer_id !== quiet.id) continue;
        const n = numberOf(hash);
        if (arrivedAt.has(n)) continue;
        arrivedAt.set(n, Date.now());
        treatedMeanwhile.set(n, treated() - (treatedBefore[n] ?? 0));
      }
    }, 5);
    context.after(() => clearInterval(look));
    const flooder = await flood(context, server, {
      topic: TOPIC,
      from: FLOODER_ADDRESS,
      count: PIECES,
      perSecond: PER_SECOND,
      how,
    });
    const heldBefore = heldBytes();
    let memory = 0;
    let measuredAt = performance.now();
    while (flooder.lines.length < 2 && flooder.process.exitCode === null) {
      const n = sentAt.length;
      const block = sampleData(
        'block',
        { hash: hashOf(n), height: n, header: '', peerId: quiet.id },
        'message-bus',
        quiet.id,
      );
      sentAt.push(Date.now());
      treatedBefore.push(treated());
      quiet.send(server.server.peerId, [await quiet.sign(TOPIC, block)]);
      await delay(BLOCK_MS);
      // A collection holds up everything: one a second.
      if (performance.now() - measuredAt < 1_000) continue;
      memory = Math.max(memory, heldBytes() - heldBefore);
      measuredAt = performance.now();
    }
    await waitFor(() => arrivedAt.size === sentAt.length, { what: 'every block', timeoutMs: 60_000 });
    clearInterval(look);
    const delayOf = (at: number, n: number) => (arrivedAt.get(n) ?? Number.NaN) - at;
    // The first seconds are those of compiling what runs: on two slow cores the flood gets ahead, and is caught up with.
    const warm = sentAt.length >> 1;
    const coldest = Math.max(...sentAt.slice(0, warm).map(delayOf));
    const delays = sentAt
      .map(delayOf)
      .slice(warm)
      .sort((a, b) => a - b);
    const pieces = Math.max(...[...treatedMeanwhile].filter(([n]) => n >= warm).map(([, count]) => count));
    const [median, p99, most] = [
      percentile(delays, 0.5),
      percentile(delays, 0.99),
      delays.at(-1) ?? Number.NaN,
    ];
    const megabytes = Math.round(memory / 1024 / 1024);
    const { sent = 0, ms = 1 } = flooder.lines[1] ?? {};
    context.diagnostic(
      `${sent} pieces at ${Math.round(sent / (ms / 1000))}/s; ${sentAt.length} blocks: most ${coldest} ms at first, then median ${median} ms, p99 ${p99} ms, most ${most} ms, or ${pieces} pieces of ${taken} taken; ${megabytes} MB more, ${server.server.parts.node.pending.peak} pending at the most`,
    );
    assert.ok(sent >= PIECES / 2, `${sent} of ${PIECES} sent`);
    assert.ok(most < IN_TIME_MS || pieces < IN_TIME_PIECES, `a block took ${most} ms, or ${pieces} pieces`);
    assert.ok(memory < MEMORY_BYTES, `${megabytes} MB more`);
    assert.ok(server.server.parts.node.pending.peak < 4_000);

    await waitFor(() => records.length === sentAt.length, { what: 'a record of each block' });
    await waitFor(() => neighbour.heard.length >= sentAt.length, { what: 'each block at the neighbour' });
    assert.ok(
      neighbour.heard.every(({ author }) => author === quiet.id),
      'no junk is passed on',
    );
    assert.ok(feed.frames.every(({ type, peer_id }) => type !== 'block' || peer_id === quiet.id));
    const scrape = await server.server.scrape();
    const refused =
      how === 'signed'
        ? ['malformed', 'unknown_framing', 'oversized'].reduce(
            (sum, outcome) => sum + sumOf(scrape, 'teranode_p2p_messages_total', { kind: 'block', outcome }),
            0,
          )
        : sumOf(scrape, 'teranode_p2p_node_signatures_total', { result: 'forged' });
    assert.ok(refused > 0, 'the junk is counted');
    const score = server.server.parts.node.peers().find(({ id }) => id === quiet.id)?.score ?? -1;
    assert.ok(score >= 0, `the quiet peer's score is ${score}`);
    assert.equal(sumOf(scrape, 'teranode_p2p_node_dead_connections_total'), 0, 'who is busy is not dead');
    assert.equal((await server.server.health(true)).status, 200);
  });
}
