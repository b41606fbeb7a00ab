/** Few sources that take all there is of something keep nobody out: who comes with less takes a place of theirs, and they are told so. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { base58btc } from 'multiformats/bases/base58';
import { FRAME_KINDS } from '../../../src/shared/messages/index.js';
import { QUEUES } from '../../../src/shared/queues.js';
import { type FeedClient, feedClient, hears, refusedWith } from '../../support/feed-client.js';
import { pageOf } from '../../support/history-pages.js';
import {
  type Listener,
  listen,
  metricSum,
  refusal,
  serveNotifications,
  TRANSPORTS,
  upgradeStatus,
} from '../../support/notifications.js';
import { waitFor } from '../../support/wait.js';

const BLOCK = { kind: 'block' };
/** An ID of a peer that nobody is. */
const somePeer = () => base58btc.baseEncode(Buffer.from([0, 0x24, 8, 1, 0x12, 0x20, ...randomBytes(32)]));
/** A source in a network of its own. */
const source = (network: number, host = 1) => `127.1.${network}.${host}`;

interface Asked {
  readonly request: ClientRequest;
  /** Undefined where the connection is cut before. */
  readonly response: Promise<IncomingMessage | undefined>;
}

/** A request from an address, whose answer is read by whoever wants it. */
function ask(t: Pick<TestContext, 'after'>, url: string, localAddress: string): Asked {
  const asked = request(url, { localAddress, agent: false });
  t.after(() => asked.destroy());
  const response = new Promise<IncomingMessage | undefined>((resolve) => {
    asked.once('response', resolve);
    asked.once('error', () => resolve(undefined));
  });
  asked.on('error', () => {});
  asked.end();
  return { request: asked, response };
}

/** 0 where it is cut before. */
async function statusOf(t: Pick<TestContext, 'after'>, url: string, localAddress: string): Promise<number> {
  const response = await ask(t, url, localAddress).response;
  response?.resume();
  return response?.statusCode ?? 0;
}

for (const transport of TRANSPORTS)
  describe(`newcomers on ${transport}`, () => {
    const serve = (t: TestContext, changes = {}) =>
      serveNotifications(t, {
        p2p_websocket_transport: transport,
        p2p_notification_servers: 1,
        p2p_websocket_trusted_source_cidrs: ['none'],
        ...changes,
      });

    it('get pages of the history at once while others ask for all that are made', async (t) => {
      const { feed, http, servers } = await serve(t);
      const padding = 'x'.repeat(100_000);
      let last = 0;
      for (let bytes = 0; bytes < QUEUES.pages.bounds.scannedBytes / 2; bytes += 10 * padding.length)
        last = feed.blocks(10, padding);
      await waitFor(async () => (await pageOf(http, 'order=desc&limit=1')).events[0]?.height === last, {
        what: 'the last block',
      });
      // Nothing is found, and all of it read.
      const url = `${http}/api/v1/events?peers=${somePeer()}`;
      const counts = { made: 0, refused: 0 };
      const open = new Set<ClientRequest>();
      let asking = true;
      const crowd = Array.from({ length: 72 }, async (_, index) => {
        while (asking) {
          const asked = ask(t, url, source(index % 12));
          open.add(asked.request);
          const response = await asked.response;
          open.delete(asked.request);
          response?.resume();
          if (response?.statusCode === 200) counts.made++;
          else counts.refused++;
          if (response?.statusCode !== 200) await delay(200);
        }
      });
      await waitFor(() => counts.refused > 0, { what: 'all to be taken' });
      for (let count = 0; count < 3; count++) {
        const before = counts.made;
        assert.equal(await statusOf(t, url, source(100)), 200);
        // Of 64 that were there before.
        assert.ok(counts.made - before < 32, `behind ${counts.made - before} pages of others`);
      }
      asking = false;
      for (const each of open) each.destroy();
      await Promise.all(crowd);
      assert.ok((await metricSum(servers, 'teranode_p2p_history_pages_total')) > counts.made);
    });

    it('name peers while others hold all the filters there are', async (t) => {
      const { feed, url, http, servers } = await serve(t);
      const kinds = FRAME_KINDS.map(({ name }) => name).join();
      const peers = Array.from({ length: 100 }, somePeer).join();
      const each = FRAME_KINDS.length * 100;
      const query = `kinds=${kinds}&peers=${peers}`;
      const holders: FeedClient[] = [];
      const many = Math.floor(QUEUES.filters.bounds.subscriptions / each);
      for (let index = 0; index < many; index++) {
        const half = index < many / 2;
        const localAddress = source(half ? 1 : 2, 1 + (index % 2));
        holders.push(await feedClient(t, url, `${query}${half ? '&meta=true' : ''}`, { localAddress }));
      }
      const gone = () => holders.filter(({ code }) => code !== undefined);
      // A question takes nobody's place.
      assert.equal(await statusOf(t, `${http}/p2p-ws?${query}`, source(3)), 503);
      assert.equal(gone().length, 0);
      const newcomers = [];
      for (const network of [3, 4])
        newcomers.push(await feedClient(t, url, `${query}&meta=true`, { localAddress: source(network) }));
      await waitFor(() => gone().length === 2, { what: 'two who are ended' });
      assert.deepEqual(
        gone().map(({ code, reason }) => [code, reason]),
        Array(2).fill([1013, 'too_many_filters']),
      );
      const [told] = gone();
      assert.deepEqual(
        told?.controls('error').map(({ code, cursor }) => [code, cursor]),
        [['too_many_filters', told?.controls('hello')[0]?.cursor]],
      );
      // Who had the most has as much as others now, and is told before anything is opened.
      const refused = await refusedWith(url, query, {}, source(2, 2));
      assert.deepEqual(
        [refused.status, refused.body.code, refused.headers['retry-after']],
        [503, 'too_many_filters', '1'],
      );
      assert.equal(gone().length, 2);
      const last = feed.announce({ kind: 'subtree', author: String(peers.split(',')[7]) });
      for (const client of newcomers) await hears(client, last);
      assert.equal(await metricSum(servers, 'teranode_p2p_websocket_displaced_total'), 2);
    });

    it('have their batches while few others hold as many as are made, and nobody who shares one is ended', async (t) => {
      const { feed, url, servers } = await serve(t);
      const queries: string[] = [];
      for (const batch of [50, 100, 250, 1000])
        for (const encoding of ['', '&encoding=gzip'])
          for (const meta of ['', '&meta=true'])
            for (const kind of ['', 'block', 'subtree', 'node_status'])
              queries.push(`batch=${batch}${encoding}${meta}${kind && `&kinds=${kind}`}`);
      assert.equal(queries.length, QUEUES.batches.bounds.batches);
      const holders: FeedClient[] = [];
      // Both hold each.
      for (const network of [1, 2])
        for (const query of queries)
          holders.push(
            await feedClient(t, url, query, { localAddress: source(network, 1 + (holders.length % 2)) }),
          );
      // Of those that would be the first to go.
      const honest = [];
      for (const [index, query] of queries.slice(-8).entries())
        honest.push(await feedClient(t, url, query, { localAddress: source(3 + index) }));
      const newcomers = [];
      for (const [index, batch] of [50, 100, 250].entries()) {
        const query = `batch=${batch}&kinds=block,subtree&meta=true`;
        newcomers.push(await feedClient(t, url, query, { localAddress: source(20 + index) }));
      }
      const gone = () => holders.filter(({ code }) => code !== undefined);
      await waitFor(() => gone().length === 6, { what: 'those who are ended' });
      assert.deepEqual(
        gone().map(({ code, reason }) => [code, reason]),
        Array(6).fill([1013, 'too_many_renderings']),
      );
      const refused = await refusedWith(url, 'batch=50&kinds=rejected_tx', {}, source(1));
      assert.deepEqual([refused.status, refused.body.code], [503, 'too_many_renderings']);
      const last = feed.announce(BLOCK);
      for (const client of newcomers) await hears(client, last);
      assert.deepEqual(
        honest.map(({ code }) => code),
        Array(honest.length).fill(undefined),
      );
      assert.equal(await metricSum(servers, 'teranode_p2p_websocket_displaced_total'), 6);
    });

    it('are let in while few others hold all connections, of each kind', async (t) => {
      const { feed, url, http, servers } = await serve(t, { p2p_websocket_max_connections: 20 });
      const plain: Listener[] = [];
      const placed: FeedClient[] = [];
      const streams: string[] = [];
      const stream = async (localAddress: string) => {
        const response = await ask(t, `${http}/events`, localAddress).response;
        assert.equal(response?.statusCode, 200);
        const at = streams.push('') - 1;
        response?.setEncoding('utf8').on('data', (text: string) => {
          streams[at] += text;
        });
        response?.once('end', () => {
          streams[at] += '(end)';
        });
      };
      for (let network = 1; network <= 5; network++) {
        const localAddress = source(network);
        for (let count = 0; count < 3; count++) plain.push(await listen(t, url, { localAddress }));
        if (network === 4) placed.push(await feedClient(t, url, 'meta=true', { localAddress }));
        else if (network === 5) await stream(localAddress);
        else plain.push(await listen(t, url, { localAddress }));
      }
      await waitFor(() => servers.connections === 20, { what: 'twenty places counted' });
      assert.equal(await upgradeStatus(url, { localAddress: source(5) }), 503, 'one of those who hold all');
      await stream(source(6));
      await waitFor(() => streams[0]?.endsWith('(end)'), { what: 'a stream to be ended' });
      assert.match(streams[0] ?? '', /event: error\ndata: \{"type":"error","code":"too_many_connections"/);
      const newcomer = await feedClient(t, url, 'meta=true', { localAddress: source(7) });
      await waitFor(() => placed[0]?.code !== undefined, { what: 'a client with meta to be ended' });
      assert.deepEqual([placed[0]?.code, placed[0]?.reason], [1013, 'too_many_connections']);
      assert.deepEqual(
        placed[0]?.controls('error').map(({ code, cursor }) => [code, cursor]),
        [['too_many_connections', placed[0]?.controls('hello')[0]?.cursor]],
      );
      const another = await listen(t, url, { localAddress: source(8) });
      await waitFor(() => plain.some(({ code }) => code === 1013), { what: 'a client without to be ended' });
      assert.equal(plain.filter(({ code }) => code !== undefined).length, 1);
      await waitFor(() => servers.connections === 20, { what: 'all counted' });
      const last = feed.blocks(1);
      await waitFor(() => newcomer.frames().at(-1)?.height === last && another.heights().at(-1) === last, {
        what: 'a block',
      });
      assert.equal(await metricSum(servers, 'teranode_p2p_websocket_displaced_total'), 3);
    });
  });

describe('newcomers where processes share the port', () => {
  it('are let in by whichever they come to', async (t) => {
    const { url, servers } = await serveNotifications(t, {
      p2p_websocket_max_connections: 40,
      p2p_websocket_trusted_source_cidrs: ['none'],
    });
    const holders = await Promise.all(
      Array.from({ length: 40 }, (_, index) => listen(t, url, { localAddress: source(index % 10) })),
    );
    await waitFor(() => servers.connections === 40, { what: 'forty places counted' });
    const newcomers = [];
    // Where a process has not heard of all yet, main refuses.
    for (let network = 20; network < 26; network++)
      newcomers.push(
        await waitFor(() => listen(t, url, { localAddress: source(network) }).catch(() => undefined), {
          what: 'a newcomer to be let in',
        }),
      );
    await waitFor(() => holders.filter(({ code }) => code === 1013).length >= 6, {
      what: 'six who are ended',
    });
    assert.ok([503, 1013].includes(await refusal(url, { localAddress: source(0) })));
    assert.deepEqual(
      newcomers.map(({ code }) => code),
      Array(6).fill(undefined),
    );
  });
});
