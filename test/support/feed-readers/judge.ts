/**
 * Holds what a reader of the feed was told against what was accepted: of what it asked for all, once, in order, each frame as it is stored; and where
 * something cannot be read any more, it is told, there and nowhere else.
 */

import type { Heard, Item } from './heard.js';
import type { FeedHistory, Shown } from './history.js';
import type { Wish } from './wish.js';

/** Whether a reader asked for it. */
export function wants({ kinds, peers }: Wish, { kind, author }: Pick<Shown, 'kind' | 'author'>): boolean {
  return (kinds?.includes(kind) ?? true) && (peers?.includes(author) ?? true);
}

/** The judge of a reader with this wish. */
export function judgeOf(wish: Wish, history: FeedHistory): Judge {
  return wish.meta ? new MetaJudge(wish, history) : new PlainJudge(wish, history);
}

/** Without what stands for nothing. */
const shownItem = (item: Item): string => JSON.stringify(item).replaceAll(/x{9,}/g, '…').slice(0, 500);

function must(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}

export abstract class Judge {
  /** That were as they had to be. */
  frames = 0;
  /** What else was told, and how often. */
  readonly told: Record<string, number> = {};
  /** Index of what is being judged. */
  protected item = 0;
  protected readonly wish: Wish;
  protected readonly history: FeedHistory;

  constructor(wish: Wish, history: FeedHistory) {
    this.wish = wish;
    this.history = history;
  }

  /** Judges one connection after the other. Throws where one was not served as it was to be. */
  judge(heard: Heard): void {
    const { life, query, start, items, refusal, fault, rest } = heard;
    this.item = 0;
    try {
      must(fault === undefined, fault ?? '');
      if (refusal !== undefined) this.refused(heard, refusal.status, refusal.code);
      else this.served(heard, rest === undefined ? undefined : this.history.behind(rest));
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      const from = JSON.stringify(start ?? 'live');
      const shown = items.slice(Math.max(0, this.item - 2), this.item + 2).map(shownItem);
      throw new Error(
        `in life ${life} a ${this.wish.medium} ?${query} from ${from}: ${why}; item ${this.item} of ${items.length} of ${shown.join(' ')}`,
        { cause: error },
      );
    }
  }

  protected refused(_: Heard, status: number, code: string): void {
    this.count(`refused: ${code}`);
    // Somebody who comes again is served then.
    must(status === 503, `refused with ${status} ${code}`);
  }

  /** `until`: behind the last that it must have had. */
  protected abstract served(heard: Heard, until: number | undefined): void;

  protected count(what: string): void {
    this.told[what] = (this.told[what] ?? 0) + 1;
  }

  /** Index of the first in [from, to) that the reader wants and that can be read in `life`. */
  protected firstWanted(from: number, to: number, life: number): number | undefined {
    for (let at = from; at < to; at++) {
      const one = this.history.shown[at];
      if (one !== undefined && one.lostFrom > life && this.owed(one)) return at;
    }
    return undefined;
  }

  /** Whether it is missed where it does not come. */
  protected owed(one: Shown): boolean {
    return wants(this.wish, one);
  }

  /** That nothing in [from, to) was wanted. */
  protected mustSkip(from: number, to: number, life: number): void {
    const missing = this.firstWanted(from, to, life);
    must(missing === undefined, `${this.name(missing)} is missing`);
  }

  protected name(at: number | undefined): string {
    const one = this.history.shown[at ?? -1];
    return one === undefined ? `the frame ${at}` : `${one.kind} ${one.epoch}.${one.seq}`;
  }
}

/** Frames that say where they stand: whatever happens between two connections, the second goes on where the first was. */
class MetaJudge extends Judge {
  /** Index of what comes next; undefined until a stream has begun. */
  #at: number | undefined;

  protected override refused(heard: Heard, status: number, code: string): void {
    if (status !== 410) {
      super.refused(heard, status, code);
      return;
    }
    const begins = this.#beginning(heard);
    must(this.wish.strict && code === 'cursor_too_old', `refused with ${status} ${code}`);
    must(
      begins !== undefined && begins < this.history.oldestIn(heard.life),
      'refused, and all of it is kept',
    );
    this.#at = undefined;
    this.count('refused: too old');
  }

  /** Index of what it asked for first; undefined where any will do. */
  #beginning({ start }: Heard): number | undefined {
    switch (start?.type) {
      case 'cursor':
        return this.history.countAt(start.cursor);
      case 'since':
        return this.history.firstSince(start.ms);
      case 'oldest':
        return 0;
      default:
        return undefined;
    }
  }

  protected served(heard: Heard, until: number | undefined): void {
    const { life, items, start } = heard;
    const [hello, ...rest] = items;
    if (hello === undefined) return;
    must(hello.type === 'hello', `the first is ${hello.type}`);
    const begins = this.#beginning(heard);
    if (start?.type === 'cursor' && this.#at !== undefined)
      must(begins === this.#at, `it was at ${this.name(this.#at)}`);
    const oldest = this.history.oldestIn(life);
    const isTooOld = start?.type === 'cursor' && (begins ?? oldest) < oldest;
    const told = this.history.countAt(hello.fields.cursor);
    const goesBack = this.history.mayGoBack && start?.type === 'cursor' && told < (begins ?? 0);
    const from = begins === undefined || goesBack ? told : Math.max(begins, oldest);
    this.#at = from;
    if (goesBack) this.count('again at a gateway that is behind');
    must(told === from, `hello says ${hello.fields.cursor}`);
    must(this.history.countAt(hello.fields.oldest) === oldest, `hello says oldest ${hello.fields.oldest}`);
    if (isTooOld) {
      const [told] = rest;
      const code = told?.type === 'info' ? told.fields.code : undefined;
      must(rest.length === 0 || code === 'cursor_too_old', 'it was not told that its cursor is too old');
    }
    rest.forEach((item, index) => {
      this.item = index + 1;
      const isLast = index === rest.length - 1;
      if (item.type === 'info' && item.fields.code === 'cursor_too_old')
        must(isTooOld && index === 0, 'its cursor is not too old');
      else this.#take(item, { life, isLast });
      if (item.type === 'info') this.count(String(item.fields.code));
    });
    if (until !== undefined) this.mustSkip(this.#at, until, life);
  }

  #take(item: Item, { life, isLast }: { readonly life: number; readonly isLast: boolean }): void {
    const at = this.#at ?? 0;
    switch (item.type) {
      case 'frame':
        this.#at = this.#takeFrame(item.text, at, life);
        return;
      case 'cursor':
        this.#at = this.#takeCursor(item.fields.cursor, at, life);
        this.count('cursor');
        return;
      case 'info':
        must(item.fields.code === 'gap', `an info ${item.fields.code}`);
        this.#at = this.#takeGap(at, life);
        return;
      case 'error': {
        must(isLast, 'something came behind an error');
        const { code, cursor } = item.fields;
        must(code === 'unavailable' || code === 'too_many_connections', `an error ${code}`);
        if (cursor !== undefined) this.#at = this.#takeCursor(cursor, at, life);
        this.count(`error: ${code}`);
        return;
      }
      default:
        must(false, `a ${item.type} in the midst`);
    }
  }

  /** Up to there nothing was asked for but what came. */
  #takeCursor(cursor: unknown, at: number, life: number): number {
    const to = this.history.countAt(cursor);
    must(to >= at, `the cursor went back to ${cursor}`);
    this.#mustKnowGaps(at, to, life);
    this.mustSkip(at, to, life);
    return to;
  }

  #takeFrame(text: string, at: number, life: number): number {
    const index = this.history.indexOf(text);
    must(index >= at, `${this.name(index)} came again, or late`);
    const one = this.history.shown[index] as Shown;
    must(wants(this.wish, one), `${this.name(index)} was not asked for`);
    must(one.lostFrom > life, `${this.name(index)} was lost`);
    this.#mustKnowGaps(at, index, life);
    this.mustSkip(at, index, life);
    this.frames++;
    return index + 1;
  }

  /** That nothing is lost in [from, to): of that it had to be told. */
  #mustKnowGaps(from: number, to: number, life: number): void {
    const lost = this.#firstLost(from, to, life);
    must(lost === undefined, `nothing tells that ${this.name(lost)} is lost`);
  }

  #firstLost(from: number, to: number, life: number): number | undefined {
    for (let at = from; at < to; at++) if ((this.history.shown[at]?.lostFrom ?? Infinity) <= life) return at;
    return undefined;
  }

  /** What follows is lost, up to where it can be read again. */
  #takeGap(at: number, life: number): number {
    const { shown } = this.history;
    const from = this.#firstLost(at, shown.length, life);
    must(from !== undefined, 'a gap is told where nothing is lost');
    this.mustSkip(at, from, life);
    let to = from;
    while ((shown[to]?.lostFrom ?? Infinity) <= life) to++;
    return to;
  }
}

/** Frames as they always were: each connection has a part of what was accepted, without a gap, from when it came. */
class PlainJudge extends Judge {
  /** With its own status a node greets whoever comes, and tells it again where a process that took another's place had an older one. */
  protected override owed(one: Shown): boolean {
    return !one.own && super.owed(one);
  }

  protected served({ life, items }: Heard, until: number | undefined): void {
    const { wish, history } = this;
    const isFiltered = wish.kinds !== undefined || wish.peers !== undefined;
    let at: number | undefined;
    for (const [index, item] of items.entries()) {
      this.item = index;
      if (item.type === 'ping') {
        must(!isFiltered, 'a PING, which was not asked for');
        continue;
      }
      must(item.type === 'frame', `a ${item.type} without meta`);
      const found = history.indexOfPlain(item.text);
      must(found !== undefined, `${item.text} was never accepted`);
      const one = history.shown[found] as Shown;
      must(wants(wish, one), `${this.name(found)} was not asked for`);
      if (one.own) continue;
      if (at !== undefined) {
        must(found >= at, `${this.name(found)} came again, or late`);
        this.mustSkip(at, found, life);
      }
      at = found + 1;
      this.frames++;
    }
    if (until !== undefined && at !== undefined) this.mustSkip(at, until, life);
  }
}
