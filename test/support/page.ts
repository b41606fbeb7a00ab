/** The page in a real Chromium, and what of it can be seen. */

import assert from 'node:assert/strict';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { TestContext } from 'node:test';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { FRAME_KINDS } from '../../src/shared/messages/index.js';
import type { NodeStatusReport } from '../../src/shared/status.js';
import type { Served } from './notifications.js';
import { waitFor } from './wait.js';

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

/** `flags` besides those that every test needs. */
export function launchChromium(...flags: readonly string[]): Promise<Browser> {
  return chromium.launch({ executablePath: chromiumPath(), args: [...FLAGS, ...flags] });
}

export interface Opened {
  readonly page: Page;
  /** What the page got wrong by the browser's word; a lost connection is none. */
  readonly faults: readonly string[];
}

/** The page in a window of its own, which is closed with the test. */
export async function openPage(
  t: Pick<TestContext, 'after'>,
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<Opened> {
  const context = await browser.newContext({ viewport: { width: 1360, height: 1000 }, ...options });
  t.after(() => context.close());
  const page = await context.newPage();
  const faults: string[] = [];
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('console', (message) => {
    // What the browser says of a lost connection is its own.
    if (message.type() === 'error' && !/WebSocket|Failed to load resource/.test(message.text()))
      faults.push(message.text());
  });
  await page.goto(url);
  return { page, faults };
}

/** Text of the elements that somebody who looks at the page sees, in the order of the document. */
export function seen(page: Page, selector: string): Promise<string[]> {
  return page.locator(selector).evaluateAll((elements) =>
    elements
      .filter((element) => {
        const { width, height } = element.getBoundingClientRect();
        const visible = element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
        return visible && width > 0 && height > 0;
      })
      // biome-ignore lint/performance/useDomNodeTextContent: what is laid out is what is seen.
      .map((element) => (element as unknown as { innerText?: string }).innerText?.trim() ?? ''),
  );
}

/** Resolves when what is seen of `selector` is `wanted`; `wanted` may be one text, a pattern that one matches, or all of them. */
export async function sees(
  page: Page,
  selector: string,
  wanted: string | RegExp | readonly string[],
  timeoutMs = 30_000,
): Promise<void> {
  let last: readonly string[] = [];
  const fits = () => {
    if (typeof wanted === 'string') return last.includes(wanted);
    if (wanted instanceof RegExp) return last.some((text) => wanted.test(text));
    return last.length === wanted.length && last.every((text, index) => text === wanted[index]);
  };
  await waitFor(
    async () => {
      last = await seen(page, selector);
      return fits();
    },
    { timeoutMs, everyMs: 50 },
  ).catch(() =>
    assert.fail(
      `in ${timeoutMs} ms ${selector} never showed ${String(wanted)} but ${JSON.stringify(last.slice(0, 20))}`,
    ),
  );
}

export const HASH = '00000000000000000a7f3d1c5b9e8f2a4c6d0b1e3f5a7c9d2e4f6a8b0c1d3e5f';
export const PEERS = [
  ['12D3KooWAurora7hY2mVq8sTz4nLrXw6cKb9dPf3', 'aurora', 887_213, 0, true, 12.4],
  ['12D3KooWBoreas9kZ3nWr5tUa7oMsYx8dLc2ePg4', 'boreas', 887_213, 0, false, 38.1],
  ['12D3KooWCirrus2jX4pVs6uVb8qNtZy9eMd3fQh5', 'cirrus', 887_212, 20, true, 71.9],
  ['12D3KooWDrifty5mB6qXt8wWc9rPuAz2gNf4hRj7', '', 887_190, 70, true, 140.2],
] as const;

/** A node's status; `stranger` is how the fourth peer calls itself. */
export function status(stranger = 'drifty'): NodeStatusReport {
  return {
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
      textPing: true,
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
    kinds: FRAME_KINDS.map(({ name, shown }) => ({ name, ...shown })),
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
}

/** Makes the node's status anew every 200 ms, as a living node does. Returns how to say something else from now on, or nothing. */
export function beat(
  t: Pick<TestContext, 'after'>,
  served: Served,
  report: NodeStatusReport,
): (next: NodeStatusReport | undefined) => void {
  let current: NodeStatusReport | undefined = report;
  const tell = () => {
    if (current !== undefined) served.servers.setStatus(JSON.stringify({ ...current, at: Date.now() }));
  };
  const timer = setInterval(tell, 200);
  t.after(() => clearInterval(timer));
  tell();
  return (next) => {
    current = next;
    tell();
  };
}
