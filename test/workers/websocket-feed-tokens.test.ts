import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { hashOfToken } from '../../src/shared/firehose/tokens.js';
import { listenToEvents } from '../support/event-stream.js';
import { feedClient, hears, refusedWith } from '../support/feed-client.js';
import { metricSum, SHARES_PORT, serveNotifications, TRANSPORTS } from '../support/notifications.js';
import { temporaryDirectory } from '../support/temporary.js';
import { waitFor } from '../support/wait.js';

const line = (name: string, limits = '') => `${name}:${hashOfToken(`for-${name}`)}:${limits}\n`;

const bearer = (name: string) => ({ authorization: `Bearer for-${name}` });

for (const transport of TRANSPORTS)
  describe(`the feed by tokens on ${transport}`, () => {
    const serve = async (t: TestContext, lines: string) => {
      const path = join(temporaryDirectory(t), 'tokens');
      writeFileSync(path, lines);
      const settings = { p2p_websocket_transport: transport, p2p_notification_servers: 1 };
      return { path, ...(await serveNotifications(t, settings, { tokens: path })) };
    };

    it('is for who brings one, in the header or as a parameter, and within what it allows', async (t) => {
      const { feed, url } = await serve(
        t,
        line('all') + line('blocks', 'kinds=block connections=1') + line('live', 'replay=no'),
      );
      const cases: readonly (readonly [
        query: string,
        headers: Record<string, string>,
        status: number,
        code: string,
      ])[] = [
        ['', {}, 401, 'token_missing'],
        ['token=none', {}, 401, 'token_unknown'],
        ['', bearer('none'), 401, 'token_unknown'],
        ['kinds=subtree', bearer('blocks'), 403, 'not_allowed'],
        ['kinds=block,subtree&token=for-blocks', {}, 403, 'not_allowed'],
        ['cursor=oldest', bearer('live'), 403, 'not_allowed'],
        ['since=0&token=for-live', {}, 403, 'not_allowed'],
      ];
      for (const [query, headers, status, code] of cases) {
        const refused = await refusedWith(url, query, headers);
        assert.deepEqual([refused.status, refused.body.code], [status, code], query);
        if (status === 401) assert.match(String(refused.headers['www-authenticate']), /^Bearer/);
        const page = await feedClient(t, url, query, { origin: 'http://page.example', headers });
        await waitFor(() => page.code !== undefined, { what: 'the close' });
        assert.deepEqual([page.code, page.all[0]?.code], [status === 401 ? 4401 : 4403, code], query);
      }
      const all = await feedClient(t, url, 'cursor=now', { headers: bearer('all') });
      const blocks = await feedClient(t, url, 'meta=true&token=for-blocks');
      await waitFor(() => blocks.all.length > 0, { what: 'hello' });
      assert.ok(blocks.all[0] !== undefined && !('node' in blocks.all[0]), 'of another kind');
      assert.deepEqual((blocks.all[0] as { limits?: object } | undefined)?.limits, {
        peers: 100,
        message_bytes: 1024,
        messages_per_minute: 100,
        buffer_bytes: 1_048_576,
        kinds: ['block'],
        connections: 1,
      });
      const live = await feedClient(t, url, '', { headers: bearer('live') });
      const last = feed.announce({ kind: 'subtree' }, { kind: 'block' });
      for (const client of [all, blocks, live]) await hears(client, last);
      assert.deepEqual(blocks.numbers(), [last]);
      assert.deepEqual(all.numbers(), [last - 1, last]);
      const another = await refusedWith(url, '', bearer('blocks'));
      assert.deepEqual([another.status, another.body.code], [429, 'token_in_use']);
      blocks.socket.close();
      await waitFor(() => feedClient(t, url, '', { headers: bearer('blocks') }).catch(() => undefined), {
        what: 'the place of the one that has gone',
      });
    });

    it('ends for whose token is taken out of the file, and for nobody else', async (t) => {
      const { feed, path, url, http, servers } = await serve(t, line('stays') + line('goes'));
      const going = await Promise.all(
        ['', 'meta=true', 'kinds=block'].map((query) =>
          feedClient(t, url, query, { headers: bearer('goes') }),
        ),
      );
      const stream = await listenToEvents(t, `${http}/events`, bearer('goes'));
      const staying = await feedClient(t, url, '', { headers: bearer('stays') });
      writeFileSync(path, line('stays'));
      for (const client of going)
        await waitFor(() => client.code !== undefined, { what: 'the end of the connection' });
      assert.deepEqual(
        going.map(({ code, reason }) => [code, reason]),
        Array(3).fill([4401, 'token_unknown']),
      );
      await waitFor(() => stream.ended, { what: 'the end of the event stream' });
      assert.deepEqual(
        stream.called('error').map(({ code }) => code),
        ['token_unknown'],
      );
      const told = { code: 'token_unknown' };
      assert.equal(await metricSum(servers, 'teranode_p2p_websocket_feed_refusals_total', told), 4);
      await hears(staying, feed.announce({ kind: 'block' }));
      assert.equal((await refusedWith(url, '', bearer('goes'))).status, 401);
    });
  });

describe('a token whose last place two processes give away at once', () => {
  it('has one of them refused by its own code, with an error frame', async (t) => {
    const path = join(temporaryDirectory(t), 'tokens');
    writeFileSync(path, line('one', 'connections=1'));
    const { url, servers } = await serveNotifications(
      t,
      { p2p_websocket_transport: SHARES_PORT, p2p_notification_servers: 2 },
      { tokens: path },
    );
    // Without a native build one process serves, and nobody is let in by two.
    if (SHARES_PORT !== 'uws') return;
    assert.equal(servers.serving, 2);
    const refused = await waitFor(
      async () => {
        const tries = Array.from({ length: 10 }, () =>
          feedClient(t, url, 'meta=true', { headers: bearer('one') }).catch(() => undefined),
        );
        const clients = (await Promise.all(tries)).filter((client) => client !== undefined);
        await waitFor(() => clients.filter(({ code }) => code === undefined).length <= 1, {
          what: 'main to refuse all but one',
        });
        for (const { socket } of clients) socket.close();
        await waitFor(() => servers.connections === 0, { what: 'the place that is given back' });
        return clients.find(({ code }) => code === 1013);
      },
      { what: 'one that main refuses' },
    );
    assert.deepEqual(
      [refused.reason, refused.controls('error').map(({ code }) => code)],
      ['token_in_use', ['token_in_use']],
    );
  });
});
