import assert from 'node:assert/strict';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { type Browser, chromium, type Page } from 'playwright-core';
import type { NodeStatusReport } from '../../src/shared/status.js';
import { type Served, serveNotifications } from '../support/notifications.js';
import { waitFor } from '../support/wait.js';

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** `CHROMIUM`, or `chromium` on PATH. */
function chromiumPath(): string {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  const candidates = (process.env.PATH ?? '')
    .split(delimiter)
    .flatMap((folder) => ['chromium', 'chromium-browser', 'google-chrome'].map((name) => join(folder, name)));
  for (const path of candidates) {
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // The next one.
    }
  }
  throw new Error('no Chromium: set CHROMIUM to its path');
}

const XSS = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>';
const HASH = '00000000000000000a7f3d1c5b9e8f2a4c6d0b1e3f5a7c9d2e4f6a8b0c1d3e5f';
const PEERS = [
  ['12D3KooWAurora7hY2mVq8sTz4nLrXw6cKb9dPf3', 'aurora', 887_213, 0, true, 12.4],
  ['12D3KooWBoreas9kZ3nWr5tUa7oMsYx8dLc2ePg4', 'boreas', 887_213, 0, false, 38.1],
  ['12D3KooWCirrus2jX4pVs6uVb8qNtZy9eMd3fQh5', 'cirrus', 887_212, 20, true, 71.9],
  ['12D3KooWDrifty5mB6qXt8wWc9rPuAz2gNf4hRj7', '', 887_190, 70, true, 140.2],
] as const;

/** `stranger` is how the fourth peer calls itself. */
function status(stranger = 'drifty'): string {
  const report: NodeStatusReport = {
    node: {
      id: '12D3KooWNotos4gT8hVk2bRxWq6nYcLm5sJd7fPz9',
      name: 'notos',
      version: '0.1.0',
      network: 'teratestnet',
      generation: 'current',
      listenMode: 'full',
      startedAt: Date.now() - 93_784_000,
      uptime: 93_784,
      height: 887_213,
      bestBlock: HASH,
      fsmState: 'RUNNING',
    },
    peers: PEERS.map(([id, name, height, banScore, inbound, pingMs]) => ({
      id,
      name: name || stranger,
      height,
      banScore,
      inbound,
      pingMs,
      connectedAt: Date.now() - 60_000,
      messagesReceived: 10,
    })),
    sync: { id: PEERS[0][0], name: stranger, height: 887_400, since: Date.now() - 61_000 },
    health: {
      status: 503,
      dependencies: [
        { resource: 'Kafka', status: 200 },
        { resource: 'blockchain client', status: 200 },
        { resource: `block validation ${stranger}`, status: 503 },
        { resource: 'notification servers', status: 200 },
      ],
    },
    counters: { 'messages accepted': 48_213, repeats: 1207, 'records to Kafka': 47_006 },
    at: Date.now(),
  };
  return JSON.stringify(report);
}

describe('the page', () => {
  let browser: Browser;

  before(async () => {
    browser = await chromium.launch({ executablePath: chromiumPath(), args: FLAGS });
  });
  after(() => browser.close());

  async function open(t: TestContext, served: Served): Promise<{ page: Page; faults: string[] }> {
    const context = await browser.newContext({ viewport: { width: 1360, height: 1000 } });
    t.after(() => context.close());
    const page = await context.newPage();
    const faults: string[] = [];
    page.on('pageerror', (error) => faults.push(error.message));
    page.on('console', (message) => {
      // What the browser says of a lost connection is its own.
      if (message.type() === 'error' && !/WebSocket|Failed to load resource/.test(message.text()))
        faults.push(message.text());
    });
    await page.goto(served.http);
    await page.waitForSelector('#connection[data-state=live]');
    return { page, faults };
  }

  // `waitForFunction` would need `unsafe-eval`, which the page rightly does not allow.
  const newest = async (page: Page) => {
    const hash = page.locator('#feed .hash').first();
    return (await hash.count()) > 0 ? hash.getAttribute('title') : null;
  };
  const rows = (page: Page, count: number) =>
    waitFor(async () => (await page.locator('#feed .row').count()) === count, { what: `${count} rows` });
  const texts = (page: Page, selector: string) => page.locator(selector).allTextContents();

  it('shows feed, rates, peers and health from what the node says, as text', async (t) => {
    const served = await serveNotifications(t);
    served.servers.setStatus(status());
    await waitFor(async () => (await fetch(`${served.http}/api/status`)).ok, { what: 'the status' });
    const { page, faults } = await open(t, served);
    const from = (index: number) => ({ peer_id: PEERS[index % 3]?.[0], client_name: PEERS[index % 3]?.[1] });
    const hash = (index: number) => (BigInt(`0x${HASH}`) * BigInt(index * 7919 + 1)).toString(16).slice(-64);
    const { feed } = served;
    for (let index = 0; index < 28; index++) {
      feed.message({ type: 'subtree', hash: hash(index), base_url: 'https://hub.example', ...from(index) });
      if (index % 9 === 4) {
        const block = { hash: hash(index + 99), height: 887_200 + index, ...from(index) };
        feed.message({ type: 'block', base_url: 'https://hub.example', ...block });
        feed.message({
          type: 'mining_on',
          ...block,
          tx_count: 120_431,
          size_in_bytes: 48_300_211,
          miner: 'Zephyr',
        });
      }
      if (index % 13 === 5)
        feed.message({ type: 'rejected_tx', hash: hash(index), reason: 'fee too low', ...from(1) });
      await new Promise((resolve) => setTimeout(resolve, process.env.SCREENSHOT ? 250 : 20));
    }
    const screenshot = process.env.SCREENSHOT;
    if (screenshot) {
      await page.waitForSelector('#peers tr');
      await page.screenshot({ path: screenshot });
      await page.emulateMedia({ colorScheme: 'dark' });
      await page.screenshot({ path: screenshot.replace(/(\.\w+)$/, '-dark$1') });
    }
    served.servers.setStatus(status(XSS));
    feed.message({ type: 'rejected_tx', hash: XSS, reason: XSS, peer_id: XSS, client_name: XSS });
    feed.message({ type: XSS, hash: HASH });
    feed.message({ type: 'block', hash: HASH, height: 887_213, ...from(0) });
    await waitFor(async () => (await newest(page)) === HASH, { what: 'the last block' });

    const shown = await texts(page, '#feed .row');
    assert.ok(shown.length >= 35, `${shown.length} rows`);
    assert.match(String(shown[0]), /block.*0000000.*height 887,213.*aurora/);
    assert.ok((await texts(page, '#feed .detail')).some((text) => text.includes(XSS)));
    assert.equal(await page.evaluate('window.pwned'), undefined);
    assert.equal(await page.locator('#feed img, #peers img, #health img, #sync img, main script').count(), 0);

    // Rates are those of the last ten seconds, so the messages go on.
    await waitFor(
      async () => {
        feed.message({ type: 'subtree', hash: hash(0), ...from(0) });
        return (await texts(page, '.chart[data-kind=subtree] strong'))[0] !== '0/s';
      },
      { what: 'a rate', everyMs: 200 },
    );
    assert.ok(Number(await page.locator('.chart[data-kind=subtree] rect:not([height="0"])').count()) >= 1);
    assert.notEqual(await page.locator('#rate').textContent(), '0');

    await waitFor(async () => (await texts(page, '#peers .peer-name')).at(-1) === XSS, {
      what: 'the stranger',
    });
    assert.deepEqual(await texts(page, '#peers .peer-name'), ['aurora', 'boreas', 'cirrus', XSS]);
    assert.deepEqual(await texts(page, '#peers .score'), ['0', '0', '20', '70']);
    assert.match(String((await texts(page, '#peers tr'))[2]), /887,212/);
    assert.equal(await page.locator('#node-name').textContent(), 'notos');
    assert.equal(await page.locator('#height').textContent(), '887,213');
    assert.equal(await page.locator('#uptime').textContent(), '1d 2h');
    assert.equal(await page.locator('#health li[data-state=bad]').count(), 1);
    assert.equal(await page.locator('#health-state').textContent(), 'not ready');
    assert.deepEqual(await texts(page, '#health .muted'), ['ready', 'ready', 'not ready', 'ready']);
    assert.equal(await page.locator('#health-hint').isVisible(), true);
    const catching = String(await page.locator('#sync').textContent());
    assert.ok(catching.startsWith(`catching up from ${XSS} to 887,400, for 1m`), catching);
    assert.deepEqual(faults, []);
  });

  it('filters by kind, and holds still when paused', async (t) => {
    const served = await serveNotifications(t);
    const { page } = await open(t, served);
    served.feed.message({ type: 'block', hash: 'b1' });
    served.feed.message({ type: 'subtree', hash: 's1' });
    await rows(page, 3);
    await page.locator('.chip[data-kind=subtree]').click();
    assert.deepEqual(await texts(page, '#feed .row:not([hidden]) .hash'), ['b1', '']);
    await page.locator('#pause').click();
    served.feed.message({ type: 'block', hash: 'b2' });
    await waitFor(async () => (await texts(page, '#pause'))[0] === 'Resume (1 new)', {
      what: 'the held message',
    });
    assert.equal(await page.locator('#feed .row').count(), 3);
    await page.locator('#pause').click();
    await rows(page, 4);
    await page.locator('.chip[data-kind=subtree]').click();
    assert.deepEqual(await texts(page, '#feed .row:not([hidden]) .hash'), ['b2', 's1', 'b1', '']);
    const last = served.feed.blocks(1000);
    // What had not come yet would fill the list again.
    await waitFor(
      async () => (await texts(page, '#feed .row .detail'))[0] === `height ${last.toLocaleString('en')}`,
      { what: 'the last block' },
    );
    await rows(page, 200);
    await page.locator('#clear').click();
    assert.equal(await page.locator('#feed-empty').isVisible(), true);
  });

  it('comes back after the servers were killed', async (t) => {
    const served = await serveNotifications(t);
    const { page } = await open(t, served);
    const pids = served.servers.pids;
    const lost = page.waitForSelector('#connection[data-state=lost]');
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    await lost;
    await page.waitForSelector('#connection[data-state=live]');
    await waitFor(async () => (await served.servers.health()).message.includes(' 2 hear'), {
      what: 'the stream',
    });
    served.feed.message({ type: 'block', hash: 'after' });
    await waitFor(async () => (await newest(page)) === 'after', { what: 'the block' });
    assert.equal(await page.locator('#feed .hash').first().textContent(), 'after');
  });
});
