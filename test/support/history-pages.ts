/** A client of the pages of the history. */

import assert from 'node:assert/strict';

export interface HistoryPage {
  readonly events: readonly Record<string, unknown>[];
  readonly next: string | undefined;
  readonly more: boolean;
  /** Ms that it took, which is no less than its making did. */
  readonly tookMs: number;
}

/** One page; `query` without its question mark. Throws unless it is there. */
export async function pageOf(http: string, query: string): Promise<HistoryPage> {
  const asked = performance.now();
  const answer = await fetch(`${http}/api/v1/events?${query}`);
  assert.equal(answer.status, 200, await (answer.ok ? '' : answer.text()));
  assert.equal(answer.headers.get('content-type'), 'application/json');
  const page = (await answer.json()) as Omit<HistoryPage, 'tookMs'>;
  return { ...page, tookMs: performance.now() - asked };
}

/** All pages from the beginning of `query` on, which names no cursor. */
export async function allPages(http: string, query: string): Promise<HistoryPage[]> {
  const pages = [await pageOf(http, query)];
  for (let last = pages[0]; last?.more === true; last = pages.at(-1)) {
    assert.notEqual(last.next, undefined);
    const page = await pageOf(http, `${query}&cursor=${encodeURIComponent(last.next ?? '')}`);
    assert.notEqual(page.next, last.next, 'a page that leads nowhere');
    pages.push(page);
  }
  return pages;
}

export const eventsOf = (pages: readonly HistoryPage[]): Record<string, unknown>[] =>
  pages.flatMap(({ events }) => events);
