/** The page of a server whose operator gave out tokens. */

import assert from 'node:assert/strict';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { hashOfToken } from '../../src/shared/firehose/tokens.js';
import { type Served, serveNotifications } from '../support/notifications.js';
import { beat, launchChromium, openPage, seen, sees, status } from '../support/page.js';
import { temporaryDirectory } from '../support/temporary.js';
import { waitFor } from '../support/wait.js';

const SECRET = 'p2p_secret-of_one.~+/=';
const OTHER = 'p2p_secret-of-another';
const ALL = ['block', 'subtree', 'mining_on', 'rejected_tx', 'node_status'];

const line = (name: string, token: string, limits = ''): string =>
  `${name}:${hashOfToken(token)}:${limits}\n`;

/** Written beside and moved, so that nobody reads half of it. */
function write(path: string, text: string): void {
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}

describe('the page, where the feed wants a token', () => {
  let browser: Browser;

  before(async () => {
    browser = await launchChromium();
  });
  after(() => browser.close());

  async function serve(t: TestContext, tokens: string, servers = 2) {
    const path = join(temporaryDirectory(t), 'tokens');
    write(path, tokens);
    const served = await serveNotifications(t, { p2p_notification_servers: servers }, { tokens: path });
    beat(t, served, status());
    return { ...served, path };
  }

  const field = (page: Page) => page.getByLabel('Token', { exact: true });

  async function give(page: Page, token: string): Promise<void> {
    await field(page).fill(token);
    await page.getByRole('button', { name: 'Use it' }).click();
  }

  /** A block is announced, and the page has it. */
  async function hears({ feed }: Served, page: Page, hash: string): Promise<void> {
    feed.message({ type: 'block', hash });
    await sees(page, '#feed .hash', hash);
  }

  const storage = (page: Page) =>
    page.evaluate('[Object.values(sessionStorage), Object.values(localStorage), document.cookie]');

  it('asks for it, says of a wrong one that it is, shows the feed for a right one, and forgets it on request', async (t) => {
    const served = await serve(t, line('one', SECRET));
    const { page, faults } = await openPage(t, browser, served.http);
    const asked: string[] = [];
    page.on('request', (request) => asked.push(request.url(), JSON.stringify(request.headers())));
    await sees(page, '#connection', ['token wanted']);
    await sees(page, '#access-text', ['This node gives its feed to those who have a token: give yours.']);
    await sees(page, '#banner', []);
    // What is for everybody is there.
    await sees(page, '#height', ['887,213']);
    await sees(page, '#health-state', ['not ready']);
    assert.equal(await page.title(), '(token wanted) notos');
    assert.equal(await field(page).getAttribute('type'), 'password');
    await sees(page, '#token-forget', []);
    const entries = await page.evaluate('history.length');

    await field(page).fill(OTHER);
    await page.keyboard.press('Enter');
    await sees(page, '#access-text', /^The node does not know this token/);
    await sees(page, '#connection', ['token refused']);
    assert.equal(await field(page).getAttribute('aria-invalid'), 'true');
    await give(page, 'a “quoted” one');
    await sees(page, '#access-text', /^This is no token: one has letters, digits/);
    // Where the next one is typed, in place of this.
    assert.equal(await page.evaluate('document.activeElement.id'), 'token');
    await page.keyboard.type(SECRET);
    await page.keyboard.press('Enter');
    await sees(page, '#connection', ['live']);
    await sees(page, '#access-text', ['This tab has the feed by a token.']);
    await sees(page, '#token-form', []);
    await hears(served, page, 'first');
    assert.equal(await field(page).inputValue(), '');
    // Enter pressed once more forgets nothing.
    assert.equal(await page.evaluate('document.activeElement.id'), 'access-text');

    assert.equal(page.url(), `${served.http}/`);
    assert.equal(await page.evaluate('history.length'), entries);
    assert.deepEqual(await storage(page), [[SECRET], [], '']);
    assert.ok(asked.some((text) => text.includes('/api/status')));
    for (const each of asked) assert.ok(!each.includes('secret'), each);

    await page.reload();
    await sees(page, '#connection', ['live']);
    await hears(served, page, 'second');
    const tab = await page.context().newPage();
    await tab.goto(served.http);
    await sees(tab, '#connection', ['token wanted']);
    await tab.close();

    await page.getByRole('button', { name: 'Forget the token' }).click();
    await sees(page, '#connection', ['token wanted']);
    assert.equal(await page.evaluate('document.activeElement.id'), 'token');
    assert.deepEqual(await storage(page), [[], [], '']);
    served.feed.message({ type: 'block', hash: 'third' });
    await sees(page, 'section.feed', /as of \d\d:\d\d:\d\d/);
    await page.reload();
    await sees(page, '#connection', ['token wanted']);
    await sees(page, '#feed .hash', []);
    assert.deepEqual(faults, []);
  });

  it('takes one from a link, which no server sees, and out of the address', async (t) => {
    const served = await serve(t, line('one', SECRET) + line('two', OTHER, 'kinds=block'));
    const asked: string[] = [];
    const { page } = await openPage(t, browser, 'about:blank');
    page.on('request', (request) => asked.push(request.url()));
    await page.goto(`${served.http}/?theme=1#token=${encodeURIComponent(SECRET)}`);
    await sees(page, '#connection', ['live']);
    const clean = `${served.http}/?theme=1`;
    assert.equal(page.url(), clean);
    await hears(served, page, 'first');
    // In the address of a page that is open already, too.
    await page.evaluate(`location.hash = 'token=${OTHER}'`);
    await sees(page, '#access-text', /^This token allows block alone/);
    assert.equal(page.url(), clean);
    for (const walk of [() => page.goBack(), () => page.goForward()]) {
      await walk();
      assert.equal(page.url(), clean);
    }
    assert.deepEqual(await storage(page), [[OTHER], [], '']);
    for (const url of asked) assert.ok(!/secret/.test(url), url);
  });

  it('shows the kinds that a token allows, and says which are left out', async (t) => {
    const limited = line('some', OTHER, 'kinds=block,node_status');
    const served = await serve(t, `anonymous:-:kinds=block\n${limited}${line('all', SECRET)}`);
    const { page, faults } = await openPage(t, browser, served.http);
    const kinds = async (expected: readonly string[]) => {
      await sees(page, '#filters button', expected);
      await sees(page, '#charts figcaption span', expected);
    };
    await sees(page, '#connection', ['live']);
    await sees(page, '#access-text', [
      'Without a token there is block alone: subtree, mining_on, rejected_tx, and node_status are left out.',
    ]);
    await kinds(['block']);
    served.feed.announce({ kind: 'subtree' }, { kind: 'block' });
    await sees(page, '#feed .kind', ['block']);

    await give(page, OTHER);
    await sees(page, '#access-text', [
      'This token allows block and node_status alone: subtree, mining_on, and rejected_tx are left out.',
    ]);
    await sees(page, '#token-form', []);
    await kinds(['block', 'node_status']);

    await page.getByRole('button', { name: 'Forget the token' }).click();
    await sees(page, '#access-text', /^Without a token there is block alone/);
    await give(page, SECRET);
    await sees(page, '#access-text', ['This tab has the feed by a token.']);
    await kinds(ALL);
    served.feed.announce({ kind: 'subtree' });
    await sees(page, '#feed .kind', 'subtree');
    assert.deepEqual(faults, []);
  });

  it('says at once that a token is no longer known, and goes on when it is again', async (t) => {
    const served = await serve(t, line('one', SECRET));
    const { page } = await openPage(t, browser, `${served.http}/#token=${encodeURIComponent(SECRET)}`);
    await sees(page, '#connection', ['live']);
    await hears(served, page, 'before');
    write(served.path, line('two', OTHER));
    await sees(page, '#connection', ['token refused']);
    await sees(page, '#access-text', /^The node does not know this token, or no longer\./);
    await sees(page, '#token-forget', ['Forget the token']);
    served.feed.message({ type: 'block', hash: 'during' });
    write(served.path, line('one', SECRET));
    // Somebody looks again: the network is back.
    await waitFor(
      async () => {
        await page.evaluate(`dispatchEvent(new Event('online'))`);
        return (await seen(page, '#connection'))[0] === 'live';
      },
      { what: 'the feed', everyMs: 200 },
    );
    await sees(page, '#feed .hash', 'during');
  });

  it('goes on from now with a token that allows no history, and says what it misses', async (t) => {
    const served = await serve(t, line('live', SECRET, 'replay=no'), 1);
    const { page, faults } = await openPage(
      t,
      browser,
      `${served.http}/#token=${encodeURIComponent(SECRET)}`,
    );
    await sees(page, '#connection', ['live']);
    await hears(served, page, 'before');
    const lost = sees(page, '#connection', /^reconnecting/);
    for (const pid of served.servers.pids) process.kill(pid, 'SIGKILL');
    served.feed.message({ type: 'block', hash: 'during' });
    await lost;
    await sees(page, '#connection', ['live']);
    await waitFor(async () => (await served.servers.health()).message.includes(' 1 hear'), {
      what: 'the stream',
    });
    await hears(served, page, 'after');
    const gaps = async () => (await seen(page, '#feed .kind')).filter((kind) => kind === 'gap').length;
    assert.equal(await gaps(), 1);
    assert.ok(!(await seen(page, '#feed .hash')).includes('during'));
    // So it does with one that is given anew.
    await page.evaluate(`location.hash = 'token=${encodeURIComponent(SECRET)}'`);
    await waitFor(async () => (await gaps()) === 2, { what: 'another gap' });
    await sees(page, '#connection', ['live']);
    await hears(served, page, 'later');
    assert.deepEqual(faults, []);
  });

  it('waits its turn where the token is in use', async (t) => {
    const served = await serve(t, line('one', SECRET, 'connections=1'), 1);
    const address = `${served.http}/#token=${encodeURIComponent(SECRET)}`;
    const first = await openPage(t, browser, address);
    await sees(first.page, '#connection', ['live']);
    const second = await openPage(t, browser, address);
    await sees(second.page, '#access-text', /^The token is in use as often as it may be/);
    await sees(second.page, '#connection', /^reconnecting/);
    await sees(second.page, '#banner', []);
    await first.page.close();
    await sees(second.page, '#connection', ['live']);
    await hears(served, second.page, 'mine');
  });
});
