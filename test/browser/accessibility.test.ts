import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { hashOfToken } from '../../src/shared/firehose/tokens.js';
import { type Served, serveNotifications } from '../support/notifications.js';
import { beat, HASH, launchChromium, openPage, PEERS, seen, sees, status } from '../support/page.js';
import { temporaryDirectory } from '../support/temporary.js';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
/** From the smallest phone that WCAG names to a large screen, with both sides of each change of the layout. */
const WIDTHS = [320, 480, 768, 960, 961, 1360, 1920];
const SCHEMES = ['light', 'dark'] as const;
const LONG_NAME = 'a node of a mining pool with a rather long name, Singapore 7';

interface AxeResults {
  readonly violations: readonly Finding[];
  readonly incomplete: readonly Finding[];
  readonly passes: readonly { readonly id: string }[];
}

interface Finding {
  readonly id: string;
  readonly impact: string | null;
  readonly nodes: readonly {
    readonly target: readonly string[];
    readonly failureSummary?: string;
    readonly any: readonly { readonly data: { readonly messageKey?: string } | null }[];
  }[];
}

/** Why axe leaves a contrast open that it sees elsewhere: rows at the edge of the list, or below the dialog, and arrows for text. */
const OPEN = ['bgOverlap', 'elmPartiallyObscured', 'elmPartiallyObscuring', 'outsideViewport', 'nonBmp'];

/** What axe finds, one line each: violations, and contrast that it could not decide. */
async function findings(page: Page): Promise<string[]> {
  const results = (await page.evaluate(
    'axe.run(document, { resultTypes: ["violations", "incomplete"] })',
  )) as AxeResults;
  assert.ok(
    results.passes.some(({ id }) => id === 'color-contrast') || results.violations.length > 0,
    'contrast was looked at',
  );
  const open = results.incomplete
    .filter(({ id }) => id === 'color-contrast')
    .map((finding) => ({
      ...finding,
      nodes: finding.nodes.filter(
        ({ any }) => !any.every(({ data }) => OPEN.includes(data?.messageKey ?? '')),
      ),
    }));
  return [...results.violations, ...open].flatMap(({ id, impact, nodes }) =>
    nodes
      .slice(0, 3)
      .map(({ target, failureSummary }) => `${impact} ${id}: ${target.join(' ')}: ${failureSummary}`),
  );
}

/** What lies beside the window, or is cut short without a way to read it, as a field has. */
async function outOfReach(page: Page): Promise<string[]> {
  return page.locator('body *').evaluateAll((elements) => {
    const { innerWidth } = globalThis as unknown as { innerWidth: number };
    return elements
      .filter((element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true }))
      .flatMap((element) => {
        const { left, right, width } = element.getBoundingClientRect();
        const name = `${element.tagName.toLowerCase()}#${element.id}.${element.getAttribute('class')}`;
        if (width > 0 && (left < -0.5 || right > innerWidth + 0.5))
          return [`${name} from ${left} to ${right}`];
        const cut = element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0;
        return cut && element.closest('button, input') === null ? [`${name} is cut short`] : [];
      });
  });
}

describe('the page, to whoever sees little or uses no mouse', () => {
  let browser: Browser;

  before(async () => {
    browser = await launchChromium();
  });
  after(() => browser.close());

  async function open(t: TestContext, served: Served): Promise<Page> {
    const { page } = await openPage(t, browser, served.http, { reducedMotion: 'reduce' });
    // By the debugger's way: the page itself rightly runs nothing of others.
    await page.evaluate(AXE);
    return page;
  }

  /** Rows of each kind, with what is long as long as it gets. */
  async function fill(served: Served, page: Page) {
    const base_url = 'https://teranode-hub-eu-west-2.a-rather-long-host.example.com/api/v1';
    for (let index = 0; index < 12; index++) {
      const from = { peer_id: PEERS[index % 3]?.[0], client_name: index % 2 === 0 ? LONG_NAME : 'boreas' };
      served.feed.message({ type: 'subtree', hash: HASH, base_url, ...from });
      served.feed.message({ type: 'block', hash: HASH, height: 887_213, base_url, ...from });
      served.feed.message({
        type: 'mining_on',
        hash: HASH,
        height: 887_213,
        tx_count: 120_431,
        miner: LONG_NAME,
        ...from,
      });
      served.feed.message({
        type: 'rejected_tx',
        hash: HASH,
        reason: 'the fee is too low '.repeat(12),
        ...from,
      });
      served.feed.message({
        type: 'node_status',
        best_block_hash: HASH,
        best_height: 887_213,
        base_url,
        ...from,
      });
    }
    served.feed.message({ type: 'a_kind_that_nobody_has_heard_of_', hash: HASH, peer_id: PEERS[0][0] });
    await sees(page, '#feed .row', /a_kind_that_nobody/);
  }

  async function holds(page: Page, state: string) {
    const found: string[] = [];
    for (const width of WIDTHS) {
      await page.setViewportSize({ width, height: 900 });
      const beside = await outOfReach(page);
      found.push(...beside.map((what) => `${state}, ${width} px: ${what}`));
      for (const colorScheme of SCHEMES) {
        await page.emulateMedia({ colorScheme });
        found.push(...(await findings(page)).map((what) => `${state}, ${width} px, ${colorScheme}: ${what}`));
      }
    }
    assert.deepEqual(found, []);
  }

  it('is legible and workable with many rows, at every width, light and dark', async (t) => {
    const served = await serveNotifications(t);
    beat(t, served, status(LONG_NAME));
    const page = await open(t, served);
    await sees(page, '#connection', ['live']);
    await sees(page, '#peers .peer-name', LONG_NAME);
    await fill(served, page);
    await holds(page, 'live');
  });

  it('is so while kinds are switched off and the list is paused', async (t) => {
    const served = await serveNotifications(t);
    beat(t, served, status());
    const page = await open(t, served);
    await fill(served, page);
    await page.locator('#filters button', { hasText: 'subtree' }).click();
    await page.locator('#pause').click();
    served.feed.message({ type: 'block', hash: HASH });
    await sees(page, '#pause', ['Resume (1 new)']);
    await holds(page, 'paused');
    for (const chip of await page.locator('#filters button').all()) {
      if ((await chip.getAttribute('aria-pressed')) === 'true') await chip.click();
    }
    await sees(page, '#feed .row', []);
    await sees(page, '#feed-empty button', ['Show all kinds']);
    await holds(page, 'nothing left');
  });

  it('is so in the dialog', async (t) => {
    const served = await serveNotifications(t);
    beat(t, served, status());
    const page = await open(t, served);
    await fill(served, page);
    await page.locator('#feed .row', { hasText: 'rejected_tx' }).first().click();
    await sees(page, 'dialog .value', HASH);
    await holds(page, 'dialog');
  });

  it('is so where the feed wants a token, takes none that it does not know, and gives part', async (t) => {
    const tokens = join(temporaryDirectory(t), 'tokens');
    writeFileSync(tokens, `one:${hashOfToken('a-token')}:kinds=block,node_status\n`);
    const served = await serveNotifications(t, {}, { tokens });
    beat(t, served, status(LONG_NAME));
    const page = await open(t, served);
    const field = page.getByLabel('Token', { exact: true });
    await sees(page, '#connection', ['token wanted']);
    await sees(page, '#peers .peer-name', LONG_NAME);
    await holds(page, 'token wanted');
    await field.fill('a-token-that-nobody-knows-and-that-is-rather-long');
    await page.keyboard.press('Enter');
    await sees(page, '#connection', ['token refused']);
    await holds(page, 'token refused');
    await field.fill('a-token');
    await page.keyboard.press('Enter');
    await sees(page, '#access-text', /are left out\.$/);
    served.feed.announce({ kind: 'block' }, { kind: 'subtree' });
    await sees(page, '#feed .kind', 'block');
    await holds(page, 'part of the feed');
  });

  it('is so while it is not live, and before it ever was', async (t) => {
    const served = await serveNotifications(t);
    const page = await open(t, served);
    await sees(page, '#connection', ['starting']);
    await holds(page, 'starting');
    beat(t, served, status(LONG_NAME));
    await fill(served, page);
    await sees(page, '#peers .peer-name', LONG_NAME);
    await served.servers.stop();
    await sees(page, '[role=status]', /^No connection since/);
    assert.deepEqual(await seen(page, '#health-state'), ['unknown']);
    await holds(page, 'down');
  });
});
