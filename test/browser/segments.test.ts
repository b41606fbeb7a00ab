/** The archive as a page gets it by `fetch`, which Chromium decompresses. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import type { Browser } from 'playwright-core';
import { archiveSealed } from '../support/archived.js';
import { serveNotifications, TRANSPORTS } from '../support/notifications.js';
import { launchChromium, openPage } from '../support/page.js';

describe('a segment of the archive in Chromium', () => {
  let browser: Browser;

  before(async () => {
    browser = await launchChromium();
  });
  after(() => browser.close());

  for (const transport of TRANSPORTS)
    it(`comes with each of its frames, by ${transport}`, async (t) => {
      const { feed, http } = await serveNotifications(
        t,
        { p2p_websocket_transport: transport, p2p_notification_servers: 1 },
        { journal: { segmentBytes: 1_500_000 } },
      );
      const first = feed.blocks(1);
      for (let count = 0; count < 2_000; count += 20) feed.blocks(20, randomBytes(500).toString('hex'));
      const [segment] = await archiveSealed(feed.journal.directory);
      assert.ok(segment !== undefined && segment.plainBytes > 4 * 262_144);
      const { page } = await openPage(t, browser, `${http}/health`);
      const { frames, encoding, text } = (await page.evaluate(`(async () => {
        const { segments } = await (await fetch('/api/v1/segments')).json();
        const [{ url, frames }] = segments;
        const answer = await fetch(url);
        return { frames, encoding: answer.headers.get('content-encoding'), text: await answer.text() };
      })()`)) as { frames: number; encoding: string | null; text: string };
      assert.equal(encoding, 'gzip');
      assert.equal(text.length, segment.plainBytes);
      const lines = text
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line));
      assert.equal(lines.length, frames);
      const heights = lines.filter(({ type }) => type === 'block').map(({ height }) => height);
      assert.deepEqual(
        heights,
        heights.map((_, index) => first + index),
      );
    });
});
