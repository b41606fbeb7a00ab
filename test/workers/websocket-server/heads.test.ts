/** Requests with long heads: a filter of a hundred peers, and queries that are longer than they may be. */

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { loadUws } from '../../../src/workers/websocket-server/transport/uws-build.js';
import { listenToEvents } from '../../support/event-stream.js';
import { feedClient, hears, refusedWith } from '../../support/feed-client.js';
import { pageOf } from '../../support/history-pages.js';
import { metricSum, serveNotifications, TRANSPORTS } from '../../support/notifications.js';
import { createSigner } from '../../support/signed.js';
import { openTransport } from '../../support/transport.js';
import { waitFor } from '../../support/wait.js';

/** What a network with packets of 1,500 bytes makes of it. */
const SEGMENT = 1_448;

/** What is answered to a query of so many bytes that comes in pieces; empty where nothing is. */
async function answerTo(
  t: Pick<TestContext, 'after'>,
  port: number,
  { bytes, piece }: { readonly bytes: number; readonly piece: number },
): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  t.after(() => socket.destroy());
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk;
  });
  socket.on('error', () => {});
  const head = `GET /?${'a'.repeat(bytes)} HTTP/1.1\r\nHost: a\r\n\r\n`;
  for (let at = 0; at < head.length && !socket.destroyed; at += piece) {
    socket.write(head.slice(at, at + piece));
    // The listener is in this loop too, and has read the piece by then.
    for (let turns = 0; turns < 5; turns++) await nextTurn();
  }
  await waitFor(() => socket.closed || socket.readableEnded, { what: 'the end' });
  return text;
}

for (const transport of TRANSPORTS)
  describe(`long heads on ${transport}`, () => {
    const serve = (t: TestContext) =>
      serveNotifications(t, { p2p_websocket_transport: transport, p2p_notification_servers: 1 });

    it('are read up to 16 KiB, at once or in pieces', async (t) => {
      const { port } = await openTransport(t, transport, {
        request: ({ query }) => ({ status: 200, headers: [], body: `${query.length} bytes` }),
      });
      const goesOn = transport === 'ws' || loadUws().takesLongHeads;
      for (const bytes of [3_000, 5_300, 8_192, 10_240, 15_900]) {
        assert.match(await answerTo(t, port, { bytes, piece: 1e6 }), new RegExp(`\\b${bytes} bytes$`));
        const inPieces = await answerTo(t, port, { bytes, piece: SEGMENT });
        if (goesOn || bytes < 4_000) assert.match(inPieces, new RegExp(`\\b${bytes} bytes$`));
        else assert.equal(inPieces, '', 'the older build closes');
      }
      if (goesOn)
        for (const piece of [1e6, SEGMENT])
          assert.match(await answerTo(t, port, { bytes: 17_000, piece }), /^HTTP\/1\.1 431 /);
    });

    it('may name a hundred peers, wherever there is a filter', async (t) => {
      const { feed, url, http } = await serve(t);
      const peers = Array.from({ length: 100 }, () => createSigner().id);
      const query = `peers=${peers.join(',')}`;
      assert.ok(query.length > 5_000);
      const socket = await feedClient(t, url, `${query}&meta=true`);
      const stream = await listenToEvents(t, `${http}/events?${query}`);
      const last = feed.announce(
        { kind: 'block', author: createSigner().id },
        ...peers.slice(98).map((author) => ({ kind: 'block', author })),
      );
      await hears(socket, last);
      const numbers = () => stream.frames().map(({ n }) => n);
      await waitFor(() => numbers().includes(last), { what: 'the last block' });
      const page = (await pageOf(http, query)).events.map(({ n }) => n);
      assert.deepEqual([socket.numbers(), numbers(), page], Array(3).fill([last - 1, last]));
    });

    it('are told to be too long above 8 KiB of query, wherever they come, and counted once each', async (t) => {
      const { feed, url, http, servers } = await serve(t);
      const stays = await feedClient(t, url, 'meta=true');
      const query = `cursor=${'a'.repeat(10_240)}`;
      const refused = await refusedWith(url, query);
      assert.deepEqual(
        [refused.status, refused.headers['content-type'], refused.body.code],
        [414, 'application/problem+json', 'query_too_long'],
      );
      const page = await feedClient(t, url, query, { origin: 'http://page.example' });
      await waitFor(() => page.code !== undefined, { what: 'the close' });
      assert.deepEqual(
        [page.code, page.all.map(({ type, code }) => [type, code])],
        [4400, [['error', 'query_too_long']]],
      );
      const paths = ['/p2p-ws', '/events', '/api/v1/events', '/api/v1/segments'];
      for (const path of paths) {
        const answer = await fetch(`${http}${path}?${query}`);
        const { code } = (await answer.json()) as { code: string };
        assert.deepEqual([answer.status, code], [414, 'query_too_long'], path);
      }
      const counted = (labels = {}) =>
        metricSum(servers, 'teranode_p2p_websocket_feed_refusals_total', labels);
      assert.equal(await counted({ code: 'query_too_long' }), 2 + paths.length);
      assert.equal(await counted(), 2 + paths.length);
      await hears(stays, feed.announce({ kind: 'block' }));
    });
  });
