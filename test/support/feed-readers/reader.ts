/** A reader of the feed that connects again whenever it is cut, and goes on from where it was. */

import type { TestContext } from 'node:test';
import { wall } from '../../../src/shared/clock.js';
import type { Served } from '../deaths/run.js';
import { type Heard, lastCursor } from './heard.js';
import { type Connection, openEventStream, openWebSocket } from './media.js';
import { queryOf, type Start, type Wish } from './wish.js';

const AGAIN_MS = 50;

export class Reader {
  /** Connections that are yet to be judged, the oldest first. */
  readonly heard: Heard[] = [];
  /** So far. */
  connections = 0;
  readonly #where: () => Served | undefined;
  #connection: Connection | undefined;
  #paused = false;
  #over = false;
  /** Where the first connection begins, which an EventSource goes on saying. */
  #first: Start | undefined;
  /** Where the next one does. */
  #start: Start | undefined;

  /** `where` is asked at every attempt; undefined: there is nobody to connect to. */
  constructor(
    context: Pick<TestContext, 'after'>,
    readonly wish: Wish,
    where: () => Served | undefined,
  ) {
    this.#where = where;
    const { begins } = wish;
    if (typeof begins === 'object') this.#start = { type: 'since', ms: wall.date() - begins.since };
    else if (begins !== 'live') this.#start = { type: begins };
    this.#first = this.#start;
    context.after(() => {
      this.#over = true;
      this.#connection?.cut();
    });
    this.#connect();
  }

  cut(): void {
    this.#connection?.cut();
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
      this.#connectSoon();
      return;
    }
    const { wish } = this;
    const start = this.#start;
    const isStream = wish.medium === 'sse';
    const heard: Heard = {
      life: served.life,
      query: queryOf(wish, isStream ? this.#first : start),
      start,
      items: [],
      open: false,
    };
    this.heard.push(heard);
    this.connections++;
    const onEnd = (): void => {
      heard.open = false;
      this.#connection = undefined;
      this.#goOn(heard);
      this.#connectSoon();
    };
    const lastEventId = isStream && start?.type === 'cursor' ? start.cursor : undefined;
    const onOpen = (): void => {
      if (this.#paused) this.#connection?.pause();
    };
    const open = isStream ? openEventStream : openWebSocket;
    this.#connection = open(served.port, { heard, wish, lastEventId, onOpen, onEnd });
  }

  #goOn(heard: Heard): void {
    if (!this.wish.meta) return;
    if (heard.refusal?.status === 410) {
      this.#start = { type: 'oldest' };
      this.#first = this.#start;
    }
    const cursor = lastCursor(heard);
    if (cursor !== undefined) this.#start = { type: 'cursor', cursor };
  }

  #connectSoon(): void {
    setTimeout(() => this.#connect(), AGAIN_MS);
  }
}
