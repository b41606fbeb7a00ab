import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import type { Browser, BrowserContextOptions, Locator, Page } from 'playwright-core';
import { type Served, serveNotifications } from '../support/notifications.js';
import { beat, HASH, launchChromium, openPage, PEERS, seen, sees, status } from '../support/page.js';

const REASON = `TX_INVALID (31): ${'the fee of this transaction is lower than the policy asks for, '.repeat(8)}so it goes`;
/** Above 2^53, where JavaScript's numbers are no longer exact. */
const COUNT = 18_446_744_073_709_551_615n;
const PHONE = { viewport: { width: 320, height: 640 }, isMobile: true, hasTouch: true };

describe('what is cut short on the page', () => {
  let browser: Browser;

  before(async () => {
    browser = await launchChromium('--host-resolver-rules=MAP node.test 127.0.0.1');
  });
  after(() => browser.close());

  async function open(
    t: TestContext,
    options: BrowserContextOptions = {},
    host = '127.0.0.1',
  ): Promise<{ served: Served; page: Page; row: Locator; clipboard: () => Promise<string> }> {
    const served = await serveNotifications(t);
    beat(t, served, status());
    const { page } = await openPage(t, browser, `http://${host}:${served.servers.port}`, options);
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write'], { origin: served.http });
    await sees(page, '#connection', 'live');
    served.feed.message({ type: 'rejected_tx', hash: HASH, reason: REASON, tx_count: COUNT, peer_id: 'a' });
    await sees(page, '#feed .row', /rejected_tx/);
    const clipboard = async () => {
      // Only what came from this machine, or by HTTPS, may read it.
      const reader = await page.context().newPage();
      await reader.goto(served.http);
      const text = String(await reader.evaluate('navigator.clipboard.readText()'));
      await reader.close();
      await page.bringToFront();
      return text;
    };
    return { served, page, row: page.locator('#feed .row', { hasText: 'rejected_tx' }), clipboard };
  }

  /** The message in full, each value within the width of the window. */
  async function readsAll(page: Page) {
    await sees(page, 'body', new RegExp(HASH));
    const [text = ''] = await seen(page, 'body');
    assert.ok(text.includes(REASON), 'the reason');
    assert.ok(text.includes(String(COUNT)), 'a number, exactly');
    const width = Number(await page.evaluate('innerWidth'));
    for (const value of await page.locator('dd').all()) {
      const box = await value.boundingBox();
      if (box !== null) assert.ok(box.x >= 0 && box.x + box.width <= width, JSON.stringify(box));
    }
  }

  it('is read in full at a click on its row, and copied', async (t) => {
    const { served, page, row, clipboard } = await open(t);
    await sees(page, '#feed .detail', /^TX_INVALID/);
    await row.click();
    await readsAll(page);
    await page.getByRole('button', { name: 'Copy hash' }).click();
    await sees(page, 'dialog [role=status]', 'Copied hash.');
    assert.equal(await clipboard(), HASH);
    await page.getByRole('button', { name: 'Copy all as JSON' }).click();
    await sees(page, 'dialog [role=status]', 'Copied all of it.');
    const json = await clipboard();
    assert.match(json, new RegExp(`"hash":"${HASH}"`));
    assert.match(json, new RegExp(`"tx_count":${COUNT}\\b`), 'as it came');
    await page.getByRole('button', { name: 'Close' }).click();
    await sees(page, 'dialog', []);
    // In the row too a number is all of it.
    served.feed.message({ type: 'mining_on', hash: 'f00d', tx_count: COUNT });
    await sees(page, '#feed .detail', '18,446,744,073,709,551,615 tx');
  });

  it('is read in full at a tap on a phone, with nothing beside the screen', async (t) => {
    const { page, row } = await open(t, PHONE);
    await row.tap();
    await readsAll(page);
    const close = page.getByRole('button', { name: 'Close' });
    const box = await close.boundingBox();
    assert.ok(box !== null && box.y >= 0 && box.y + box.height <= 640, 'in reach');
    await close.tap();
    await sees(page, 'dialog', []);
  });

  it('is read in full and copied by keys alone', async (t) => {
    const { served, page, clipboard } = await open(t);
    served.feed.message({ type: 'subtree', hash: 'f00d' });
    await sees(page, '#feed .row .kind', ['subtree', 'rejected_tx', 'node_status']);
    await page.locator('#clear').focus();
    for (const key of ['Tab', 'ArrowDown', 'Enter']) await page.keyboard.press(key);
    await readsAll(page);
    await page.keyboard.press('Escape');
    await sees(page, 'dialog', []);
    // Back at the row, whatever has come above it.
    served.feed.message({ type: 'subtree', hash: 'cafe' });
    await sees(page, '#feed .hash', 'cafe');
    await page.keyboard.press('c');
    await sees(page, '[role=status]', /^Copied 00000000/);
    assert.equal(await clipboard(), HASH);
    // The newest; Tab goes past the two hundred at once.
    for (const key of ['Home', 'Enter']) await page.keyboard.press(key);
    await sees(page, 'dialog .value', 'cafe');
    for (const key of ['Escape', 'Tab', 'Enter']) await page.keyboard.press(key);
    await sees(page, 'dialog .value', PEERS[0][0]);
  });

  it('is copied where the page came by plain HTTP from another machine', async (t) => {
    const { page, row, clipboard } = await open(t, {}, 'node.test');
    assert.equal(await page.evaluate('isSecureContext'), false);
    await row.click();
    await page.getByRole('button', { name: 'Copy hash' }).click();
    await sees(page, 'dialog [role=status]', 'Copied hash.');
    assert.equal(await clipboard(), HASH);
  });

  it('is what was pressed, while the list goes on under the pointer', async (t) => {
    const { served, page, row } = await open(t);
    const box = await row.boundingBox();
    assert.ok(box !== null);
    await page.mouse.move(box.x + 40, box.y + box.height / 2);
    await page.mouse.down();
    for (let index = 0; index < 20; index++) served.feed.message({ type: 'subtree', hash: `s${index}` });
    // Counted, so drawn unless the list waits.
    await sees(page, '#total', '22 in all');
    await page.mouse.up();
    await sees(page, 'dialog .value', HASH);
    await page.keyboard.press('Escape');
    await sees(page, '#feed .hash', 's19');
  });

  it('is read in full of a peer and of the node too, and what is at hand stays so when the status changes', async (t) => {
    const long = `${'a node of a mining pool with a very long name '.repeat(3)}7`;
    const served = await serveNotifications(t);
    const say = beat(t, served, status(long));
    const { page } = await openPage(t, browser, served.http);
    await sees(page, '#peers .peer-name', long);
    await page.locator('#peers button', { hasText: 'mining pool' }).click();
    await sees(page, 'dialog .value', long);
    await sees(page, 'dialog .value', PEERS[3][0]);
    await page.keyboard.press('Escape');
    const newer = status(long);
    say({ ...newer, node: { ...newer.node, height: 887_214 }, peers: newer.peers.slice(1) });
    await sees(page, '#height', '887,214');
    await sees(page, '#peers .peer-name', ['boreas', 'cirrus', long]);
    await page.keyboard.press('Enter');
    await sees(page, 'dialog .value', PEERS[3][0]);
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: '00000000…1d3e5f' }).click();
    await sees(page, 'dialog .value', HASH);
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: newer.node.id.slice(0, 12) }).click();
    await sees(page, 'dialog .value', newer.node.id);
    // By day and hour, not in milliseconds.
    await sees(page, 'dialog .value', /^20\d\d-\d\d-\d\dT/);
  });

  it('shows what a stranger hid in a text', async (t) => {
    const { served, page } = await open(t);
    served.feed.message({ type: 'block', hash: 'b1', client_name: 'honest\u202Eliar', peer_id: 'x' });
    await sees(page, '#feed .from', 'honest\u{fffd}liar');
    await page.locator('#feed .row', { hasText: 'b1' }).click();
    await sees(page, 'dialog .value', 'honest\u{fffd}liar');
  });
});
