/** A browser's own EventSource at `/events`. */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Browser } from 'playwright-core';
import { serveNotifications } from '../support/notifications.js';
import { launchChromium, openPage } from '../support/page.js';
import { waitFor } from '../support/wait.js';

const numbered = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);

describe('EventSource', () => {
  let browser: Browser;

  before(async () => {
    browser = await launchChromium();
  });
  after(() => browser.close());

  it('goes on by itself over a restart of the server, without a gap or a repeat', async (t) => {
    const { feed, http, servers } = await serveNotifications(t, { p2p_notification_servers: 1 });
    const { page } = await openPage(t, browser, http);
    await page.evaluate(`
      window.heard = [];
      window.opened = 0;
      // It repeats this URL, and what it asks for would bring everything again.
      const source = new EventSource('/events?cursor=oldest&kinds=block');
      source.onopen = () => window.opened++;
      source.addEventListener('block', ({ data }) => window.heard.push(JSON.parse(data).height));
    `);
    const heard = () => page.evaluate('window.heard') as Promise<number[]>;
    const hears = (height: number) =>
      waitFor(async () => (await heard()).at(-1) === height, { what: `block ${height}` });
    const first = feed.blocks(1);
    await hears(feed.blocks(49));
    process.kill(servers.pids[0] ?? 0, 'SIGKILL');
    feed.blocks(20);
    const last = feed.blocks(1);
    await hears(last);
    assert.deepEqual(await heard(), numbered(first, last));
    // A server that has just started may have no feed yet, and says so in a stream that it ends.
    assert.ok(((await page.evaluate('window.opened')) as number) >= 2);
  });

  it('is told by a server that is full, and comes again when there is room', async (t) => {
    const { feed, http } = await serveNotifications(t, {
      p2p_notification_servers: 1,
      p2p_websocket_max_connections: 1,
    });
    const abort = new AbortController();
    const taken = await fetch(`${http}/events`, { signal: abort.signal });
    assert.equal(taken.status, 200);
    // Without a feed of its own.
    const { page } = await openPage(t, browser, `${http}/health`);
    await page.evaluate(`
      window.said = [];
      const source = new EventSource('/events');
      for (const name of ['hello', 'block', 'error'])
        source.addEventListener(name, ({ type, data }) => data && window.said.push(JSON.parse(data).code ?? type));
    `);
    const said = () => page.evaluate('window.said') as Promise<string[]>;
    await waitFor(async () => (await said()).includes('too_many_connections'), { what: 'the refusal' });
    abort.abort();
    await waitFor(async () => (await said()).includes('hello'), { what: 'a stream' });
    feed.blocks(1);
    await waitFor(async () => (await said()).includes('block'), { what: 'a block' });
  });
});
