import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { block, nodeStatus, subtree } from '../../src/shared/messages/index.js';
import { assertContiguous, type FeedClient, feedClient, hears, refusedWith } from '../support/feed-client.js';
import { listen, metricSum, serveNotifications, TRANSPORTS } from '../support/notifications.js';
import { waitFor } from '../support/wait.js';

const PEER = '12D3KooWJ1VtwjXHmd4jvnA8nYGdkXnCJtS9RzUi2vEJJmoCNkkJ';
const OTHER = '12D3KooWQYV9dGMFoRzNStwpXztXaBUjtPqi6aU76ZgUriHhKust';
const PADDING = 'x'.repeat(2000);
const MIB = 1_048_576;
const BLOCK = { kind: 'block' };
const PADDED = { kind: 'block', padding: PADDING };

const types = (client: FeedClient) => client.all.map(({ type }) => type);
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

for (const transport of TRANSPORTS)
  describe(`the feed with parameters on ${transport}`, () => {
    const serve: typeof serveNotifications = (t, changes, options) =>
      serveNotifications(
        t,
        { p2p_websocket_transport: transport, p2p_notification_servers: 1, ...changes },
        options,
      );

    it('lets through the kinds and peers that were asked for, and nothing else', async (t) => {
      const { feed, url } = await serve(t);
      const clients = await Promise.all(
        [
          'kinds=block,subtree',
          `peers=${PEER}`,
          `kinds=block&peers=${PEER},${OTHER}`,
          'kinds=block&batch=50',
        ].map((query) => feedClient(t, url, query)),
      );
      const sent: { kind: string; author: string }[] = [];
      for (const kind of ['block', 'subtree', 'node_status', 'rejected_tx'])
        for (const author of [PEER, OTHER, '']) sent.push({ kind, author });
      const last = feed.announce(...sent, { kind: 'block', author: PEER });
      const first = last - sent.length;
      for (const client of clients) await hears(client, last);
      const wanted = (lets: (kind: string, author: string) => boolean) =>
        sent.flatMap(({ kind, author }, at) => (lets(kind, author) ? [first + at] : [])).concat(last);
      const [kinds, peers, both, batch] = clients.map((client) => client.numbers());
      assert.deepEqual(
        kinds,
        wanted((kind) => kind === 'block' || kind === 'subtree'),
      );
      assert.deepEqual(
        peers,
        wanted((_, author) => author === PEER),
      );
      assert.deepEqual(
        both,
        wanted((kind, author) => kind === 'block' && author !== ''),
      );
      assert.deepEqual(
        batch,
        wanted((kind) => kind === 'block'),
      );
      assert.deepEqual(clients[3]?.messages, [4], 'all in one message');
    });

    it('greets whose filter lets the own status through, before anything else', async (t) => {
      const { feed, url } = await serve(t, {}, { peerId: PEER });
      const greeted = await Promise.all(
        [`kinds=${nodeStatus.name}`, `peers=${PEER}`, 'batch=50', 'batch=50&encoding=gzip'].map((query) =>
          feedClient(t, url, query),
        ),
      );
      const others = await Promise.all(
        ['kinds=block', `peers=${OTHER}`].map((query) => feedClient(t, url, query)),
      );
      for (const client of greeted) await waitFor(() => client.all.length > 0, { what: 'the greeting' });
      const last = feed.announce({ kind: 'node_status', author: PEER }, { kind: 'block', author: OTHER });
      for (const client of greeted) {
        await waitFor(() => client.numbers().includes(last - 1) || client.numbers().includes(last), {
          what: 'a frame',
        });
        assert.equal(client.frames()[0]?.peer_id, 'me');
      }
      for (const client of others) {
        await hears(client, last);
        assert.deepEqual(client.numbers(), [last]);
      }
    });

    it('with meta says hello, then tells of each frame where it is', async (t) => {
      const { feed, url } = await serve(t);
      const client = await feedClient(t, url, 'meta=true');
      const first = feed.announce(BLOCK, { kind: 'subtree' }) - 1;
      await hears(client, first + 1);
      const [hello, one, two] = client.all;
      assert.equal(hello?.type, 'hello');
      assert.equal((hello?.node as { peer_id?: string })?.peer_id, 'me');
      assert.deepEqual(Object.keys(one ?? {}), ['type', 'n', 'cursor', 'epoch', 'seq', 'received_at']);
      assert.equal(two?.seq, Number(one?.seq) + 1);
      const resumed = await feedClient(t, url, `cursor=${one?.cursor}`);
      await hears(resumed, first + 1);
      assert.deepEqual(resumed.numbers(), [first + 1]);
      const whole = await feedClient(t, url, `cursor=${hello?.cursor}`);
      await hears(whole, first + 1);
      assert.deepEqual(whole.numbers(), [first, first + 1]);
    });

    it('leaves clients without parameters what they had', async (t) => {
      const { feed, url } = await serve(t, { p2p_websocket_text_ping: true });
      const plain = await listen(t, url);
      const filtered = await feedClient(t, url, 'kinds=block&meta=true');
      const last = feed.announce(BLOCK, { kind: 'subtree' });
      await waitFor(() => plain.frames.some(({ n }) => n === last), { what: 'the last frame' });
      await waitFor(() => plain.frames.some(({ type }) => type === 'PING'), { what: 'a text ping' });
      assert.deepEqual(plain.frames.filter(({ type }) => type !== 'PING').slice(1), [
        { type: 'block', n: last - 1 },
        { type: 'subtree', n: last },
      ]);
      assert.deepEqual(types(filtered), ['hello', 'block']);
    });

    it('replays what is stored, then goes on live, without a gap or a repeat, while more comes', async (t) => {
      const { feed, url } = await serve(t);
      for (let batch = 0; batch < 50; batch++) feed.announce(...Array(100).fill(PADDED));
      const queries = [
        'cursor=oldest',
        'since=0',
        'cursor=oldest&batch=50',
        'cursor=oldest&batch=50&encoding=gzip',
      ];
      const clients = await Promise.all(queries.map((query) => feedClient(t, url, query)));
      const kinds = await feedClient(t, url, 'cursor=oldest&kinds=subtree');
      let last = 0;
      while (!clients.every(({ all }) => all.length > 5000)) {
        last = feed.announce(BLOCK);
        await new Promise((resolve) => setImmediate(resolve));
      }
      last = feed.announce({ kind: 'subtree' });
      for (const client of clients) {
        await hears(client, last);
        assertContiguous(client);
        assert.equal(client.frames().length, last);
        assert.deepEqual(
          client.controls().map(({ type }) => type),
          ['hello'],
        );
      }
      await hears(kinds, last);
      assert.deepEqual(kinds.numbers(), [last]);
    });

    it('serves a thousand who replay at once, and whoever listens live meanwhile', async (t) => {
      const { feed, url, servers } = await serve(t, { p2p_websocket_max_connections: 2000 });
      const stored = feed.announce(...Array(50).fill(PADDED));
      const plain = await listen(t, url);
      const replaying = await Promise.all(
        Array.from({ length: 1000 }, () => feedClient(t, url, 'cursor=oldest&kinds=block')),
      );
      let last = stored;
      while (!replaying.every(({ all }) => all.length > 50)) {
        last = feed.announce(BLOCK);
        // Who listens live has it before anything else is looked at.
        await waitFor(() => plain.frames.some(({ n }) => n === last), { what: 'a live frame', everyMs: 1 });
      }
      for (const client of replaying) await hears(client, last);
      for (const client of replaying) assert.deepEqual(client.numbers(), range(stored - 49, last));
      const heard = plain.frames.map(({ n }) => Number(n)).filter((n) => n > stored);
      assert.deepEqual(heard, range(stored + 1, last));
      assert.equal(servers.connections, 1001);
    });

    it('holds little for who replays and never reads, and serves on who reads at last', async (t) => {
      const { feed, url, servers } = await serve(t);
      for (let batch = 0; batch < 200; batch++) feed.announce(...Array(100).fill(PADDED));
      const resident = async () =>
        (await metricSum(servers, 'teranode_p2p_notification_server_process_resident_memory_bytes')) / MIB;
      const warm = await feedClient(t, url, 'cursor=oldest');
      await hears(warm, feed.announce(BLOCK));
      const before = await resident();
      assert.ok(before > 0);
      const stalled = await Promise.all(
        Array.from({ length: 20 }, () => feedClient(t, url, 'cursor=oldest')),
      );
      for (const { socket } of stalled) socket.pause();
      await waitFor(
        async () => (await metricSum(servers, 'teranode_p2p_websocket_replaying_clients')) === 20,
        {
          what: 'all to replay',
        },
      );
      let last = 0;
      for (let round = 0; round < 50; round++) {
        last = feed.announce(PADDED);
        await hears(warm, last);
      }
      // Each would have 46 MB of frames coming.
      await waitFor(async () => (await resident()) - before < 200, { what: 'less than 200 MiB more' });
      const [first] = stalled as [FeedClient];
      first.socket.resume();
      await hears(first, last);
      assertContiguous(first);
      assert.equal(first.frames().length, last);
    });

    it('takes who does not keep up off the live feed, and has it go on from the journal', async (t) => {
      const { feed, url, servers } = await serve(t, { p2p_websocket_client_buffer: 65_536 });
      const slow = await feedClient(t, url, 'meta=true');
      await waitFor(() => slow.all.length > 0, { what: 'hello' });
      const brisk = await feedClient(t, url, 'meta=true');
      slow.socket.pause();
      let last = 0;
      for (let round = 0; round < 100; round++) {
        last = feed.announce(...Array(50).fill(PADDED));
        await hears(brisk, last);
      }
      assert.ok((await metricSum(servers, 'teranode_p2p_websocket_slow_demotions_total')) > 0);
      slow.socket.resume();
      await hears(slow, last);
      await waitFor(
        async () => (await metricSum(servers, 'teranode_p2p_websocket_replaying_clients')) === 0,
        {
          what: 'the slow client to be live again',
        },
      );
      last = feed.announce(BLOCK);
      await hears(slow, last);
      for (const client of [slow, brisk]) {
        assertContiguous(client);
        assert.equal(client.frames().length, 5001);
      }
    });

    it('resumes over the death of a notification server without a gap or a repeat', async (t) => {
      const { feed, url, servers } = await serve(t);
      const before = await feedClient(t, url, 'meta=true&kinds=block,subtree');
      const middle = feed.announce(BLOCK, BLOCK, { kind: 'rejected_tx' }, { kind: 'subtree' });
      await hears(before, middle);
      process.kill(servers.pids[0] ?? 0, 'SIGKILL');
      await waitFor(() => before.code !== undefined, { what: 'the death of the process' });
      feed.announce(BLOCK, { kind: 'rejected_tx' });
      const after = await waitFor(
        () => feedClient(t, url, `cursor=${before.cursor()}&kinds=block,subtree`).catch(() => undefined),
        { what: 'another process' },
      );
      const last = feed.announce({ kind: 'subtree' });
      await hears(after, last);
      assert.deepEqual(
        [...before.numbers(), ...after.numbers()],
        [middle - 3, middle - 2, middle, middle + 1, last],
      );
    });

    it('goes on over a restart of the publisher, and over the loss of its numbers', async (t) => {
      const { feed, url, servers } = await serve(t);
      const client = await feedClient(t, url, 'meta=true');
      const first = feed.announce(BLOCK);
      await hears(client, first);
      await feed.stop();
      const missed = feed.announce(BLOCK, BLOCK);
      await feed.start();
      await hears(client, missed);
      assert.deepEqual(client.numbers(), range(first, missed));
      const old = client.cursor();
      await feed.stop();
      await feed.start({ rebooted: true });
      const reborn = feed.announce(BLOCK, BLOCK);
      await hears(client, reborn);
      assert.deepEqual(client.numbers(), range(first, reborn));
      assert.deepEqual(
        client.controls('info').map(({ code }) => code),
        ['epoch'],
      );
      const resumed = await feedClient(t, url, `cursor=${old}`);
      await hears(resumed, reborn);
      assert.deepEqual(resumed.numbers(), [reborn - 1, reborn]);
      assert.deepEqual(
        resumed.controls('info').map(({ code }) => code),
        ['epoch'],
      );
      await feed.stop();
      await feed.start({ anew: true });
      const anew = feed.announce(BLOCK);
      await hears(client, anew);
      await hears(resumed, anew);
      assert.deepEqual(client.numbers(), range(first, anew));
      assert.equal(client.controls('info').at(-1)?.code, 'cursor_unknown');
      const told = [client, resumed].flatMap((each) => each.controls('info'));
      for (const info of ['epoch', 'cursor_unknown', 'cursor_too_old', 'gap'])
        assert.equal(
          await metricSum(servers, 'teranode_p2p_websocket_feed_infos_total', { code: info }),
          told.filter(({ code }) => code === info).length,
          info,
        );
    });

    it('refuses what it cannot do with a problem, before the upgrade', async (t) => {
      const { feed, url, http, servers } = await serve(t);
      const client = await feedClient(t, url, 'meta=true');
      await hears(client, feed.announce(BLOCK));
      const [epoch, seq] = client.cursor().split('.');
      const unknown = `${'0123456789abcdef'}.${seq}`;
      const cases: readonly (readonly [query: string, status: number, code: string])[] = [
        ['kinds=blok', 400, 'unknown_kind'],
        ['kinds=', 400, 'bad_parameter'],
        ['kinds=block&kinds=subtree', 400, 'bad_parameter'],
        ['Kinds=block', 400, 'unknown_parameter'],
        ['whatever=1', 400, 'unknown_parameter'],
        ['batch=100&peers=12D3KooWJ1VtwjXHmd4jvnA8nYGdkXnCJtS9RzUi2vEJJmoCNkkJ', 400, 'bad_parameter'],
        ['encoding=gzip', 400, 'bad_parameter'],
        ['cursor=nonsense', 400, 'bad_parameter'],
        [`cursor=${epoch}.${Number(seq) + 1000}`, 400, 'bad_parameter'],
        [`cursor=${unknown}&strict=true`, 410, 'cursor_unknown'],
      ];
      for (const [query, status, code] of cases) {
        const refused = await refusedWith(url, query);
        assert.equal(refused.status, status, query);
        assert.equal(refused.headers['content-type'], 'application/problem+json');
        assert.equal(refused.body.code, code, query);
        assert.equal(refused.body.status, status);
        const asked = await fetch(`${http}/p2p-ws?${query}`);
        assert.deepEqual([asked.status, ((await asked.json()) as { code: string }).code], [status, code]);
        const browser = await feedClient(t, url, query, { origin: 'http://page.example' });
        await waitFor(() => browser.code !== undefined, { what: 'the close' });
        assert.equal(browser.code, status === 410 ? 4410 : 4400, query);
        assert.deepEqual(
          browser.all.map(({ type, code: told }) => [type, told]),
          [['error', code]],
        );
      }
      assert.equal((await fetch(`${http}/p2p-ws?kinds=block`)).status, 426);
      assert.equal(
        await metricSum(servers, 'teranode_p2p_websocket_feed_refusals_total'),
        cases.length * 3,
        'each handshake is counted, and each request that asks why',
      );
      const lenient = await feedClient(t, url, `cursor=${unknown}`);
      await waitFor(() => lenient.frames().length > 0, { what: 'the oldest' });
      assert.deepEqual(types(lenient).slice(0, 2), ['hello', 'info']);
      assert.equal(lenient.all[1]?.code, 'cursor_unknown');
    });

    it('refuses pages as often as they ask, and has as much room as before', async (t) => {
      const max = 4;
      const { feed, url, servers } = await serve(t, { p2p_websocket_max_connections: max });
      const refusals = 3 * max;
      for (let count = 0; count < refusals; count++) {
        const page = await feedClient(t, url, 'kinds=blok', { origin: 'http://page.example' });
        await waitFor(() => page.code === 4400, { what: 'the close' });
      }
      const clients: FeedClient[] = [];
      while (clients.length < max) clients.push(await feedClient(t, url, 'meta=true'));
      const last = feed.announce(BLOCK);
      for (const client of clients) await hears(client, last);
      const further = await refusedWith(url, 'meta=true');
      assert.deepEqual([further.status, further.body.code], [503, 'too_many_connections']);
      await waitFor(
        async () =>
          (await metricSum(servers, 'teranode_p2p_websocket_connections_total')) === refusals + max + 1,
        { what: 'each handshake to be counted once' },
      );
    });

    it('bounds filters and batches, and counts who is refused for it', async (t) => {
      const { feed, url, servers } = await serve(t, { p2p_websocket_max_connections: 2000 });
      const kinds = [block, subtree, nodeStatus].map(({ name }) => name);
      const queries: string[] = [];
      for (const batch of [50, 100, 250, 1000])
        for (const encoding of ['', '&encoding=gzip'])
          for (const meta of ['', '&meta=true'])
            for (const kind of ['', ...kinds.map((name) => `&kinds=${name}`)])
              queries.push(`batch=${batch}${encoding}${meta}${kind}`);
      assert.equal(queries.length, 64);
      for (const query of queries) await feedClient(t, url, query);
      const refused = await refusedWith(url, 'batch=50&kinds=rejected_tx');
      assert.deepEqual([refused.status, refused.body.code], [503, 'too_many_renderings']);
      const again = await feedClient(t, url, String(queries[1]));
      await hears(again, feed.announce(BLOCK));
      assert.equal(await metricSum(servers, 'teranode_p2p_websocket_feed_refusals_total'), 1);
    });
  });
