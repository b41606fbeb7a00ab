/** Crowds at `/events`. Of the endurance suite, for their length. */

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { describe, it } from 'node:test';
import { listenToEvents, openEvents } from '../support/event-stream.js';
import { listen, metricSum, serveNotifications, TRANSPORTS } from '../support/notifications.js';
import { waitFor } from '../support/wait.js';

const STREAMS = 1000;

const numbered = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);

for (const transport of TRANSPORTS)
  describe(`crowds of event streams on ${transport}`, () => {
    it('serves a thousand that replay and go on live, beside one that never reads and a WebSocket', async (t) => {
      const { feed, http, url, servers } = await serveNotifications(t, {
        p2p_websocket_transport: transport,
        p2p_notification_servers: 1,
        p2p_websocket_max_connections: STREAMS + 10,
        p2p_websocket_client_buffer: 65_536,
      });
      const live = await listen(t, url);
      const silent = connect(servers.port, '127.0.0.1');
      silent.on('error', () => {});
      t.after(() => silent.destroy());
      silent.write('GET /events?cursor=oldest HTTP/1.1\r\nHost: x\r\n\r\n');
      silent.pause();
      const first = feed.blocks(1);
      feed.blocks(199);
      const streams = await Promise.all(
        Array.from({ length: STREAMS }, () => openEvents(t, `${http}/events?cursor=oldest&kinds=block`)),
      );
      assert.ok(streams.every(({ response }) => response.status === 200));
      let last = 0;
      for (let round = 0; round < 50; round++) {
        last = feed.blocks(4, 'x'.repeat(200));
        await waitFor(() => live.heights().at(-1) === last, { what: 'a block', everyMs: 1 });
      }
      await waitFor(() => streams.every(({ parser }) => parser.events.length > last - first + 1), {
        what: 'all blocks at all streams',
        everyMs: 200,
        timeoutMs: 120_000,
      });
      for (const each of streams) assert.deepEqual(each.heights(), numbered(first, last));
      for (const each of streams) each.close();
      await waitFor(async () => (await metricSum(servers, 'teranode_p2p_event_streams')) <= 1, {
        what: 'the places of all',
      });
      const again = await listenToEvents(t, `${http}/events`);
      assert.equal(again.response.status, 200);
    });
  });
