/** A client whose place another process took at the same moment: it has come in by the time that main says so. */

import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { Registry } from 'prom-client';
import type { PlaceAnswer } from '../../../src/shared/feed/control.js';
import { Tracing } from '../../../src/shared/tracing/tracing.js';
import { createNotificationServerMetrics } from '../../../src/workers/websocket-server/metrics.js';
import { NotificationServer } from '../../../src/workers/websocket-server/server.js';
import { chooseTransport } from '../../../src/workers/websocket-server/transport/index.js';
import { listenToEvents } from '../../support/event-stream.js';
import { feedClient } from '../../support/feed-client.js';
import { keptLog } from '../../support/logger.js';
import { serveNotifications, TRANSPORTS } from '../../support/notifications.js';
import { freePorts } from '../../support/ports.js';
import { waitFor } from '../../support/wait.js';

for (const transport of TRANSPORTS)
  describe(`a place that main refuses on ${transport}`, () => {
    /** A notification server within the test, at the feed of others; main gives every client `answer`. */
    async function serve(t: TestContext, answer: PlaceAnswer) {
      const { feed } = await serveNotifications(t, { p2p_notification_servers: 1 });
      const registry = new Registry();
      const { logger } = keptLog();
      let heard = false;
      const server = new NotificationServer(
        {
          logger,
          metrics: createNotificationServerMetrics(registry),
          transport: chooseTransport(transport, []),
          quota: {
            admit: (requests) => server.admission.answered(requests.map(([id]) => [id, answer])),
            release: () => {},
          },
          streaming: (connected) => {
            heard = connected;
          },
          crowded: () => {},
          greeting: () => {},
          tracers: new Tracing({ logger, registry }, undefined),
        },
        {
          host: '127.0.0.1',
          port: (await freePorts(1))[0] ?? 0,
          tls: undefined,
          frameSocketPath: feed.socketPath,
          cursors: 'node',
          trustedProxies: [],
          allowedOrigins: [],
          clientBuffer: 1_048_576,
          textPing: true,
          baseUrl: 'http://me',
          peerId: 'me',
          generation: 'current',
          logLevel: 'silent',
          transport,
          index: 0,
          status: '',
          greeting: '',
          limits: { max: 100, trusted: [] },
          tokens: undefined,
          held: [],
        },
      );
      t.after(() => server.stop());
      const port = await server.start();
      await waitFor(() => heard, { what: 'the feed' });
      const counted = async (name: string) =>
        (await registry.getSingleMetric(name)?.get())?.values.filter(({ value }) => value > 0);
      return { ws: `ws://127.0.0.1:${port}/p2p-ws`, http: `http://127.0.0.1:${port}`, counted };
    }

    for (const answer of ['too_many_connections', 'token_in_use'] as const)
      it(`is told by its code in an error frame, and counted: ${answer}`, async (t) => {
        const { ws, http, counted } = await serve(t, answer);
        const placed = await feedClient(t, ws, 'meta=true');
        await waitFor(() => placed.code !== undefined, { what: 'the close' });
        assert.deepEqual([placed.code, placed.reason], [1013, answer]);
        assert.deepEqual(
          placed.all.map(({ type, code }) => [type, code]),
          [
            ['hello', undefined],
            ['error', answer],
          ],
        );
        const stream = await listenToEvents(t, `${http}/events`);
        await waitFor(() => stream.ended, { what: 'the end of the stream' });
        assert.deepEqual(
          stream.called('error').map(({ code }) => code),
          [answer],
        );
        // Whoever has not asked for more is told by the close alone.
        const plain = await feedClient(t, ws, 'kinds=block');
        await waitFor(() => plain.code !== undefined, { what: 'the close' });
        assert.deepEqual([plain.code, plain.reason, plain.all], [1013, answer, []]);
        assert.deepEqual(await counted('teranode_p2p_websocket_feed_refusals_total'), [
          { labels: { code: answer }, value: 3 },
        ]);
        assert.deepEqual(await counted('teranode_p2p_websocket_connections_total'), [
          { labels: { outcome: 'limit' }, value: 2 },
        ]);
        assert.deepEqual(await counted('teranode_p2p_websocket_evictions_total'), []);
      });
  });
