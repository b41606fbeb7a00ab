/** A peer that sends 5,000 pieces of junk a second, beside one whose blocks must arrive in time. */

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { hashOf, joinPeer, numberOf, sumOf } from '../support/gossip.js';
import { sampleData } from '../support/sample-messages.js';
import { openFeed, recordsOf, serverSettings, startServer, type TestServer } from '../support/server.js';
import { waitFor } from '../support/wait.js';

const TOPIC = 'bitcoin/regtest-block';
const PER_SECOND = 5_000;
/** A block every 100 ms. */
const BLOCK_MS = 100;
const IN_TIME_MS = 2_000;
const MEMORY_BYTES = 256 * 1024 * 1024;
const FLOODER = fileURLToPath(new URL('programs/flooder.js', import.meta.url));

interface Flood {
  /** Lines it has printed. */
  readonly lines: Record<string, number>[];
  readonly process: ChildProcess;
}

/** Starts a flooder and resolves when it begins. */
async function flood(
  context: Pick<TestContext, 'after'>,
  { server, address }: TestServer,
  { from, seconds, how }: { from: string; seconds: number; how: 'signed' | 'forged' },
): Promise<Flood> {
  const rest = [address, server.peerId, TOPIC, from, String(PER_SECOND), String(seconds), how];
  const child = spawn(process.execPath, [FLOODER, ...rest], { stdio: ['ignore', 'pipe', 'inherit'] });
  context.after(() => {
    child.kill('SIGKILL');
  });
  const lines: Record<string, number>[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(JSON.parse(line)));
  await waitFor(() => lines.length > 0, { what: 'the flood to begin', timeoutMs: 60_000 });
  return { lines, process: child };
}

const percentile = (sorted: readonly number[], share: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;

for (const { how, seconds } of [
  { how: 'signed', seconds: 5 },
  { how: 'forged', seconds: 3 },
] as const) {
  test(`while one peer sends ${PER_SECOND} ${how} pieces of junk a second, another’s blocks arrive in time`, async (context) => {
    // At the product's own pace: GossipSub forwards nothing whose verdict takes more than five heartbeats.
    const server = await startServer(context, serverSettings(context, { p2p_heartbeat_interval: 1_000 }));
    const feed = await openFeed(context, server.server);
    const { records } = await recordsOf(context, server, 'kafka_blocksConfig');
    const quiet = await joinPeer(context, server, { topics: [TOPIC], localAddress: '127.0.0.3' });
    const neighbour = await joinPeer(context, server, { topics: [TOPIC], localAddress: '127.0.0.4' });
    const memoryBefore = process.memoryUsage().rss;
    const flooder = await flood(context, server, { from: '127.0.0.2', seconds, how });

    const sentAt: number[] = [];
    const arrivedAt = new Map<number, number>();
    const look = setInterval(() => {
      for (const { type, hash, peer_id } of feed.frames) {
        if (type !== 'block' || peer_id !== quiet.id) continue;
        const n = numberOf(hash);
        if (!arrivedAt.has(n)) arrivedAt.set(n, Date.now());
      }
    }, 5);
    context.after(() => clearInterval(look));
    let memory = 0;
    let pending = 0;
    while (flooder.lines.length < 2 && flooder.process.exitCode === null) {
      const n = sentAt.length;
      const block = sampleData(
        'block',
        { hash: hashOf(n), height: n, header: '', peerId: quiet.id },
        'message-bus',
        quiet.id,
      );
      sentAt.push(Date.now());
      quiet.send(server.server.peerId, [await quiet.sign(TOPIC, block)]);
      memory = Math.max(memory, process.memoryUsage().rss - memoryBefore);
      pending = Math.max(pending, server.server.parts.node.pending.now);
      await delay(BLOCK_MS);
    }
    await waitFor(() => arrivedAt.size === sentAt.length, { what: 'every block', timeoutMs: IN_TIME_MS * 2 });
    clearInterval(look);
    const delays = sentAt.map((at, n) => (arrivedAt.get(n) ?? Number.NaN) - at).sort((a, b) => a - b);
    const [median, p99, most] = [
      percentile(delays, 0.5),
      percentile(delays, 0.99),
      delays.at(-1) ?? Number.NaN,
    ];
    const megabytes = Math.round(memory / 1024 / 1024);
    const { sent = 0, ms = 1 } = flooder.lines[1] ?? {};
    context.diagnostic(
      `${sent} pieces at ${Math.round(sent / (ms / 1000))}/s; ${delays.length} blocks: median ${median} ms, p99 ${p99} ms, most ${most} ms; ${megabytes} MB more, ${pending} pending at the most`,
    );
    assert.ok(sent >= (PER_SECOND * seconds) / 2, `${sent} sent`);
    assert.ok(most < IN_TIME_MS, `a block took ${most} ms`);
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
    assert.equal((await server.server.health(true)).status, 200);
  });
}
