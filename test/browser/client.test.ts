/** The consumers' library in Chromium, by itself and as the example for a page has it. */

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join, normalize } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { ScriptedServer } from '../client/scripted-server.js';
import { launchChromium, openPage, sees } from '../support/page.js';
import { waitFor } from '../support/wait.js';

const TYPES: Readonly<Record<string, string>> = { html: 'text/html', js: 'text/javascript' };

/** A web server of somebody's: the example, and the package in its `node_modules`. Its URL. */
async function serveExample(context: Pick<TestContext, 'after'>): Promise<string> {
  const server = createServer(async ({ url = '' }, response) => {
    const { pathname } = new URL(url, 'http://x');
    const path = normalize(pathname).replace('/node_modules/teranode-p2p-feed/', '/');
    const file = path === pathname ? join('client/examples', path) : join('client', path);
    const body = await readFile(file).catch(() => undefined);
    const type = TYPES[path.split('.').at(-1) ?? ''] ?? 'text/plain';
    response.writeHead(body === undefined ? 404 : 200, { 'content-type': type }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as { port: number }).port}`;
}

describe('the consumers’ library', () => {
  let browser: Browser;
  before(async () => {
    browser = await launchChromium();
  });
  after(() => browser.close());

  /** A page of the web server's that does nothing itself, with what is followed from it in `window`. */
  async function follow(context: TestContext, options: object): Promise<Page> {
    const { page } = await openPage(
      context,
      browser,
      `${await serveExample(context)}/node_modules/teranode-p2p-feed/LICENSE`,
    );
    await page.evaluate(`(async () => {
      const { feed } = await import('/node_modules/teranode-p2p-feed/dist/index.js');
      window.events = [];
      window.failures = [];
      const released = new Promise((resolve) => (window.release = resolve));
      window.ended = (async () => {
        const { held, ...options } = ${JSON.stringify(options)};
        const onFailure = ({ reason, code }) => window.failures.push([reason, code]);
        for await (const event of feed({ retryMs: 200, ...options, onFailure })) {
          window.events.push(event);
          if (held) await released;
        }
      })().catch(({ name, code, detail }) => ({ name, code, detail }));
    })()`);
    return page;
  }
  const hashes = (page: Page) =>
    page.evaluate('window.events.flatMap(({ hash }) => hash ?? [])') as Promise<string[]>;
  const count = (page: Page, wanted: number) =>
    waitFor(async () => (await hashes(page)).length === wanted, {
      what: `${wanted} frames in the page`,
      everyMs: 50,
    });

  for (const encoding of [{}, { batch: 100 }, { batch: 100, gzip: true }])
    it(`goes on where it was over a restart of the server, with ${JSON.stringify(encoding)}`, async (context) => {
      const server = await ScriptedServer.listen(context);
      const sent = server.blocks(50);
      const page = await follow(context, { url: server.url, cursor: 'oldest', token: 'secret', ...encoding });
      await count(page, 50);
      await server.stop();
      sent.push(...server.blocks(50));
      await server.start();
      await count(page, 100);
      assert.deepEqual(await hashes(page), sent);
      assert.deepEqual(
        server.asked.map(({ parameters: { cursor, token } }) => [cursor, token]),
        [
          ['oldest', 'secret'],
          ['e1.50', 'secret'],
        ],
      );
    });

  it('keeps no more than the bound for a loop that does not come round, and misses nothing', async (context) => {
    const server = await ScriptedServer.listen(context);
    const page = await follow(context, { url: server.url, bufferBytes: 65_536, held: true });
    await waitFor(() => server.live.length === 1, { what: 'the page' });
    const sent = server.blocks(100, 'x'.repeat(10_000));
    await waitFor(() => server.live.length === 0, { what: 'the end of the connection' });
    sent.push(...server.blocks(10));
    await page.evaluate('window.release()');
    await count(page, 110);
    assert.deepEqual(await hashes(page), sent);
    assert.deepEqual(await page.evaluate('window.failures[0]'), ['slow', undefined]);
  });

  it('ends with what the server said of a request that it does not take', async (context) => {
    const server = await ScriptedServer.listen(context);
    server.instead = (socket) => {
      socket.send('{"type":"error","code":"unknown_kind","text":"no","kinds":["block"]}');
      socket.close(4400);
      return true;
    };
    const page = await follow(context, { url: server.url });
    assert.deepEqual(await page.evaluate('window.ended'), {
      name: 'FeedError',
      code: 'unknown_kind',
      detail: { kinds: ['block'] },
    });
  });

  it('does in a page what the example says: goes on over an end of the server and of the page', async (context) => {
    const server = await ScriptedServer.listen(context);
    const at = `${await serveExample(context)}/browser.html?url=${encodeURIComponent(server.url)}`;
    const { page, faults } = await openPage(context, browser, at);
    await sees(page, '#state', ['live']);
    const shown = (list: readonly string[]) =>
      sees(
        page,
        '#blocks li',
        list.map((hash) => `block undefined ${hash}`),
      );
    const sent = server.blocks(2);
    await shown(sent);
    await server.stop();
    await sees(page, '#state', /again in \d+ ms/);
    sent.push(...server.blocks(1));
    await server.start();
    await shown(sent);
    await page.goto('about:blank');
    const meanwhile = server.blocks(2);
    await page.goto(at);
    await sees(page, '#blocks li', new RegExp(String(meanwhile[1])));
    await shown(meanwhile);
    assert.deepEqual(faults, []);
  });
});
