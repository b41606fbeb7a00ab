/** Looks at what a feed is told before it begins: what is misspelled, or says nothing, is an error and never passed over. */

import type { FeedOptions, PlainFeedOptions } from './options.js';

/** Those of every feed, and those of one that has a position. */
const OPTIONS: Readonly<Record<keyof FeedOptions, 'every' | 'positioned'>> = {
  url: 'every',
  kinds: 'every',
  peers: 'every',
  cursor: 'positioned',
  since: 'positioned',
  strict: 'positioned',
  batch: 'positioned',
  gzip: 'positioned',
  token: 'every',
  plain: 'every',
  json: 'every',
  signal: 'every',
  onOpen: 'every',
  onFailure: 'every',
  WebSocket: 'every',
  webSocketOptions: 'every',
  openMs: 'every',
  silenceMs: 'every',
  retryMs: 'every',
  bufferBytes: 'every',
};

/** Throws TypeError, which names what is wrong. */
export function checkTold(options: FeedOptions | PlainFeedOptions): void {
  const { kinds, peers, plain = false } = options;
  for (const [name, value] of Object.entries(options)) checkOption(name, value, plain);
  checkNames('kinds', kinds);
  checkNames('peers', peers);
  // As of a file with an end of line: no header takes it, and in a URL a secret gets into logs.
  if (options.token !== undefined && /\p{Cc}/u.test(options.token))
    throw new TypeError('token has an end of line, or another control character');
  if (options.plain) return;
  const { cursor, since } = options;
  if (cursor !== undefined && typeof cursor !== 'string' && !isStore(cursor))
    throw new TypeError('cursor must be a text, or a store with load and save');
  // With a cursor of a frame it is for a server that does not know that.
  if (since !== undefined && (cursor === 'now' || cursor === 'oldest'))
    throw new TypeError(`since does not go with the cursor ${cursor}`);
}

function checkOption(name: string, value: unknown, plain: boolean): void {
  const of = Object.hasOwn(OPTIONS, name) ? OPTIONS[name as keyof FeedOptions] : undefined;
  if (of === undefined) {
    const names = Object.entries(OPTIONS).filter(([, each]) => each === 'every' || !plain);
    throw new TypeError(
      `${name} is no option of a feed; there are ${names.map(([each]) => each).join(', ')}`,
    );
  }
  if (plain && of === 'positioned' && value !== undefined && value !== false)
    throw new TypeError(`${name} does not go with plain`);
}

function checkNames(option: string, names: unknown): void {
  if (names === undefined) return;
  if (!Array.isArray(names) || names.some((name) => typeof name !== 'string' || name === ''))
    throw new TypeError(`${option} must be a list of names`);
  if (names.length === 0) throw new TypeError(`${option} is empty: leave it out for all`);
}

function isStore(value: unknown): boolean {
  const { load, save } = (value ?? {}) as { readonly load?: unknown; readonly save?: unknown };
  return typeof load === 'function' && typeof save === 'function';
}

/** What a store has kept. Throws TypeError where it is no text. */
export function keptText(kept: unknown): string | undefined {
  if (kept === undefined || kept === null || typeof kept === 'string') return kept ?? undefined;
  const what = typeof kept === 'object' ? 'an object' : `a ${typeof kept}`;
  throw new TypeError(`the cursor’s store: load gave ${what} and no text`);
}
