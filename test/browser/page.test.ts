import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { LossyProxy } from '../support/lossy-proxy.js';
import { type Served, serveNotifications } from '../support/notifications.js';
import {
  beat,
  HASH,
  launchChromium,
  type Opened,
  openPage,
  PEERS,
  seen,
  sees,
  status,
} from '../support/page.js';
import { waitFor } from '../support/wait.js';

const XSS = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>';
describe('the page', () => {
  let browser: Browser;

  before(async () => {
    browser = await launchChromium();
  });
  after(() => browser.close());

  /** The page, live. */
  async function open(t: TestContext, served: Served): Promise<Opened> {
    const opened = await openPage(t, browser, served.http);
    await sees(opened.page, '#connection', 'live');
    return opened;
  }

  const rows = (page: Page, count: number) =>
    waitFor(async () => (await seen(page, '#feed .row')).length === count, {
      what: `${count} rows in sight`,
    });

  it('shows feed, rates, peers and health from what the node says, as text', async (t) => {
    const served = await serveNotifications(t);
    const say = beat(t, served, status());
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
      await sees(page, '#peers .peer-name', 'drifty');
      await page.screenshot({ path: screenshot });
      await page.emulateMedia({ colorScheme: 'dark' });
      await page.screenshot({ path: screenshot.replace(/(\.\w+)$/, '-dark$1') });
    }
    say(status(XSS));
    feed.message({ type: 'rejected_tx', hash: XSS, reason: XSS, peer_id: XSS, client_name: XSS });
    feed.message({ type: XSS, hash: HASH });
    feed.message({ type: 'block', hash: HASH, height: 887_213, ...from(0) });
    await sees(page, '#feed .row', /block.*00000000…1d3e5f.*height 887,213.*aurora/s);
    const shown = await seen(page, '#feed .row');
    assert.ok(shown.length >= 35, `${shown.length} rows`);
    assert.match(String(shown[0]), /height 887,213/, 'the newest is first');
    assert.ok((await seen(page, '#feed .detail')).some((text) => text.includes(XSS)));
    assert.equal(await page.evaluate('window.pwned'), undefined);
    assert.equal(await page.locator('#feed img, #peers img, #health img, #sync img, main script').count(), 0);

    // Rates are those of the last ten seconds, so the messages go on.
    await waitFor(
      async () => {
        feed.message({ type: 'subtree', hash: hash(0), ...from(0) });
        return (await seen(page, '.chart[data-kind=subtree] strong'))[0] !== '0/s';
      },
      { what: 'a rate', everyMs: 200 },
    );
    assert.ok((await seen(page, '.chart[data-kind=subtree] rect')).length >= 1, 'bars');
    await waitFor(async () => Number((await seen(page, '#rate'))[0]) > 0, { what: 'the rate of all' });

    await sees(page, '#peers .peer-name', ['aurora', 'boreas', 'cirrus', XSS]);
    await sees(page, '#peers .score', ['0', '0', '20', '70']);
    assert.match(String((await seen(page, '#peers tr'))[2]), /887,212/);
    await sees(page, '#node-name', ['notos']);
    await sees(page, '#height', ['887,213']);
    await sees(page, '#uptime', ['1d 2h']);
    await sees(page, '#health-state', ['not ready']);
    await sees(page, '#health li', /^block validation.*not ready$/s);
    assert.equal((await seen(page, '#health li')).filter((text) => /not ready$/.test(text)).length, 1);
    await sees(page, '#health-hint', /^Reasons are on the health port/);
    const [catching = ''] = await seen(page, '#sync');
    assert.ok(catching.startsWith(`catching up from ${XSS} to 887,400, for 1m`), catching);
    assert.deepEqual(faults, []);
  });

  it('puts out of sight what is switched off, says so where nothing is left, and brings it back', async (t) => {
    const served = await serveNotifications(t);
    beat(t, served, status());
    const { page } = await open(t, served);
    const kinds = (expected: readonly string[]) => sees(page, '#feed .row .kind', expected);
    const chip = (kind: string) => page.locator('#filters button', { hasText: kind });
    served.feed.message({ type: 'block', hash: 'b1' });
    served.feed.message({ type: 'subtree', hash: 's1' });
    await kinds(['subtree', 'block', 'node_status']);
    await chip('subtree').click();
    await kinds(['block', 'node_status']);
    await chip('block').click();
    await chip('node_status').click();
    await kinds([]);
    await sees(page, '#feed-empty', /^Nothing but what is switched off: block, subtree, node_status\./);
    served.feed.message({ type: 'subtree', hash: 's2' });
    served.feed.message({ type: 'rejected_tx', hash: 'r1' });
    await kinds(['rejected_tx']);
    await sees(page, '#feed-empty', []);
    await chip('rejected_tx').click();
    await page.locator('#feed-empty button').click();
    await kinds(['rejected_tx', 'subtree', 'subtree', 'block', 'node_status']);
    await sees(page, '#feed-empty', []);
  });

  it('still has the blocks when thousands of subtrees came after them', async (t) => {
    const served = await serveNotifications(t);
    beat(t, served, status());
    const { page } = await open(t, served);
    served.feed.message({ type: 'block', hash: 'b1', height: 1 });
    for (let index = 0; index < 3000; index++) served.feed.message({ type: 'subtree', hash: `s${index}` });
    await sees(page, '#feed .row .hash', 's2999');
    await rows(page, 200);
    await page.locator('#filters button', { hasText: 'subtree' }).click();
    await sees(page, '#feed .row .kind', ['block', 'node_status']);
  });

  it('holds still when paused, keeps what comes, and is cleared', async (t) => {
    const served = await serveNotifications(t);
    beat(t, served, status());
    const { page } = await open(t, served);
    const kinds = (expected: readonly string[]) => sees(page, '#feed .row .kind', expected);
    served.feed.message({ type: 'subtree', hash: 's1' });
    await kinds(['subtree', 'node_status']);
    await page.locator('#pause').click();
    served.feed.message({ type: 'block', hash: 'b1' });
    await sees(page, '#pause', ['Resume (1 new)']);
    await kinds(['subtree', 'node_status']);
    // Switching a kind draws the list anew, of what was there when it was paused.
    await page.locator('#filters button', { hasText: 'subtree' }).click();
    await kinds(['node_status']);
    await page.locator('#filters button', { hasText: 'subtree' }).click();
    await kinds(['subtree', 'node_status']);
    await page.locator('#pause').click();
    await kinds(['block', 'subtree', 'node_status']);
    const last = served.feed.blocks(1000);
    // What had not come yet would fill the list again.
    await sees(page, '#feed .row .detail', `height ${last.toLocaleString('en')}`);
    await rows(page, 200);
    await page.locator('#clear').click();
    await rows(page, 0);
    await sees(page, '#feed-empty', ['Nothing heard since the list was cleared.']);
  });

  /** Nothing on the page claims to be so now. */
  async function nothingLooksCurrent(page: Page) {
    await sees(page, '#health-state', ['unknown']);
    await sees(page, '#health li', /was ready$/);
    assert.deepEqual(
      (await seen(page, '#health li')).filter((text) => !/\bwas (not )?ready$/.test(text)),
      [],
    );
    const cards = await seen(page, 'section.card');
    assert.equal(cards.length, 4);
    for (const card of cards) assert.match(card, /as of \d\d:\d\d:\d\d/);
    await sees(page, '#rate', ['–']);
    for (const figure of await seen(page, '#charts strong')) assert.equal(figure, '–/s');
    // Colour too: a figure is no stronger than what stands below it.
    const colours = await page
      .locator('#height, #best-block, #peer-count, #uptime, #fsm')
      .evaluateAll((elements) =>
        elements.map((element) => (globalThis as any).getComputedStyle(element).color),
      );
    assert.equal(new Set(colours).size, 1, colours.join(' '));
  }

  async function allLooksCurrent(page: Page) {
    await sees(page, '#connection', ['live']);
    await sees(page, '#health-state', ['not ready']);
    await sees(page, '#health li', /\n?ready$/);
    assert.deepEqual(
      (await seen(page, 'section.card')).filter((text) => text.includes('as of')),
      [],
    );
    await sees(page, '[role=status]', []);
    await sees(page, '#rate', /^[\d.]+$/);
  }

  describe('with a feed or a node that is gone without a word', { concurrency: true }, () => {
    it('does not look live when the servers froze, and is live when they go on', async (t) => {
      const served = await serveNotifications(t, {}, { beatMs: 3_600_000 });
      beat(t, served, status());
      const { page } = await open(t, served);
      await sees(page, '#peers .peer-name', 'aurora');
      const { pids } = served.servers;
      for (const pid of pids) process.kill(pid, 'SIGSTOP');
      // Figures are asked for every two seconds with five for the answer; then a feed that was silent for fifteen is given up.
      await sees(page, '#connection', /^reconnecting/, 60_000);
      await sees(
        page,
        '[role=status]',
        /^No connection since \d\d:\d\d:\d\d: all that is shown is from before/,
      );
      await nothingLooksCurrent(page);
      for (const pid of pids) process.kill(pid, 'SIGCONT');
      await allLooksCurrent(page);
      assert.deepEqual(served.servers.pids, pids, 'the same servers');
    });

    it('hears again, over another connection, when the one it had broke and nobody said so', async (t) => {
      const served = await serveNotifications(t);
      beat(t, served, status());
      const proxy = await LossyProxy.listen(t);
      proxy.target = served.servers.port;
      const { page } = await openPage(t, browser, `http://127.0.0.1:${proxy.port}`);
      await sees(page, '#connection', ['live']);
      served.feed.message({ type: 'block', hash: 'before' });
      await sees(page, '#feed .hash', 'before');
      proxy.silence('both');
      // Another connection is to be had, and on it the page hears again.
      await waitFor(
        async () => {
          served.feed.message({ type: 'block', hash: 'after' });
          return (await seen(page, '#feed .hash')).includes('after');
        },
        { what: 'a block over another connection', everyMs: 500, timeoutMs: 60_000 },
      );
      await allLooksCurrent(page);
    });

    it('does not look live when the node hangs behind servers that go on', async (t) => {
      const served = await serveNotifications(t);
      const say = beat(t, served, status());
      const { page } = await open(t, served);
      await sees(page, '#peers .peer-name', 'aurora');
      say(undefined);
      await sees(page, '#connection', ['standing still']);
      await sees(page, '[role=status]', /^The node has said nothing new since \d\d:\d\d:\d\d/);
      await sees(page, '#health-state', ['unknown']);
      await sees(page, 'section.card', /^Peers\s+as of \d\d:\d\d:\d\d/);
      // The feed itself goes on, and says so.
      served.feed.message({ type: 'block', hash: 'during' });
      await sees(page, '#feed .hash', 'during');
      assert.doesNotMatch((await seen(page, 'section.feed')).join(), /as of/);
      say(status());
      await allLooksCurrent(page);
    });
  });

  it('says of a node that starts that it does, and claims nothing of it', async (t) => {
    const served = await serveNotifications(t);
    const { page } = await openPage(t, browser, served.http);
    await sees(page, '#connection', ['starting']);
    await sees(page, '#health-state', ['unknown']);
    await sees(page, '#peers-empty', ['Not known.']);
    beat(t, served, status());
    await allLooksCurrent(page);
  });

  it('comes back after the servers were killed', async (t) => {
    const served = await serveNotifications(t);
    beat(t, served, status());
    const { page } = await open(t, served);
    const lost = sees(page, '#connection', /^reconnecting/);
    for (const pid of served.servers.pids) process.kill(pid, 'SIGKILL');
    await lost;
    await sees(page, '#connection', 'live');
    await waitFor(async () => (await served.servers.health()).message.includes(' 2 hear'), {
      what: 'the stream',
    });
    served.feed.message({ type: 'block', hash: 'after' });
    await sees(page, '#feed .hash', 'after');
  });

  it('goes on where it was after a loss of the servers, and says where it cannot', async (t) => {
    const served = await serveNotifications(t, { p2p_notification_servers: 1 });
    beat(t, served, status());
    const { page, faults } = await open(t, served);
    served.feed.message({ type: 'block', hash: 'before' });
    await sees(page, '#feed .hash', 'before');
    const hears = () =>
      waitFor(async () => (await served.servers.health()).message.includes(' 1 hear'), {
        what: 'the stream',
      });
    const lost = sees(page, '#connection', /^reconnecting/);
    for (const pid of served.servers.pids) process.kill(pid, 'SIGKILL');
    served.feed.message({ type: 'block', hash: 'during' });
    await lost;
    await sees(page, '#feed .hash', 'during');
    await sees(page, '#feed .kind', ['block', 'block', 'node_status']);
    // Another journal knows nothing of where the page was.
    await hears();
    await served.feed.stop();
    await served.feed.start({ anew: true });
    await hears();
    served.feed.message({ type: 'block', hash: 'after' });
    await sees(page, '#feed .hash', 'after');
    await sees(page, '#feed .row', /switched.*asked by time/s);
    assert.deepEqual(faults, []);
  });

  it('looks down while nothing answers', async (t) => {
    const served = await serveNotifications(t);
    beat(t, served, status());
    const { page } = await open(t, served);
    await sees(page, '#peers .peer-name', 'aurora');
    await served.servers.stop();
    await sees(page, '[role=status]', /^No connection since/);
    await nothingLooksCurrent(page);
  });
});
