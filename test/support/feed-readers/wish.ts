/** What a reader of the feed asks for, drawn by chance, and how it behaves. */

/** Where a stream begins. */
export type Start =
  | { readonly type: 'now' | 'oldest' }
  | { readonly type: 'since'; readonly ms: number }
  | { readonly type: 'cursor'; readonly cursor: string };

export interface Wish {
  readonly medium: 'websocket' | 'sse';
  /** Names; undefined: all. */
  readonly kinds: readonly string[] | undefined;
  /** Base58; undefined: whoever. */
  readonly peers: readonly string[] | undefined;
  /** Whether frames say where they stand. SSE's always do. */
  readonly meta: boolean;
  readonly batchMs: number | undefined;
  readonly gzip: boolean;
  readonly strict: boolean;
  /** Of SSE: every event has the same name. */
  readonly oneEvent: boolean;
  /** Where it begins the first time; ms of `since` before that. With `live` nothing is said of it. */
  readonly begins: 'live' | 'now' | 'oldest' | { readonly since: number };
  /** What it does now and then: nothing, cuts its connection, or stops reading for a while. */
  readonly habit: 'steady' | 'cuts' | 'slow';
}

const KINDS = [['block'], ['subtree'], ['block', 'subtree'], ['node_status', 'block'], ['node_status']];
const MEDIA: readonly Wish['medium'][] = ['websocket', 'sse'];
const BATCHES = [50, 100, 250];
const HABITS = ['steady', 'cuts', 'cuts', 'slow'] as const;
/** Since when at the most, ms. */
const LONGEST_AGO_MS = 20_000;

/** `authors`: base58. */
export function drawWish(random: () => number, authors: readonly string[]): Wish {
  const drawn = <T>(among: readonly T[]): T => among[Math.floor(random() * among.length)] as T;
  const medium = drawn(MEDIA);
  const meta = medium === 'sse' || random() < 0.7;
  const kinds = random() < 0.5 ? undefined : drawn(KINDS);
  const first = Math.floor(random() * authors.length);
  const some = authors.slice(first, first + 1 + Math.floor(random() * 2));
  const peers = random() < 0.4 ? some : undefined;
  const batchMs =
    medium === 'websocket' && peers === undefined && random() < 0.4 ? drawn(BATCHES) : undefined;
  const gzip = batchMs !== undefined && random() < 0.5;
  const since = Math.floor(random() * LONGEST_AGO_MS);
  const begins = drawn(['live', 'now', 'oldest', 'oldest', { since }] as const);
  return {
    medium,
    kinds,
    peers,
    meta,
    batchMs,
    gzip,
    strict: meta && random() < 0.2,
    oneEvent: medium === 'sse' && random() < 0.5,
    begins: meta ? begins : 'live',
    habit: drawn(HABITS),
  };
}

/** The parameters, with a place to begin at or none. */
export function queryOf(wish: Wish, start: Start | undefined): string {
  const { medium, kinds, peers, meta, batchMs, gzip, strict, oneEvent } = wish;
  const query = new URLSearchParams();
  if (kinds !== undefined) query.set('kinds', kinds.join(','));
  if (peers !== undefined) query.set('peers', peers.join(','));
  // Implied by a place to begin at.
  if (medium === 'websocket' && meta && start === undefined) query.set('meta', 'true');
  if (batchMs !== undefined) query.set('batch', String(batchMs));
  if (gzip) query.set('encoding', 'gzip');
  if (strict) query.set('strict', 'true');
  if (oneEvent) query.set('event', 'message');
  if (start?.type === 'since') query.set('since', String(start.ms));
  else if (start?.type === 'cursor') query.set('cursor', start.cursor);
  else if (start !== undefined) query.set('cursor', start.type);
  return query.toString();
}

/** In a few words. */
export function shownWish(wish: Wish): string {
  const begins = typeof wish.begins === 'string' ? wish.begins : `since ${wish.begins.since} ms ago`;
  return `${wish.medium} ?${queryOf(wish, undefined)}, from ${begins}, ${wish.habit}`;
}
