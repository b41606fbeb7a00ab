/** Crowds at the WebSocket port. Of the endurance suite, for their length. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { listen, rawUpgrade, serveNotifications, TRANSPORTS } from '../support/notifications.js';
import { waitFor } from '../support/wait.js';

const contiguous = (heights: number[]) =>
  heights.every((height, index) => index === 0 || height === Number(heights[index - 1]) + 1);

for (const transport of TRANSPORTS)
  describe(`crowds on ${transport}`, () => {
    it('survives 2,000 clients that come at once and vanish', async (t) => {
      const { feed, url, servers } = await serveNotifications(t, {
        p2p_websocket_transport: transport,
        p2p_websocket_max_connections: 3000,
      });
      const pids = servers.pids;
      const steady = await listen(t, url);
      for (let wave = 0; wave < 10; wave++) {
        const sockets = await Promise.all(Array.from({ length: 200 }, () => rawUpgrade(t, servers.port)));
        for (const socket of sockets) socket.resetAndDestroy();
      }
      const last = feed.blocks(100);
      await waitFor(() => steady.heights().at(-1) === last, { what: 'blocks' });
      await waitFor(() => servers.connections === 1, { what: 'their places given back' });
      assert.ok(contiguous(steady.heights()));
      assert.deepEqual(servers.pids, pids);
    });
  });
