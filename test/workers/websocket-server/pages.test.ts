/** The history, a page at a time. */

import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { QUEUES } from '../../../src/shared/queues.js';
import { listenToEvents } from '../../support/event-stream.js';
import { feedClient } from '../../support/feed-client.js';
import { allPages, eventsOf, pageOf } from '../../support/history-pages.js';
import { listen, metricSum, serveNotifications, TRANSPORTS } from '../../support/notifications.js';
import { waitFor } from '../../support/wait.js';

const PEER = '12D3KooWJ1VtwjXHmd4jvnA8nYGdkXnCJtS9RzUi2vEJJmoCNkkJ';
const PADDING = 'x'.repeat(20_000);
const { perSource, scannedBytes, pageMs } = QUEUES.pages.bounds;

const numbered = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);
const heights = (events: readonly Record<string, unknown>[]) =>
  events.filter(({ type }) => type === 'block').map(({ height }) => Number(height));

/** Of the whole answer to a client at `localAddress`. */
const statusOf = (url: string, localAddress: string) =>
  new Promise<number>((resolve, reject) => {
    get(url, { localAddress, agent: false }, (answer) => {
      answer.resume();
      answer.once('error', reject);
      answer.once('end', () => resolve(answer.statusCode ?? 0));
    }).once('error', reject);
  });

for (const transport of TRANSPORTS)
  describe(`pages of the history on ${transport}`, () => {
    const serve: typeof serveNotifications = (t, changes, options) =>
      serveNotifications(
        t,
        { p2p_websocket_transport: transport, p2p_notification_servers: 1, ...changes },
        options,
      );

    /** Until this process has heard the block. */
    const heard = async (http: string, height: number) => {
      await waitFor(
        async () => heights((await pageOf(http, 'order=desc&limit=1&kinds=block')).events)[0] === height,
        { what: `block ${height}` },
      );
    };

    it('are what a stream would tell, each frame once, whatever the length of a page', async (t) => {
      const { feed, http } = await serve(t);
      const last = feed.blocks(250);
      await heard(http, last);
      const stream = await listenToEvents(t, `${http}/events?cursor=oldest`);
      await waitFor(() => stream.heights().at(-1) === last, { what: 'the last block' });
      const told = stream.frames();
      for (const limit of [1, 7, 83, 251, 1000]) {
        const pages = await allPages(http, `limit=${limit}`);
        assert.deepEqual(eventsOf(pages), told, `pages of ${limit}`);
        for (const { events, more, tookMs } of pages.slice(0, -1)) {
          assert.equal(more, true);
          // One that takes too long to make ends where it is.
          assert.ok(
            events.length === limit || (events.length < limit && tookMs >= pageMs),
            `${events.length} events`,
          );
        }
        const backwards = await allPages(http, `limit=${limit}&order=desc`);
        assert.deepEqual(eventsOf(backwards).reverse(), told, `pages of ${limit}, the newest first`);
      }
    });

    it('go on where the last ended, also when that was all there was', async (t) => {
      const { feed, http } = await serve(t);
      const last = feed.blocks(10);
      await heard(http, last);
      const first = (await allPages(http, 'limit=1000')).at(-1);
      assert.equal(first?.more, false);
      const cursor = encodeURIComponent(first?.next ?? '');
      assert.deepEqual((await pageOf(http, `cursor=${cursor}`)).events, []);
      const newest = feed.blocks(3);
      await heard(http, newest);
      assert.deepEqual(heights((await pageOf(http, `cursor=${cursor}`)).events), numbered(last + 1, newest));
      // The same point, looked at from the other side.
      const before = await pageOf(http, `cursor=${cursor}&order=desc&limit=2`);
      assert.deepEqual(heights(before.events), [last, last - 1]);
      const stream = await listenToEvents(t, `${http}/events?cursor=${cursor}`);
      await waitFor(() => stream.heights().length === 3, { what: 'what followed' });
      assert.deepEqual(stream.heights(), numbered(last + 1, newest));
    });

    it('have the kinds and peers that are asked for, a hundred unless told', async (t) => {
      const { feed, http } = await serve(t);
      const first = feed.announce({ kind: 'subtree', author: PEER });
      for (let count = 1; count < 150; count++)
        feed.announce({ kind: 'subtree', author: count % 10 === 0 ? PEER : 'other' });
      const last = feed.blocks(100);
      await heard(http, last);
      const of = async (query: string) =>
        (await pageOf(http, query)).events.map(({ n }) => Number(n) - first);
      assert.equal((await of('kinds=subtree')).length, 100);
      assert.deepEqual(await of(`peers=${PEER}&limit=4`), [0, 10, 20, 30]);
      assert.deepEqual(await of(`peers=${PEER}&kinds=subtree&order=desc&limit=3`), [140, 130, 120]);
      assert.deepEqual(await of(`peers=${PEER}&kinds=block`), []);
    });

    it('begin at a time', async (t) => {
      const { feed, http } = await serve(t);
      await heard(http, feed.blocks(3));
      const far = new Date(Date.now() + 3_600_000).toISOString();
      assert.deepEqual((await pageOf(http, `since=${far}`)).events, []);
      assert.equal(heights((await pageOf(http, 'since=0')).events).length, 3);
      const refused = await fetch(`${http}/api/v1/events?since=0&order=desc`);
      assert.deepEqual(
        [refused.status, ((await refused.json()) as Record<string, unknown>).parameter],
        [400, 'since'],
      );
    });

    it('gives back what it has, and where to go on, when a page has read as much as it may', async (t) => {
      const { feed, http } = await serve(t);
      feed.announce({ kind: 'subtree', author: PEER });
      const padding = 'x'.repeat(100_000);
      for (let bytes = 0; bytes < scannedBytes * 1.5; bytes += 10 * padding.length) feed.blocks(10, padding);
      feed.announce({ kind: 'subtree', author: PEER });
      const last = feed.blocks(1);
      await heard(http, last);
      for (const order of ['asc', 'desc']) {
        const pages = await allPages(http, `peers=${PEER}&order=${order}`);
        assert.ok(pages.length >= 2, `${pages.length} pages`);
        assert.equal(eventsOf(pages).length, 2);
      }
    });

    it('let live clients not wait, however many are asked for', async (t) => {
      const { feed, http, url, servers } = await serve(t);
      const padding = 'x'.repeat(20_000);
      let last = 0;
      for (let round = 0; round < 50; round++) last = feed.blocks(10, padding);
      await heard(http, last);
      const live = await listen(t, url);
      let made = 0;
      let asking = true;
      // Who waited for all that is asked for would wait for ever.
      const asked = Array.from({ length: 8 }, async () => {
        while (asking) {
          const { status } = await fetch(`${http}/api/v1/events?peers=${PEER}`);
          assert.ok(status === 200 || status === 429);
          if (status === 200) made++;
        }
      });
      for (let count = 0; count < 20 || made === 0; count++) {
        last = feed.blocks(1);
        await waitFor(() => live.heights().at(-1) === last, { what: 'a block' });
      }
      asking = false;
      await Promise.all(asked);
      // Their heads are out before they are made.
      const counted = () => metricSum(servers, 'teranode_p2p_history_pages_total', { outcome: 'made' });
      await waitFor(async () => (await counted()) > 0, { what: 'a page that was made' });
    });

    it('are refused to a source that asks for too many at once, and counted', async (t) => {
      const { feed, http, servers } = await serve(t, { p2p_websocket_trusted_source_cidrs: ['127.0.0.1'] });
      await heard(http, feed.blocks(10));
      const told = new Map<number, number>();
      let source = 1;
      await waitFor(
        async () => {
          // Each time another one, which has not asked for too much in all.
          const localAddress = `127.0.0.${++source}`;
          const asked = Array.from({ length: 4 * perSource }, async () => {
            const status = await statusOf(`${http}/api/v1/events`, localAddress);
            told.set(status, (told.get(status) ?? 0) + 1);
          });
          await Promise.all(asked);
          return told.has(429);
        },
        { what: 'a refusal' },
      );
      assert.deepEqual([...told.keys()].sort(), [200, 429]);
      const refused = await metricSum(servers, 'teranode_p2p_history_pages_total', { outcome: 'refused' });
      assert.equal(refused, told.get(429));
    });

    it('tell what is missing of a damaged segment, in its place, in both orders, and count it as streams do', async (t) => {
      const { feed, http, url, servers } = await serve(t);
      // A batch each.
      const first = feed.blocks(1, PADDING);
      for (let count = 1; count < 30; count++) feed.blocks(1, PADDING);
      const last = first + 29;
      await heard(http, last);
      const file = readdirSync(feed.journal.directory).find((name) => name.endsWith('.journal')) ?? '';
      const path = join(feed.journal.directory, file);
      const bytes = readFileSync(path);
      bytes.fill(0x2e, bytes.indexOf(`"height":${first + 10},`), bytes.indexOf(`"height":${first + 13},`));
      writeFileSync(path, bytes);
      const up = eventsOf(await allPages(http, 'limit=5&kinds=block'));
      const down = eventsOf(await allPages(http, 'limit=5&kinds=block&order=desc'));
      const found = up.map(({ type, code, height }) => (type === 'info' ? code : height));
      assert.ok(found.includes('gap'));
      const blocksFound = heights(up);
      assert.deepEqual([blocksFound[0], blocksFound.at(-1)], [first, last]);
      assert.ok(blocksFound.length < 30 && blocksFound.length >= 26, `${blocksFound}`);
      assert.deepEqual(heights(down).reverse(), blocksFound);
      const gap = up[found.indexOf('gap')] as Record<string, number>;
      const [before, after] = [up[found.indexOf('gap') - 1], up[found.indexOf('gap') + 1]];
      assert.deepEqual([gap.from, gap.to], [Number(before?.seq) + 1, Number(after?.seq) - 1]);
      const gapDown = down.findIndex(({ code }) => code === 'gap');
      assert.equal(down[gapDown - 1]?.seq, after?.seq);
      assert.equal(down[gapDown + 1]?.seq, before?.seq);
      const counted = () => metricSum(servers, 'teranode_p2p_websocket_feed_infos_total', { code: 'gap' });
      const gapsOf = (events: readonly Record<string, unknown>[]) =>
        events.filter(({ code }) => code === 'gap').length;
      const pages = gapsOf(up) + gapsOf(down);
      assert.equal(await counted(), pages);
      const stream = await listenToEvents(t, `${http}/events?cursor=oldest&kinds=block`);
      await waitFor(() => stream.heights().at(-1) === last, { what: 'the last block' });
      const socket = await feedClient(t, url, 'cursor=oldest&kinds=block');
      await waitFor(() => socket.all.at(-1)?.height === last, { what: 'the last block' });
      const told = [gapsOf(stream.called('info')), gapsOf(socket.all)];
      assert.ok(told.every((gaps) => gaps > 0));
      assert.equal(
        await counted(),
        told.reduce((sum, gaps) => sum + gaps, pages),
      );
    });

    it('break off where a segment cannot be read, and are counted as failed', async (t) => {
      const { feed, http, servers } = await serve(t, {}, { journal: { segmentBytes: 100_000 } });
      for (let count = 0; count < 20; count++) feed.blocks(1, PADDING);
      await heard(http, feed.blocks(1));
      const { directory } = feed.journal;
      const [first = ''] = readdirSync(directory).filter((name) => name.endsWith('.journal'));
      rmSync(join(directory, first));
      // Whoever may read everything cannot read this either.
      mkdirSync(join(directory, first));
      const told = await fetch(`${http}/api/v1/events?order=desc&limit=1000`).then(
        (answer) => answer.text().catch(() => ''),
        () => '',
      );
      assert.equal(told, '');
      assert.equal(await metricSum(servers, 'teranode_p2p_history_pages_total', { outcome: 'failed' }), 1);
      assert.equal((await pageOf(http, 'order=desc&limit=1')).events.length, 1);
    });

    it('end visibly where the disk does not give what it has, and others notice nothing', async (t) => {
      const { feed, http, url } = await serve(t);
      const live = await listen(t, url);
      await heard(http, feed.blocks(5));
      const { next = '' } = await pageOf(http, 'limit=3');
      for (const name of readdirSync(feed.journal.directory))
        truncateSync(join(feed.journal.directory, name), 0);
      const told = await fetch(`${http}/api/v1/events?cursor=${encodeURIComponent(next)}`).then(
        async (answer) => (answer.ok ? await answer.text().catch(() => 'cut') : 'refused'),
        () => 'cut',
      );
      assert.ok(
        ['refused', 'cut'].includes(told) || /"code":"(gap|cursor_too_old|cursor_unknown)"/.test(told),
        told,
      );
      const last = feed.blocks(1);
      await waitFor(() => live.heights().at(-1) === last, { what: 'a live block' });
    });
  });
