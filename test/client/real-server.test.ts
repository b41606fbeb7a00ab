/** The library against notification servers as they are, over both transports. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { FeedEvent, WebSocketClass } from '#feed';
import { type Served, serveNotifications, TRANSPORTS } from '../support/notifications.js';
import { waitFor } from '../support/wait.js';
import { heldLoop, memoryStore, type Reading, read } from './reading.js';
import { BareWebSocket } from './sockets.js';

const BLOCK = { kind: 'block' };
const PEER = '12D3KooWHHzSeKaY8xuZVzkLbKFfvNgPPeKhFBGrMbNzbm5akpqu';
const SUBTREE = { kind: 'subtree', author: 'other' };
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);
/** Numbers of the announcements that came. */
const numbers = ({ events }: Pick<Reading, 'events'>) =>
  events.flatMap((event: FeedEvent) => (event as { n?: number }).n ?? []);

for (const transport of TRANSPORTS)
  describe(`the consumers’ library at a server on ${transport}`, () => {
    const serve = (context: Parameters<typeof serveNotifications>[0], more = {}) =>
      serveNotifications(context, {
        p2p_websocket_transport: transport,
        p2p_notification_servers: 1,
        ...more,
      });
    const killed = async ({ servers }: Served, reading: Reading, work: () => void) => {
      const before = reading.failures.length;
      const pids = servers.pids;
      for (const pid of pids) process.kill(pid, 'SIGKILL');
      await waitFor(() => reading.failures.length > before, { what: 'the loss' });
      work();
      await waitFor(() => servers.pids.length === 1 && servers.pids[0] !== pids[0], {
        what: 'another server',
      });
    };

    it('misses nothing and has nothing twice over kill -9, from what is kept into what comes', async (t) => {
      const served = await serve(t);
      const { feed, url } = served;
      const first = feed.announce(...Array.from({ length: 500 }, () => BLOCK)) - 499;
      const reading = read(t, { url, kinds: ['block', 'subtree'], cursor: 'oldest' });
      await waitFor(() => numbers(reading).length === 500, { what: 'what is kept' });
      let last = 0;
      for (let round = 0; round < 3; round++) {
        await killed(served, reading, () => feed.announce(BLOCK, SUBTREE));
        last = feed.announce(SUBTREE);
        await waitFor(() => numbers(reading).at(-1) === last, { what: 'what came' });
      }
      assert.deepEqual(numbers(reading), range(first, last));
      assert.deepEqual(reading.notices(), []);
    });

    it('has batches, compressed too, and goes on within them', async (t) => {
      const served = await serve(t);
      const { feed, url } = served;
      const readings = [{ batch: 50 }, { batch: 50, gzip: true }].map((encoding) =>
        read(t, { url, kinds: ['block'], cursor: 'oldest', ...(encoding as { batch: 50 }) }),
      );
      const first = feed.announce(BLOCK);
      feed.announce(...Array.from({ length: 300 }, () => BLOCK));
      for (const reading of readings)
        await waitFor(() => numbers(reading).length === 301, { what: 'all frames' });
      await killed(served, readings[0] as Reading, () => feed.announce(BLOCK));
      const last = feed.announce(BLOCK);
      for (const reading of readings) {
        await waitFor(() => numbers(reading).at(-1) === last, { what: 'what came' });
        assert.deepEqual(numbers(reading), range(first, last));
      }
    });

    it('filters by kind and by peer at the server', async (t) => {
      const { feed, url } = await serve(t);
      const byPeer = read(t, { url, peers: [PEER], cursor: 'oldest' });
      const byKind = read(t, { url, kinds: ['subtree'], cursor: 'oldest' });
      feed.announce(BLOCK, { kind: 'block', author: PEER }, SUBTREE);
      const last = feed.announce({ kind: 'subtree', author: PEER });
      await waitFor(() => numbers(byPeer).at(-1) === last && numbers(byKind).at(-1) === last, {
        what: 'the last',
      });
      assert.deepEqual(numbers(byPeer), [last - 2, last]);
      assert.deepEqual(numbers(byKind), [last - 1, last]);
    });

    it('takes a feed that is faster than its loop from the history, whole', async (t) => {
      const { feed, url } = await serve(t);
      const padding = 'x'.repeat(8000);
      for (const WebSocket of [undefined, BareWebSocket] as readonly (WebSocketClass | undefined)[]) {
        const { release, each } = heldLoop();
        const options = { url, kinds: ['block'] as const, bufferBytes: 65_536 };
        const reading = read(t, WebSocket === undefined ? options : { ...options, WebSocket }, each);
        const first = await waitFor(
          async () => {
            const n = feed.announce({ ...BLOCK, padding });
            return numbers(reading).length > 0 ? n : undefined;
          },
          { what: 'the first frame', everyMs: 50 },
        );
        const last = feed.announce(...Array.from({ length: 1000 }, () => ({ ...BLOCK, padding })));
        release();
        await waitFor(() => numbers(reading).at(-1) === last, { what: 'all frames', timeoutMs: 60_000 });
        assert.deepEqual(numbers(reading), range(Number(numbers(reading)[0]), last));
        assert.ok(Number(numbers(reading)[0]) <= first);
        assert.deepEqual(reading.notices(), []);
        reading.stop();
      }
    });

    it('goes on at a server of another history by time, and tells so', async (t) => {
      const [one, other] = [await serve(t), await serve(t)];
      const reading = read(t, { url: [one.url, other.url], kinds: ['block'] });
      const each = (message: object) => {
        for (const { feed } of [one, other])
          feed.message({ type: 'block', peer_id: 'p', base_url: 'u', ...message });
      };
      await waitFor(
        () => {
          each({ hash: 'aa', at: performance.now() });
          return reading.events.length > 0;
        },
        { what: 'a first frame', everyMs: 50 },
      );
      each({ hash: 'bb' });
      await waitFor(() => reading.hashes().includes('bb'), { what: 'a frame of the first' });
      await one.servers.stop();
      other.feed.message({ type: 'block', peer_id: 'p', base_url: 'u', hash: 'cc' });
      await waitFor(() => reading.hashes().includes('cc'), { what: 'a frame of the other' });
      assert.deepEqual(reading.notices(), ['switched']);
      assert.equal(reading.hashes().filter((hash) => hash === 'bb').length, 1);
    });

    it('is told of another epoch of the same journal, and of a journal that is gone', async (t) => {
      const served = await serve(t);
      const { feed, url, servers } = served;
      const store = memoryStore();
      const reading = read(t, { url, kinds: ['block'], cursor: store });
      const heard = (n: () => number) =>
        waitFor(() => numbers(reading).at(-1) === n(), { what: 'a frame', everyMs: 50 });
      await waitFor(
        () => {
          feed.announce(BLOCK);
          return numbers(reading).length > 0;
        },
        { what: 'the first frame', everyMs: 50 },
      );
      await feed.stop();
      await feed.start({ rebooted: true });
      await waitFor(async () => (await servers.health()).message.includes(' 1 hear'), { what: 'the stream' });
      const last = feed.announce(BLOCK);
      await heard(() => last);
      assert.deepEqual(reading.notices(), ['epoch']);
      await feed.stop();
      await feed.start({ anew: true });
      await waitFor(async () => (await servers.health()).message.includes(' 1 hear'), { what: 'the stream' });
      const later = feed.announce(BLOCK);
      await heard(() => later);
      assert.deepEqual(reading.notices(), ['epoch', 'switched']);
    });

    it('is refused in the server’s words, whatever its WebSocket shows', async (t) => {
      const { url } = await serve(t);
      for (const WebSocket of [undefined, BareWebSocket]) {
        const options = {
          url,
          kinds: ['blok' as 'block'],
          ...(WebSocket === undefined ? {} : { WebSocket }),
        };
        await assert.rejects(
          read(t, options).done,
          (error: Error & { code: string; detail: { kinds: string[] } }) => {
            assert.equal(error.code, 'unknown_kind');
            assert.ok(error.detail.kinds.includes('block'));
            return true;
          },
        );
      }
      await assert.rejects(read(t, { url, cursor: 'no cursor' }).done, {
        name: 'FeedError',
        code: 'bad_parameter',
      });
    });
  });
