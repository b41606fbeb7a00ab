import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import {
  listen,
  metricSum,
  metricsOf,
  rawUpgrade,
  readFrames,
  refusal,
  type Served,
  serveNotifications,
  TRANSPORTS,
  upgradeStatus,
} from '../support/notifications.js';
import { waitFor } from '../support/wait.js';

const contiguous = (heights: number[]) =>
  heights.every((height, index) => index === 0 || height === Number(heights[index - 1]) + 1);

/** Blocks that pass while a slow client does not read. */
const MISSED = 2000;

/** Heights of the frames after the greeting in what a raw socket has read. */
const blockHeights = (bytes: Buffer) =>
  readFrames(bytes)
    .texts.slice(1)
    .map((text) => Number(JSON.parse(text).height));

/** A client that has its greeting and is paused. */
async function pausedClient(t: TestContext, { servers }: Pick<Served, 'servers'>) {
  const socket = await rawUpgrade(t, servers.port);
  const chunks: Buffer[] = [];
  const client = { socket, received: 0, bytes: () => Buffer.concat(chunks) };
  socket.on('data', (chunk) => {
    chunks.push(chunk);
    client.received += chunk.length;
  });
  await waitFor(() => readFrames(client.bytes()).texts.length === 1, { what: 'the greeting' });
  socket.pause();
  return client;
}

/** The same when every process has sent {@link MISSED} blocks meanwhile. */
async function missBlocks(
  t: TestContext,
  { feed, servers }: Pick<Served, 'feed' | 'servers'>,
  padding: number,
) {
  const client = await pausedClient(t, { servers });
  for (let sent = 0; sent < MISSED; sent += 50) {
    feed.blocks(50, 'x'.repeat(padding));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await waitFor(
    async () => (await metricSum(servers, 'teranode_p2p_websocket_frames_total')) >= servers.serving * MISSED,
    {
      what: 'all frames to be published by every process',
    },
  );
  return client;
}

/** Of each process, frames and how many of them were for a client: of the latter no fewer than at the time of the former. */
async function sentBy({
  servers,
}: Pick<Served, 'servers'>): Promise<{ frames: number; deliveries: number }[]> {
  const frames = await metricsOf(servers, 'teranode_p2p_websocket_frames_total');
  const deliveries = await metricsOf(servers, 'teranode_p2p_websocket_deliveries_total');
  return frames.map((count, index) => ({ frames: count, deliveries: deliveries[index] ?? Number.NaN }));
}

for (const transport of TRANSPORTS)
  describe(`notification server on ${transport}`, () => {
    const serve: typeof serveNotifications = (t, changes, options) =>
      serveNotifications(t, { p2p_websocket_transport: transport, ...changes }, options);

    it('greets with the own status, then sends every frame in order', async (t) => {
      const { feed, url } = await serve(t);
      const listeners = await Promise.all(Array.from({ length: 6 }, () => listen(t, url)));
      await waitFor(() => listeners.every((each) => each.frames.length === 1), { what: 'greetings' });
      const last = feed.blocks(300);
      await waitFor(() => listeners.every((each) => each.heights().at(-1) === last), {
        what: 'the last block',
      });
      for (const each of listeners) {
        assert.equal(each.frames[0]?.type, 'node_status');
        assert.equal(each.heights().length, 300);
        assert.ok(contiguous(each.heights()));
      }
    });

    it('lets a client wait for the first own status without blocking it or others', async (t) => {
      const { feed, url, http } = await serve(t, {}, { greeted: false });
      const early = await listen(t, url, { greeted: false });
      feed.blocks(5);
      assert.equal((await fetch(`${http}/health`)).status, 200);
      feed.status({ peer_id: 'late' });
      const last = feed.blocks(3);
      await waitFor(() => early.heights().at(-1) === last, { what: 'blocks after the greeting' });
      assert.equal(early.frames[0]?.type, 'node_status');
      assert.equal(early.frames[0]?.peer_id, 'late');
      assert.equal(early.heights().length, 3);
    });

    it('sends who was greeted before the publisher was reached all that came meanwhile', async (t) => {
      const { feed, servers, url } = await serve(t, { p2p_notification_servers: 1 });
      const before = await listen(t, url);
      feed.blocks(3);
      await feed.stop();
      process.kill(servers.pids[0] ?? 0, 'SIGKILL');
      await waitFor(() => before.code !== undefined, { what: 'the death of the process' });
      const early = await waitFor(() => listen(t, url).catch(() => undefined), { what: 'another process' });
      const missed = feed.blocks(3) - 2;
      await feed.start();
      const last = feed.blocks(2);
      await waitFor(() => early.heights().at(-1) === last, { what: 'the last block' });
      assert.deepEqual(early.heights(), [missed, missed + 1, missed + 2, last - 1, last]);
      assert.equal(early.code, undefined);
    });

    it('evicts a client that never reads with a gap-free prefix, while others get everything in time', async (t) => {
      const { feed, url, servers } = await serve(t, { p2p_websocket_client_buffer: 65_536 });
      const brisk = await Promise.all(Array.from({ length: 4 }, () => listen(t, url)));
      const stalled = await rawUpgrade(t, servers.port);
      stalled.pause();
      await waitFor(() => servers.connections === 5, { what: 'all to be counted' });
      let last = 0;
      const rounds: { readonly tookMs: number; readonly evicted: boolean }[] = [];
      const padding = 'x'.repeat(2000);
      for (let round = 0; round < 50; round++) {
        const before = performance.now();
        last = feed.blocks(100, padding);
        await waitFor(() => brisk.every((each) => each.heights().at(-1) === last), {
          what: 'blocks',
          everyMs: 1,
        });
        rounds.push({ tookMs: performance.now() - before, evicted: servers.connections < 5 });
      }
      for (const each of brisk) {
        assert.equal(each.heights().length, 5000);
        assert.ok(contiguous(each.heights()));
      }
      // Who is evicted is given five seconds to drain. Others that wait for it would wait as long, and until it is gone: main may hear of that a round later.
      const end = rounds.findIndex(({ evicted }) => evicted);
      const near = end === -1 ? rounds : rounds.slice(Math.max(0, end - 1), end + 1);
      for (const { tookMs } of near) assert.ok(tookMs < 4_000, `others waited ${tookMs} ms`);
      await waitFor(() => servers.connections === 4, { what: 'the eviction' });
      const chunks: Buffer[] = [];
      stalled.on('data', (chunk) => chunks.push(chunk));
      stalled.resume();
      await waitFor(() => stalled.closed || stalled.destroyed, { what: 'the end of the stalled socket' });
      const heights = blockHeights(Buffer.concat(chunks));
      assert.ok(heights.length > 10 && heights.length < 5000, `${heights.length} frames`);
      assert.ok(contiguous(heights), 'a prefix without gaps');
    });

    it('keeps everything for a client that pauses within its bound', async (t) => {
      const { feed, servers } = await serve(t, { p2p_websocket_client_buffer: 67_108_864 });
      // More than the system's own buffers take.
      const padding = 10_000;
      const lazy = await missBlocks(t, { feed, servers }, padding);
      lazy.socket.resume();
      await waitFor(() => lazy.received > MISSED * padding, { what: 'all that waited' });
      const heights = blockHeights(lazy.bytes());
      assert.ok(contiguous(heights));
      assert.equal(servers.connections, 1);
    });

    it('closes a client that drains in time with 1013', async (t) => {
      const { feed, servers } = await serve(t, { p2p_websocket_client_buffer: 65_536 });
      const lazy = await pausedClient(t, { servers });
      const before = await sentBy({ servers });
      let last = 0;
      await waitFor(
        async () => {
          last = feed.blocks(50, 'x'.repeat(4000));
          return (await sentBy({ servers })).some(({ frames, deliveries }, index) => {
            const earlier = before[index];
            return (
              earlier &&
              deliveries > earlier.deliveries &&
              frames - deliveries > earlier.frames - earlier.deliveries
            );
          });
        },
        { what: 'frames that are not for it any more', everyMs: 1 },
      );
      // From now on it has five seconds.
      lazy.socket.resume();
      await waitFor(() => readFrames(lazy.bytes()).close === 1013, { what: 'close 1013' });
      const heights = blockHeights(lazy.bytes());
      assert.ok(contiguous(heights));
      assert.ok(heights.length < last);
    });

    it('ends clients that send too much at once, too often, or garbage, and serves on', async (t) => {
      const { feed, url, servers } = await serve(t);
      const quiet = await listen(t, url);
      const large = await listen(t, url);
      large.socket.send('x'.repeat(1_048_576));
      const fine = await listen(t, url);
      fine.socket.send('x'.repeat(1024));
      const busy = await listen(t, url);
      for (let count = 0; count <= 100; count++) busy.socket.send('hello');
      const pinging = await listen(t, url);
      for (let count = 0; count <= 600; count++) pinging.socket.ping();
      const ponging = await listen(t, url);
      for (let count = 0; count <= 600; count++) ponging.socket.pong();
      const heartbeat = await listen(t, url);
      for (let count = 0; count < 300; count++) heartbeat.socket.ping();
      for (let count = 0; count < 300; count++) heartbeat.socket.pong();
      for (let count = 0; count < 100; count++) heartbeat.socket.send('hello');
      const garbage = await rawUpgrade(t, servers.port);
      await new Promise((resolve) => garbage.once('data', resolve));
      garbage.write(Buffer.alloc(5000, 0xff));
      garbage.resume();
      const often = [busy, pinging, ponging];
      await waitFor(() => [large, ...often].every(({ code }) => code !== undefined) && garbage.closed, {
        what: 'closes',
      });
      // What such a client was still sending can reset the connection before it has read the close frame.
      for (const { code } of often) assert.ok([1006, 1008].includes(Number(code)));
      await waitFor(async () => (await metricSum(servers, 'teranode_p2p_websocket_evictions_total')) === 3, {
        what: 'every eviction to be counted',
      });
      const last = feed.blocks(10);
      const kept = [quiet, fine, heartbeat];
      await waitFor(() => kept.every((each) => each.heights().at(-1) === last), { what: 'blocks' });
      for (const { code } of kept) assert.equal(code, undefined);
      await waitFor(() => servers.connections === kept.length, { what: 'their places given back' });
    });

    it('holds the limit of one source over all processes together, and trusted sources exempt', async (t) => {
      const { url, servers } = await serve(t, {
        p2p_websocket_max_connections: 100,
        p2p_websocket_trusted_source_cidrs: ['127.0.0.9'],
      });
      const five = await Promise.all(Array.from({ length: 5 }, () => listen(t, url)));
      // They are greeted before main counts them: of six that it has yet to count, it may refuse another than the last.
      await waitFor(() => servers.connections === 5, { what: 'five places counted' });
      // The process that had not heard of the fifth yet takes the sixth, and closes it when main says so.
      assert.ok([503, 1013].includes(await refusal(url)));
      await waitFor(async () => (await upgradeStatus(url)) === 503, { what: '503 from either process' });
      assert.equal(await upgradeStatus(url, { localAddress: '127.0.0.2' }), 101);
      for (let count = 0; count < 8; count++) await listen(t, url, { localAddress: '127.0.0.9' });
      five[0]?.socket.close();
      await waitFor(() => servers.connections === 12, { what: 'a place given back' });
      // Either process takes the next, and one of them may not have been told yet.
      await waitFor(async () => (await upgradeStatus(url)) === 101, { what: 'a place taken again' });
    });

    it('gives clients of this machine no share as shipped, others none where that is -1, and all any number at 0', async (t) => {
      const shipped = ['127.0.0.1/32', '::1/128'];
      const open = (url: string, count: number, localAddress: string) =>
        Promise.all(Array.from({ length: count }, () => listen(t, url, { localAddress })));
      const limited = await serve(t, {
        p2p_websocket_max_connections: 40,
        p2p_websocket_trusted_source_cidrs: shipped,
      });
      await open(limited.url, 12, '127.0.0.1');
      await open(limited.url, 4, '127.0.0.2');
      await waitFor(() => limited.servers.connections === 16, { what: 'sixteen places counted' });
      await waitFor(async () => (await upgradeStatus(limited.url, { localAddress: '127.0.0.2' })) === 503, {
        what: '503 for the other one',
      });
      for (const changes of [
        { p2p_websocket_max_connections: 40, p2p_websocket_max_connections_per_source: -1 },
        { p2p_websocket_max_connections: 0 },
      ]) {
        const { url, servers } = await serve(t, { ...changes, p2p_websocket_trusted_source_cidrs: ['none'] });
        await open(url, 20, '127.0.0.2');
        await waitFor(() => servers.connections === 20, { what: 'twenty places counted' });
      }
    });

    it('holds the limit of all connections over all processes together', async (t) => {
      const { url, http, servers } = await serve(t, {
        p2p_websocket_max_connections: 10,
        p2p_websocket_trusted_source_cidrs: ['127.0.0.9'],
      });
      await Promise.all(
        Array.from({ length: 10 }, (_, index) =>
          listen(t, url, { localAddress: `127.0.0.${2 + Math.floor(index / 4)}` }),
        ),
      );
      await waitFor(() => servers.connections === 10, { what: 'ten places counted' });
      const late = { localAddress: '127.0.0.8' };
      assert.ok([503, 1013].includes(await refusal(url, late)));
      await waitFor(async () => (await upgradeStatus(url, late)) === 503, {
        what: '503 from either process',
      });
      assert.equal(
        await upgradeStatus(url, { localAddress: '127.0.0.9' }),
        503,
        'trusted ones count as well',
      );
      assert.equal((await fetch(`${http}/health`)).status, 200);
    });

    it('knows what changed while it was being made in place of one that died', async (t) => {
      const { http, servers } = await serve(t, { p2p_notification_servers: 1 });
      const [former = 0] = servers.pids;
      process.kill(former, 'SIGKILL');
      await waitFor(() => ![undefined, former].includes(servers.pids[0]), {
        what: 'another process',
        everyMs: 1,
      });
      // It is still loading: what it was begun with is in its way, and this behind it.
      servers.setStatus('{"node":{"id":"newer"}}');
      await waitFor(() => servers.serving === 1, { what: 'it to serve' });
      assert.deepEqual(await (await fetch(`${http}/api/status`)).json(), { node: { id: 'newer' } });
    });

    it('answers health, status, page and preflight, and nothing else', async (t) => {
      const { http, servers } = await serve(t);
      const health = await fetch(`${http}/health`);
      assert.deepEqual([health.status, await health.text()], [200, 'OK']);
      assert.equal(health.headers.get('access-control-allow-origin'), '*');
      assert.equal((await fetch(`${http}/api/status`)).status, 503);
      servers.setStatus('{"node":{"id":"me"}}');
      await waitFor(async () => (await fetch(`${http}/api/status`)).status === 200, { what: 'the status' });
      assert.deepEqual(await (await fetch(`${http}/api/status`)).json(), { node: { id: 'me' } });
      for (const [path, type] of [
        ['/', 'text/html; charset=utf-8'],
        ['/app.js', 'text/javascript; charset=utf-8'],
        ['/style.css', 'text/css; charset=utf-8'],
      ] as const) {
        const file = await fetch(`${http}${path}`);
        assert.equal(file.status, 200);
        assert.equal(file.headers.get('content-type'), type);
        assert.equal(file.headers.get('x-content-type-options'), 'nosniff');
        assert.match(
          file.headers.get('content-security-policy') ?? '',
          /default-src 'none'; script-src 'self'/,
        );
        await file.arrayBuffer();
      }
      const preflight = await fetch(`${http}/api/status`, {
        method: 'OPTIONS',
        headers: {
          origin: 'https://dash.example',
          'access-control-request-method': 'GET',
          'access-control-request-headers': 'cache-control, x-requested-with',
        },
      });
      assert.ok(preflight.ok);
      assert.equal(preflight.headers.get('access-control-allow-methods'), 'GET');
      assert.equal(preflight.headers.get('access-control-allow-origin'), '*');
      assert.equal(preflight.headers.get('access-control-allow-headers'), 'cache-control, x-requested-with');
      assert.equal(preflight.headers.get('access-control-max-age'), '86400');
      for (const path of ['/../package.json', '/%2e%2e/package.json', '/nothing', '/p2p-ws/x'])
        assert.equal((await fetch(`${http}${path}`)).status, 404);
      assert.equal((await fetch(`${http}/p2p-ws`)).status, 426);
    });

    it('lets only the allowed origins in, its own page and programs besides', async (t) => {
      const { url, http } = await serve(t, {
        p2p_websocket_allowed_origins: ['https://dash.example'],
      });
      assert.equal(await upgradeStatus(url, { origin: 'https://evil.example' }), 403);
      assert.equal(await upgradeStatus(url, { origin: 'https://dash.example' }), 101);
      assert.equal(await upgradeStatus(url, { origin: http }), 101);
      assert.equal(await upgradeStatus(url), 101);
      const cors = async (origin: string) =>
        (await fetch(`${http}/health`, { headers: { origin } })).headers.get('access-control-allow-origin');
      assert.equal(await cors('https://evil.example'), null);
      assert.equal(await cors('https://dash.example'), 'https://dash.example');
    });

    it('goes on without a gap when the publisher comes back', async (t) => {
      const { feed, url, servers } = await serve(t);
      const listeners = await Promise.all(Array.from({ length: 4 }, () => listen(t, url)));
      feed.blocks(50);
      await feed.stop();
      await waitFor(async () => (await servers.health()).status === 503, { what: 'readiness to notice' });
      feed.blocks(20);
      await feed.start();
      const last = feed.blocks(30);
      await waitFor(() => listeners.every((each) => each.heights().at(-1) === last), {
        what: 'blocks',
        timeoutMs: 20_000,
      });
      for (const each of listeners) {
        assert.equal(each.heights().length, 100);
        assert.ok(contiguous(each.heights()));
      }
    });

    it('closes its clients with 1012 when frames are gone, and serves those who come back', async (t) => {
      const { feed, url } = await serve(t);
      const before = await listen(t, url);
      const last = feed.blocks(5);
      await waitFor(() => before.heights().at(-1) === last, { what: 'blocks' });
      await feed.stop();
      await feed.start({ anew: true });
      await waitFor(() => before.code === 1012, { what: 'close 1012', timeoutMs: 20_000 });
      let after = await listen(t, url);
      let newest = feed.blocks(3);
      await waitFor(
        async () => {
          // Its process learnt of it after it came: it is closed too, and comes again, as clients do.
          if (after.code === 1012) {
            after = await listen(t, url);
            newest = feed.blocks(3);
          }
          return after.heights().at(-1) === newest;
        },
        { what: 'blocks' },
      );
      assert.equal(after.frames[0]?.type, 'node_status', 'the greeting it remembers');
      assert.deepEqual(after.heights(), [newest - 2, newest - 1, newest]);
    });
  });
