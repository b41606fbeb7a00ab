/** The feed of a server that keeps its history: it goes on where it was. */

import { framesIn } from './batches.js';
import type { Connection } from './connection.js';
import { type Control, type ErrorFrame, type Hello, noticeOf, problemOf } from './control.js';
import type { Ending, Problem } from './ending.js';
import { FeedError } from './errors.js';
import type { FeedEvent, FrameEvent, Kind } from './events.js';
import { frameIn } from './frame.js';
import type { FeedOptions } from './options.js';
import { OVERLAP_MS, Position } from './position.js';
import { Repeats } from './repeats.js';
import { requestUrl, sinceText } from './request.js';
import { Source } from './source.js';
import { Saver } from './store.js';
import { checkTold, keptText } from './told.js';

/** Whether a server says that it can do nothing with the cursor, which may be another server's. */
const isForeignCursor = ({ code, detail }: Problem): boolean =>
  code === 'cursor_unknown' || (code === 'bad_parameter' && detail.parameter === 'cursor');
/** Told as a gap, for the token's sake. */
const NO_HISTORY = 'the token allows nothing from before it came: what was announced meanwhile is missing';
/** Behind an error for a cursor with which a run began. */
const OF_STORE = '; the cursor is what load of the store gave';
const BROKEN: Ending = { reason: 'closed', text: 'a message that cannot be unpacked' };

/** As `feed` has it. */
export async function* positionedFeed<K extends Kind>(
  options: FeedOptions<K>,
): AsyncGenerator<FeedEvent<K>, void, undefined> {
  checkTold(options);
  const { cursor } = options;
  const source = new Source(options);
  let saver: Saver | undefined;
  let reading: Reading | undefined;
  try {
    const store = typeof cursor === 'object' ? cursor : undefined;
    const kept = typeof cursor === 'object' ? keptText(await cursor.load()) : cursor;
    const position = new Position(kept, sinceText(options.since));
    saver = new Saver(store, position);
    reading = new Reading(options, source, position, saver);
    while (!source.aborted) yield* reading.connection() as AsyncGenerator<FeedEvent<K>>;
  } catch (error) {
    throw error instanceof FeedError && reading?.blames(error) && typeof cursor === 'object'
      ? new FeedError(error.code, `${error.message}${OF_STORE}`, error.detail, { cause: error.cause })
      : error;
  } finally {
    source.close();
    await saver?.finish();
  }
}

class Reading {
  readonly #repeats = new Repeats();
  /** What was received before (unix ms) was not asked for. */
  #askedSince = Number.NEGATIVE_INFINITY;
  /** A server that is asked by time, because it does not know the cursor, is still to be told of. */
  #switching = false;
  /** Whether it began over any connection. */
  #everBegan = false;
  /** What came while there was no connection is not to be had, which is still to be told. */
  #missing = false;

  constructor(
    private readonly options: FeedOptions,
    private readonly source: Source,
    private readonly position: Position,
    private readonly saver: Saver,
  ) {}

  /** What comes over one connection, and the wait behind it. */
  async *connection(): AsyncGenerator<FeedEvent> {
    const { source, position } = this;
    const start = position.parameter;
    const connection = source.open(requestUrl(source.server.url, this.options, start));
    let ending = BROKEN;
    let error: ErrorFrame | undefined;
    let began = false;
    try {
      for await (const [frame, json] of framesOf(connection)) {
        if (source.aborted) return;
        if (frame.type === 'error') error = frame;
        else if (!began && frame.type !== 'hello') throw this.#noPosition();
        else if (frame.type === 'hello') {
          began = true;
          this.#begin(frame, start);
          if (this.#switching) yield this.#switched();
          if (this.#missing) yield this.#gap();
        } else if (frame.type === 'info') {
          if (frame.code === 'cursor_unknown' && this.#goByTime()) return;
          yield frame.code === 'cursor_unknown' ? this.#switched(frame.text) : noticeOf(frame);
          if (frame.cursor !== undefined) this.#advance(frame.cursor);
        } else if (frame.type === 'cursor') this.#advance(frame.cursor);
        else {
          const receivedAt = Date.parse(frame.received_at);
          const unasked = receivedAt < this.#askedSince;
          const leftOut = unasked || this.#repeats.has(frame, json, receivedAt);
          if (!leftOut) yield this.options.json ? { ...frame, json } : frame;
          this.#advance(frame.cursor, unasked ? undefined : receivedAt);
        }
      }
      ending = connection.ending ?? BROKEN;
    } finally {
      connection.close();
    }
    const said = error === undefined ? undefined : problemOf(error);
    const problem = said ?? ending.problem;
    if (problem !== undefined && isForeignCursor(problem) && this.#goByTime()) return;
    if (problem?.code === 'not_allowed' && this.#goFromNow()) return;
    await source.lost(ending, said);
  }

  /** Whether `error` is about the cursor with which the run began. */
  blames({ code, detail }: FeedError): boolean {
    const isAboutCursor =
      code === 'cursor_too_old' || code === 'cursor_unknown' || detail.parameter === 'cursor';
    return isAboutCursor && this.position.isAsKept;
  }

  #begin({ cursor, oldest, node, limits }: Hello, start: readonly string[] | undefined): void {
    const { source, options } = this;
    const { receivedAt } = this.position;
    source.began();
    this.#everBegan = true;
    // A server may find out later that it does not know the cursor, and then begins with the oldest that it has.
    if (receivedAt !== undefined) this.#repeats.expectUntil(receivedAt);
    if (this.#switching) this.#askedSince = this.#sinceAt(node);
    const { kinds } = limits;
    const url = source.server.given;
    options.onOpen?.({ url, oldest, ...(node && { node }), ...(kinds && { kinds }) });
    const [name, asked] = start ?? ['cursor', 'now'];
    if (name !== 'cursor' || (asked !== 'now' && asked !== 'oldest')) return;
    // Were it lost before the first frame, it would go on from here. The time is what another server can be asked by.
    // biome-ignore lint/plugin: the time of day, for want of a server's.
    if (asked === 'now') this.#advance(cursor, Date.now());
    else this.#advance(cursor);
  }

  /**
   * From when on it was asked, unix ms, of its own accord. What a server tells beyond that, it has from elsewhere or could not look for; unless its clock is
   * so slow that all that it announces from now on would be older: that shows in the status of its node.
   */
  #sinceAt(node: Hello['node']): number {
    const { receivedAt } = this.position;
    const since = receivedAt === undefined ? Number.NaN : receivedAt - OVERLAP_MS;
    return node !== undefined && Date.parse(node.timestamp) >= since ? since : Number.NEGATIVE_INFINITY;
  }

  #advance(cursor: string, receivedAt?: number): void {
    this.position.advance(cursor, receivedAt);
    this.saver.changed();
  }

  /** The server does not know the cursor: it is asked by time, where one is known and it need not be strict. */
  #goByTime(): boolean {
    const { receivedAt } = this.position;
    if (this.options.strict || !this.position.goByTime()) return false;
    if (receivedAt !== undefined) this.#repeats.expectUntil(receivedAt + OVERLAP_MS);
    this.#switching = true;
    return true;
  }

  /** The token allows no history: a feed that had begun goes on without, rather than not at all. */
  #goFromNow(): boolean {
    if (this.options.strict || !this.#everBegan || !this.position.goFromNow()) return false;
    this.#missing = true;
    return true;
  }

  #gap(): FeedEvent {
    this.#missing = false;
    return { type: 'gap', text: NO_HISTORY };
  }

  #switched(text = 'another server, which does not know the cursor: it was asked by time'): FeedEvent {
    this.#switching = false;
    const { since } = this.position;
    const url = this.source.server.given;
    return { type: 'switched', text, url, ...(since === undefined ? {} : { since }) };
  }

  #noPosition(): FeedError {
    return new FeedError(
      'no_position',
      `${this.source.server.given} knows no parameters, and so no position: follow it with plain: true`,
    );
  }
}

type Frame = Control | FrameEvent;

/** The frames of a connection, each with its text, until it ends; what is none is left out. A message that cannot be unpacked ends it too. */
async function* framesOf(connection: Connection): AsyncGenerator<readonly [Frame, string]> {
  for (let message = await connection.next(); message !== undefined; message = await connection.next()) {
    const texts = await framesIn(message).catch(() => undefined);
    if (texts === undefined) return;
    for (const text of texts) {
      const frame = frameIn(text);
      if (frame !== undefined) yield [frame as unknown as Frame, text];
    }
  }
}
