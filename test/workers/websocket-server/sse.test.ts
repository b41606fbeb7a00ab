/** The feed as server-sent events. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, it } from 'node:test';
import { QUEUES } from '../../../src/shared/queues.js';
import { EventParser, listenToEvents, openEvents } from '../../support/event-stream.js';
import { listen, metricSum, serveNotifications, TRANSPORTS } from '../../support/notifications.js';
import { waitFor } from '../../support/wait.js';

const numbered = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);

const PEER = '12D3KooWJ1VtwjXHmd4jvnA8nYGdkXnCJtS9RzUi2vEJJmoCNkkJ';

for (const transport of TRANSPORTS)
  describe(`server-sent events on ${transport}`, () => {
    const serve: typeof serveNotifications = (t, changes, options) =>
      serveNotifications(
        t,
        { p2p_websocket_transport: transport, p2p_notification_servers: 1, ...changes },
        options,
      );

    it('says hello with the own status, then every frame as an event called by its kind, with its cursor', async (t) => {
      const { feed, http } = await serve(t);
      const client = await listenToEvents(t, `${http}/events`);
      const { status, headers } = client.response;
      assert.deepEqual(
        [status, headers.get('content-type'), headers.get('cache-control'), headers.get('x-accel-buffering')],
        [200, 'text/event-stream', 'no-cache, no-transform', 'no'],
      );
      const [hello] = client.called('hello');
      assert.equal((hello?.node as { peer_id?: string } | undefined)?.peer_id, 'me');
      assert.equal(client.parser.events[0]?.id, hello?.cursor);
      const [retry] = client.parser.retries;
      assert.ok(retry !== undefined && retry >= QUEUES.eventStreams.bounds.retryMs);
      const last = feed.blocks(50);
      feed.status({ peer_id: 'me', height: 1 });
      await waitFor(() => client.called('node_status').length === 1, { what: 'the last frame' });
      assert.deepEqual(client.heights(), numbered(last - 49, last));
      assert.equal(client.called('block').length, 50);
      const frames = client.frames();
      for (const [index, frame] of frames.entries()) {
        assert.equal(frame.cursor, client.parser.events[index + 1]?.id);
        assert.equal(Number(frame.seq), Number(frames[0]?.seq) + index);
      }
    });

    it('calls every event message where that is asked for', async (t) => {
      const { feed, http } = await serve(t);
      const client = await listenToEvents(t, `${http}/events?event=message`);
      feed.blocks(3);
      await waitFor(() => client.heights().length === 3, { what: 'blocks' });
      assert.deepEqual(new Set(client.parser.events.map(({ event }) => event)), new Set(['message']));
    });

    it('sends the kinds and the peers that are asked for alone', async (t) => {
      const { feed, http } = await serve(t);
      const [kinds, peers, both] = await Promise.all(
        [`kinds=subtree`, `peers=${PEER}`, `kinds=subtree&peers=${PEER}`].map((query) =>
          listenToEvents(t, `${http}/events?${query}`),
        ),
      );
      feed.blocks(2);
      const last = feed.announce(
        { kind: 'subtree', author: 'other' },
        { kind: 'subtree', author: PEER },
        { kind: 'node_status', author: PEER },
      );
      const heard = () => [kinds, peers, both].map((each) => each?.frames().map(({ n }) => n));
      await waitFor(() => heard().flat().length === 5, { what: 'what was asked for' });
      assert.deepEqual(heard(), [[last - 2, last - 1], [last - 1, last], [last - 1]]);
    });

    it('goes on behind Last-Event-ID, whatever the URL says', async (t) => {
      const { feed, http } = await serve(t);
      const first = await listenToEvents(t, `${http}/events?cursor=oldest`);
      const last = feed.blocks(20);
      await waitFor(() => first.heights().at(-1) === last, { what: 'blocks' });
      const seen = first.parser.events.find(({ data }) => JSON.parse(data).height === last - 10);
      first.close();
      for (const query of ['cursor=oldest', 'cursor=now', 'since=2000-01-01T00:00:00Z', '']) {
        const again = await listenToEvents(t, `${http}/events?${query}`, { 'last-event-id': seen?.id ?? '' });
        await waitFor(() => again.heights().length >= 10, { what: `what followed, with ${query}` });
        assert.deepEqual(again.heights(), numbered(last - 9, last), query);
        again.close();
      }
      const bad = await openEvents(t, `${http}/events`, { 'last-event-id': 'nonsense' });
      assert.equal(bad.response.status, 400);
    });

    it('replays what is asked for and goes on live without a gap or a repeat, while frames come', async (t) => {
      const { feed, http } = await serve(t);
      const before = feed.blocks(2_000);
      const clients = [];
      let last = before;
      for (let index = 0; index < 20; index++) {
        clients.push(openEvents(t, `${http}/events?kinds=block&cursor=oldest`));
        last = feed.blocks(37);
        await new Promise((resolve) => setImmediate(resolve));
      }
      last = feed.blocks(10);
      for (const opened of clients) {
        const client = await opened;
        await waitFor(() => client.heights().at(-1) === last, { what: 'the last block' });
        assert.deepEqual(client.heights(), numbered(before - 1_999, last));
      }
    });

    it('serves who does not read from the journal when it reads again, without a gap', async (t) => {
      const { feed, http, servers } = await serve(t, { p2p_websocket_client_buffer: 65_536 });
      const brisk = await listenToEvents(t, `${http}/events?kinds=block`);
      const socket = connect(servers.port, '127.0.0.1');
      t.after(() => socket.destroy());
      socket.write(`GET /events?kinds=block HTTP/1.1\r\nHost: x\r\n\r\n`);
      const chunks: Buffer[] = [];
      socket.on('data', (chunk) => chunks.push(chunk));
      const parsed = () => {
        const parser = new EventParser();
        parser.take(bodyInChunks(Buffer.concat(chunks)).toString());
        return parser;
      };
      await waitFor(() => Buffer.concat(chunks).includes('hello'), { what: 'hello' });
      socket.pause();
      let last = 0;
      let sent = 0;
      const padding = 'x'.repeat(2000);
      for (; sent < 5_000; sent += 100) {
        last = feed.blocks(100, padding);
        await waitFor(() => brisk.parser.events.length > sent + 100, { what: 'blocks', everyMs: 1 });
      }
      socket.resume();
      await waitFor(() => socket.closed || Buffer.concat(chunks).includes(`"height":${last},`), {
        what: 'all of it',
        everyMs: 50,
      });
      const parser = parsed();
      const heights = parser.events
        .filter(({ event }) => event === 'block')
        .map(({ data }) => Number(JSON.parse(data).height));
      assert.ok(heights.length > 0);
      if (heights.at(-1) !== last) {
        // On a slow machine all this took longer than a stream may take nothing: it was cut, and goes on where it was.
        const again = await listenToEvents(t, `${http}/events?kinds=block`, {
          'last-event-id': parser.lastEventId,
        });
        await waitFor(() => again.heights().at(-1) === last, { what: 'the rest', everyMs: 100 });
        heights.push(...again.heights());
      }
      assert.deepEqual(heights, numbered(last - 4_999, last));
    });

    it('says something at least every quarter of a minute', async (t) => {
      const { http } = await serve(t);
      const client = await listenToEvents(t, `${http}/events?kinds=block`);
      await waitFor(() => client.parser.comments > 0, {
        what: 'a comment',
        timeoutMs: QUEUES.eventStreams.bounds.commentMs * 1.5,
      });
    });

    it('ends streams when it stops, and tells when to come again', async (t) => {
      const { http, servers, feed } = await serve(t);
      const client = await listenToEvents(t, `${http}/events`);
      const last = feed.blocks(5);
      await waitFor(() => client.heights().at(-1) === last, { what: 'blocks' });
      await servers.stop();
      await waitFor(() => client.ended, { what: 'the end' });
      assert.equal(client.broken, false);
      assert.equal(client.parser.retries.length, 2);
    });

    it('counts streams as it counts WebSockets, and gives their places back', async (t) => {
      const { http, url, servers } = await serve(t, {
        p2p_websocket_max_connections: 3,
        p2p_websocket_trusted_source_cidrs: ['127.0.0.0/8'],
      });
      const streams = await Promise.all([0, 1].map(() => listenToEvents(t, `${http}/events`)));
      const socket = await listen(t, url);
      await waitFor(async () => (await metricSum(servers, 'teranode_p2p_event_streams')) === 2, {
        what: 'two streams',
      });
      const refused = await fetch(`${http}/events`);
      assert.equal(refused.status, 503);
      assert.equal(((await refused.json()) as Record<string, unknown>).code, 'too_many_connections');
      streams[0]?.close();
      const another = await waitFor(
        async () => {
          const client = await openEvents(t, `${http}/events`);
          return client.response.status === 200 ? client : undefined;
        },
        { what: 'a place' },
      );
      assert.equal(another.response.status, 200);
      socket.socket.close();
    });

    it('tells a page whose EventSource would give up that it is full, as a stream that ends', async (t) => {
      const { http, servers } = await serve(t, { p2p_websocket_max_connections: 1 });
      await listenToEvents(t, `${http}/events`);
      const refused = await openEvents(t, `${http}/events`, { origin: 'http://page.example' });
      await waitFor(() => refused.ended, { what: 'the end' });
      assert.equal(refused.response.status, 200);
      assert.deepEqual(
        refused.called('error').map(({ code }) => code),
        ['too_many_connections'],
      );
      assert.equal(refused.parser.retries.length, 1);
      const told = { code: 'too_many_connections' };
      assert.equal(await metricSum(servers, 'teranode_p2p_websocket_feed_refusals_total', told), 1);
    });

    it('answers HEAD with the head alone and takes no place for it', async (t) => {
      const { http } = await serve(t, { p2p_websocket_max_connections: 1 });
      for (let index = 0; index < 3; index++) {
        const head = await fetch(`${http}/events`, { method: 'HEAD' });
        assert.deepEqual([head.status, head.headers.get('content-type')], [200, 'text/event-stream']);
        assert.equal(await head.text(), '');
      }
      await listenToEvents(t, `${http}/events`);
    });

    it('is shown by curl -N', async (t) => {
      const { http, feed } = await serve(t);
      const curl = execFile('curl', ['-sN', `${http}/events?kinds=block`]);
      t.after(() => curl.kill());
      const parser = new EventParser();
      curl.stdout?.on('data', (chunk) => parser.take(String(chunk)));
      await waitFor(() => parser.events.length === 1, { what: 'hello' });
      const last = feed.blocks(1);
      await waitFor(() => parser.events.length === 2, { what: 'a block' });
      assert.equal(JSON.parse(parser.events[1]?.data ?? '').height, last);
      curl.kill();
      await once(curl, 'exit');
    });
  });

/** The body of an answer in chunks (RFC 9112, section 7.1), as far as it has come. */
function bodyInChunks(answer: Buffer): Buffer {
  const parts: Buffer[] = [];
  let at = answer.indexOf('\r\n\r\n') + 4;
  for (;;) {
    const end = answer.indexOf('\r\n', at);
    if (end === -1) break;
    const length = Number.parseInt(answer.toString('latin1', at, end), 16);
    if (length === 0 || end + 2 + length > answer.length) break;
    parts.push(answer.subarray(end + 2, end + 2 + length));
    at = end + 2 + length + 2;
  }
  return Buffer.concat(parts);
}
