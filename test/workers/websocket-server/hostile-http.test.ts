/** Requests to the feed's HTTP endpoints that mean no good: drawn from a seed, which a failure names; `SEED=<seed>` draws the same again. */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { Archiver } from '../../../src/shared/archive/archiver.js';
import { allPages, eventsOf, pageOf } from '../../support/history-pages.js';
import {
  listen,
  metricSum,
  type Served,
  serveNotifications,
  TRANSPORTS,
} from '../../support/notifications.js';
import { randomNumbers } from '../../support/random.js';
import { waitFor } from '../../support/wait.js';

const SEED = Number(process.env.SEED ?? Date.now() % 2 ** 31);
const PADDING = 'x'.repeat(3_000);
/** What any of them may be answered. */
const EXPECTED = new Set([200, 206, 304, 400, 404, 405, 406, 410, 412, 414, 416, 429, 431, 503, 505]);

/** Sends a request and gives the status, once its line is there; 0 where the connection ends without. */
function statusOf(t: Pick<TestContext, 'after'>, port: number, head: string): Promise<number> {
  const socket = connect(port, '127.0.0.1');
  t.after(() => socket.destroy());
  return new Promise((resolve) => {
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      const status = /^HTTP\/1\.1 (\d{3}) /.exec(text)?.[1];
      if (status === undefined) return;
      resolve(Number(status));
      socket.resetAndDestroy();
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(0));
    socket.write(head, 'latin1');
  });
}

for (const transport of TRANSPORTS)
  describe(`hostile requests on ${transport}, seed ${SEED}`, () => {
    const serve = (t: TestContext): Promise<Served> =>
      serveNotifications(
        t,
        { p2p_websocket_transport: transport, p2p_notification_servers: 1 },
        { journal: { segmentBytes: 300_000 } },
      );

    it('are each answered with what they deserve, and cost nobody anything', async (t) => {
      const { feed, servers, http, url } = await serve(t);
      const random = randomNumbers(SEED);
      const pick = <T>(...values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;
      const below = (end: number) => Math.floor(random() * end);
      for (let count = 0; count < 30; count++) feed.blocks(10, PADDING);
      const archiver = new Archiver({
        directory: feed.journal.directory,
        by: process.pid,
        progress: () => {},
      });
      archiver.sweep();
      for (const segment of archiver.due()) await archiver.archive(segment);
      const { segments } = (await (await fetch(`${http}/api/v1/segments`)).json()) as {
        segments: { url: string; cursor: string }[];
      };
      const epoch = segments[0]?.cursor.split('.')[0] ?? '';
      const { pids } = servers;
      const live = await listen(t, url);
      const number = () =>
        pick('0', '1', '-1', '1e3', '00', String(below(400)), '9007199254740993', '9'.repeat(100), '');
      const cursor = () =>
        `${pick(epoch, epoch.slice(1), epoch.toUpperCase(), '0'.repeat(16), '', 'x'.repeat(100))}${pick('.', '', '..')}${number()}`;
      const bytes = (length: number) =>
        Buffer.from(Array.from({ length }, () => pick(below(94) + 33, 32, 34, 44, 61))).toString('latin1');
      const value = (): string =>
        pick(
          () => cursor(),
          () => bytes(below(200)),
          () => encodeURIComponent(bytes(below(50))),
          () => 'block,'.repeat(below(200)),
          () => number(),
          () => '%',
        )();
      const path = () =>
        pick(
          '/events',
          '/api/v1/events',
          '/api/v1/segments',
          pick(...segments.map(({ url }) => url)),
          `/api/v1/segments/${pick(epoch, epoch.toUpperCase(), '0'.repeat(16), '')}/${number()}`,
          `/api/v1/segments/${encodeURIComponent(bytes(10))}`,
        );
      const name = () =>
        pick('cursor', 'since', 'kinds', 'peers', 'limit', 'order', 'strict', 'event', 'token', 'meta', 'x');
      const query = () =>
        Array.from({ length: below(4) }, () => `${name()}=${value()}`)
          .join('&')
          .replace(/[^!-~]/g, '');
      const header = () =>
        `${pick('Range', 'If-Range', 'If-Match', 'If-None-Match', 'Accept', 'Accept-Encoding', 'Last-Event-ID', 'Authorization', 'Origin')}: ${pick(
          () => bytes(below(300)),
          () => `bytes=${number()}-${number()}`,
          () => `bytes=${Array.from({ length: below(100) }, () => `${number()}-${number()}`).join(',')}`,
          () => cursor(),
          () => '"'.repeat(below(1000)),
          () => `${'gzip;q=0.1,'.repeat(below(200))}`,
        )()}\r\n`;
      const statuses = new Map<number, number>();
      for (let round = 0; round < 40; round++) {
        const heads = Array.from(
          { length: 25 },
          () =>
            `${pick('GET', 'GET', 'GET', 'HEAD', 'OPTIONS', 'POST')} ${path()}?${query()} HTTP/1.1\r\nHost: x\r\n${Array.from({ length: below(4) }, header).join('')}\r\n`,
        );
        const answers = await Promise.all(heads.map((head) => statusOf(t, servers.port, head)));
        answers.forEach((status, index) => {
          assert.ok(EXPECTED.has(status), `${status} to ${JSON.stringify(heads[index])}`);
          statuses.set(status, (statuses.get(status) ?? 0) + 1);
        });
      }
      assert.ok((statuses.get(400) ?? 0) > 100, JSON.stringify([...statuses]));
      const last = feed.blocks(1);
      await waitFor(() => live.heights().at(-1) === last, { what: 'a block' });
      assert.deepEqual(servers.pids, pids);
      await waitFor(async () => (await metricSum(servers, 'teranode_p2p_event_streams')) === 0, {
        what: 'the places of those who are gone',
      });
      await waitFor(() => servers.connections === 1, { what: 'the places counted by main' });
    });

    it('find the same in a journal with damage all over, in both orders', async (t) => {
      const { feed, servers, http } = await serve(t);
      const random = randomNumbers(SEED);
      for (let count = 0; count < 60; count++) feed.blocks(3, PADDING);
      const last = feed.blocks(1);
      await waitFor(async () => (await pageOf(http, 'order=desc&limit=1')).events[0]?.height === last, {
        what: 'the last block',
      });
      const { directory } = feed.journal;
      for (let round = 0; round < 5; round++) {
        for (const file of readdirSync(directory).filter((each) => each.endsWith('.journal'))) {
          const bytes = readFileSync(join(directory, file));
          const at = Math.floor(random() * bytes.length);
          bytes[at] = Number(bytes[at]) ^ (1 << Math.floor(random() * 8));
          writeFileSync(join(directory, file), bytes);
        }
        const up = eventsOf(await allPages(http, 'limit=7'));
        const down = eventsOf(await allPages(http, 'limit=7&order=desc'));
        const seqs = (events: readonly Record<string, unknown>[]) =>
          events.filter(({ type }) => type !== 'info').map(({ seq }) => Number(seq));
        assert.deepEqual(seqs(down).reverse(), seqs(up), `round ${round}`);
        // What is not there is told.
        let next = seqs(up)[0] ?? 0;
        let told = true;
        for (const event of up) {
          if (event.type === 'info') told = true;
          else {
            assert.ok(event.seq === next || told, `${next} is missing before ${event.seq}, unsaid`);
            next = Number(event.seq) + 1;
            told = false;
          }
        }
      }
      assert.equal(servers.serving, 1);
    });
  });
