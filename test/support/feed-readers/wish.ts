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
  /** What it does now and then: nothing, cuts its connection, stops reading for a while, or does so in the midst of a flood. */
  readonly habit: 'steady' | 'cuts' | 'slow' | 'stalls';
}

/** What a reader is shown of the feed. */
export type View = Pick<Wish, 'kinds' | 'peers'>;

/** Whether a reader is shown it. */
export function wants(
  { kinds, peers }: View,
  { kind, author }: { readonly kind: string; readonly author: string },
): boolean {
  return (kinds?.includes(kind) ?? true) && (peers?.includes(author) ?? true);
}

const KINDS = [['block'], ['subtree'], ['block', 'subtree'], ['node_status', 'block'], ['node_status']];
/** Of which there are many. */
const BATCHED_KINDS = [['block'], ['subtree'], ['block', 'subtree']];
const MEDIA: readonly Wish['medium'][] = ['websocket', 'sse'];
const BATCHES = [50, 100, 250];
const HABITS = ['steady', 'cuts', 'cuts', 'slow'] as const;
/** Since when at the most, ms. */
const LONGEST_AGO_MS = 20_000;

type Random = () => number;

const drawn = <T>(random: Random, among: readonly T[]): T => among[Math.floor(random() * among.length)] as T;

const sinceSome = (random: Random) => ({ since: Math.floor(random() * LONGEST_AGO_MS) });

/** `authors`: base58. */
export function drawWish(random: Random, authors: readonly string[]): Wish {
  const medium = drawn(random, MEDIA);
  const meta = medium === 'sse' || random() < 0.7;
  const kinds = random() < 0.5 ? undefined : drawn(random, KINDS);
  const first = Math.floor(random() * authors.length);
  const some = authors.slice(first, first + 1 + Math.floor(random() * 2));
  const peers = random() < 0.4 ? some : undefined;
  const batchMs =
    medium === 'websocket' && peers === undefined && random() < 0.4 ? drawn(random, BATCHES) : undefined;
  const gzip = batchMs !== undefined && random() < 0.5;
  const begins = drawn(random, ['live', 'now', 'oldest', 'oldest', sinceSome(random)] as const);
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
    habit: drawn(random, HABITS),
  };
}

/** Of one who has the whole feed, from some time ago on, and stops reading while more comes than waits for it. */
export function drawStalling(random: Random, medium: Wish['medium']): Wish {
  const batchMs = medium === 'websocket' && random() < 0.4 ? drawn(random, BATCHES) : undefined;
  return {
    medium,
    kinds: undefined,
    peers: undefined,
    meta: true,
    batchMs,
    gzip: false,
    strict: false,
    oneEvent: medium === 'sse' && random() < 0.5,
    begins: drawn(random, ['oldest', sinceSome(random)] as const),
    habit: 'stalls',
  };
}

/** Of one who gets frames by the batch: those who have it alike get the same messages, and join them in the midst. */
export function drawBatched(random: Random): Wish {
  return {
    medium: 'websocket',
    kinds: random() < 0.5 ? undefined : drawn(random, BATCHED_KINDS),
    peers: undefined,
    meta: true,
    batchMs: drawn(random, BATCHES),
    gzip: random() < 0.5,
    strict: false,
    oneEvent: false,
    begins: 'oldest',
    habit: 'cuts',
  };
}

/** The parameters, with a place to begin at or none, and with a token or without one. */
export function queryOf(wish: Wish, start: Start | undefined, token?: string): string {
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
  if (token !== undefined) query.set('token', token);
  return query.toString();
}

/** In a few words. */
export function shownWish(wish: Wish): string {
  const begins = typeof wish.begins === 'string' ? wish.begins : `since ${wish.begins.since} ms ago`;
  return `${wish.medium} ?${queryOf(wish, undefined)}, from ${begins}, ${wish.habit}`;
}
