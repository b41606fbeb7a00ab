/** A reader of the feed that connects again whenever it is cut, and goes on from where it was. */

import type { TestContext } from 'node:test';
import { wall } from '../../../src/shared/clock.js';
import type { Served } from '../deaths/run.js';
import { type Heard, lastCursor, type Refusal } from './heard.js';
import { type Connection, openEventStream, openWebSocket } from './media.js';
import { editionsOf, type Key, kindsOf, verdictOf } from './tokens.js';
import { queryOf, type Start, type Wish, wants } from './wish.js';

const AGAIN_MS = 50;
/** With which a WebSocket is closed that has no place. */
const TRY_LATER = 1013;
/** After a refusal: those who come again and again have their share of requests, too. */
const REFUSED_AGAIN_MS = 300;

export class Reader {
  /** Connections that are yet to be judged, the oldest first. */
  readonly heard: Heard[] = [];
  /** Times that it was served so far. */
  connections = 0;
  readonly wish: Wish;
  readonly key: Key | undefined;
  readonly #where: () => Served | undefined;
  #connection: Connection | undefined;
  #paused = false;
  #over = false;
  /** Where the first connection begins, which an EventSource goes on saying. */
  #first: Start | undefined;
  /** Where the next one does. */
  #start: Start | undefined;
  #refusal: Refusal | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** `where` is asked at every attempt; undefined: there is nobody to connect to. */
  constructor(
    context: Pick<TestContext, 'after'>,
    {
      wish,
      key,
      where,
    }: { readonly wish: Wish; readonly key: Key | undefined; readonly where: () => Served | undefined },
  ) {
    this.wish = wish;
    this.key = key;
    this.#where = where;
    const { begins } = wish;
    if (typeof begins === 'object') this.#start = { type: 'since', ms: wall.date() - begins.since };
    else if (begins !== 'live') this.#start = { type: begins };
    this.#first = this.#start;
    context.after(() => {
      this.#over = true;
      clearTimeout(this.#timer);
      this.#connection?.cut();
    });
    this.#connect();
  }

  /** It is connected, and served. */
  get open(): boolean {
    return this.heard.at(-1)?.open === true;
  }

  /** It has no connection, and waits for no answer: what was on its way from a server that is dead has come. */
  get parted(): boolean {
    return this.#connection === undefined;
  }

  /** It is served, or refused, as the newest edition of the file of tokens has it. */
  get settled(): boolean {
    const { key, wish, open } = this;
    if (key === undefined) return open;
    const verdict = verdictOf(key, key.file.edition, wish, undefined);
    if (verdict.type === 'served') {
      const isFull = verdict.allowed.connections !== undefined && this.#refusal?.code === 'token_in_use';
      return open || isFull;
    }
    // What it was served before the file was another is not taken from it.
    if (open) return verdict.status !== 401;
    return this.#refusal?.code === verdict.code;
  }

  /** Whether it was served, and its place not taken from it again, when the server came to rest. */
  get held(): boolean {
    const last = this.heard.findLast(({ served }) => served);
    if (last?.rest === undefined) return false;
    const end = last.items.at(-1);
    const isTold = end?.type === 'error' && end.fields.code === 'token_in_use';
    return !isTold && last.closeCode !== TRY_LATER;
  }

  /** Whether an announcement is shown to it over its connection, whichever edition of the file of tokens counts there. */
  shows(announcement: { readonly kind: string; readonly author: string }): boolean {
    const { wish, key } = this;
    const { began = 0, answered = 0 } = this.heard.at(-1)?.editions ?? {};
    if (key === undefined) return wants(wish, announcement);
    return editionsOf(began, answered).every((edition) =>
      wants({ ...wish, kinds: kindsOf(wish, key.allowed(edition)) }, announcement),
    );
  }

  cut(): void {
    const last = this.heard.at(-1);
    if (last !== undefined) last.open = false;
    this.#connection?.cut();
  }

  /** Connects anew, in the same moment as others who are told so in this turn. */
  again(): void {
    this.#refusal = undefined;
    if (this.#connection === undefined) this.#connectIn(AGAIN_MS);
    else this.cut();
  }

  /** Stops reading what comes. */
  pause(): void {
    this.#paused = true;
    this.#connection?.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#connection?.resume();
  }

  #connect(): void {
    if (this.#over) return;
    const served = this.#where();
    if (served === undefined) {
      this.#connectIn(AGAIN_MS);
      return;
    }
    const { wish, key } = this;
    const start = this.#start;
    const isStream = wish.medium === 'sse';
    const edition = key?.file.edition ?? 0;
    const heard: Heard = {
      life: served.life,
      query: queryOf(wish, isStream ? this.#first : start, key?.by === 'parameter' ? key.text : undefined),
      start,
      items: [],
      editions: { began: key?.file.began ?? 0, answered: edition, over: edition },
      open: false,
      served: false,
    };
    this.heard.push(heard);
    const headers: Record<string, string> = {};
    if (isStream && start?.type === 'cursor') headers['last-event-id'] = start.cursor;
    if (key?.by === 'header') headers.authorization = `Bearer ${key.text}`;
    const onEnd = (): void => {
      heard.open = false;
      heard.editions.over = key?.file.edition ?? 0;
      if (heard.refusal !== undefined) heard.editions.answered = heard.editions.over;
      this.#refusal = heard.refusal;
      this.#connection = undefined;
      this.#goOn(heard);
      this.#connectIn(heard.refusal === undefined ? AGAIN_MS : REFUSED_AGAIN_MS);
    };
    const onOpen = (): void => {
      this.connections++;
      heard.served = true;
      heard.editions.answered = key?.file.edition ?? 0;
      if (this.#paused) this.#connection?.pause();
    };
    const open = isStream ? openEventStream : openWebSocket;
    this.#connection = open(served.port, { heard, wish, headers, onOpen, onEnd });
  }

  #goOn(heard: Heard): void {
    if (!this.wish.meta) return;
    const status = heard.refusal?.status;
    if (status === 410) {
      this.#start = { type: 'oldest' };
      this.#first = this.#start;
    } else if (status === 403) {
      // It has no history, or nothing at all.
      this.#start = undefined;
      this.#first = undefined;
    }
    const cursor = lastCursor(heard);
    if (cursor !== undefined) this.#start = { type: 'cursor', cursor };
  }

  #connectIn(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#connect(), ms);
  }
}
