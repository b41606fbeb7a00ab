/**
 * Holds what a reader of the feed was told against what was accepted: of what it asked for all, once, in order, each frame as it is stored; and where
 * something cannot be read any more, it is told, there and nowhere else.
 */

import type { Heard, Item, Refusal } from './heard.js';
import type { FeedHistory, Shown } from './history.js';
import { editionsOf, type Key, kindsOf, type Verdict, verdictOf } from './tokens.js';
import { type View, type Wish, wants } from './wish.js';

/** The judge of a reader with this wish, and with this token or without one. */
export function judgeOf(wish: Wish, key: Key | undefined, history: FeedHistory): Judge {
  return wish.meta ? new MetaJudge(wish, key, history) : new PlainJudge(wish, key, history);
}

type Served = Extract<Verdict, { readonly type: 'served' }>;

const sameKinds = (one: unknown, other: readonly string[] | undefined): boolean =>
  one === undefined || other === undefined
    ? one === other
    : Array.isArray(one) && [...one].sort().join() === [...other].sort().join();

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
  /** What is shown over the connection that is being judged. */
  protected view: View;

  constructor(
    protected readonly wish: Wish,
    private readonly key: Key | undefined,
    protected readonly history: FeedHistory,
  ) {
    this.view = wish;
  }

  /** Judges one connection after the other. Throws where one was not served as it was to be. */
  judge(heard: Heard): void {
    const { life, query, start, items, refusal, fault, rest } = heard;
    this.item = 0;
    try {
      must(fault === undefined, fault ?? '');
      if (refusal !== undefined) this.#refused(heard, refusal);
      else if (heard.served) this.#served(heard, rest === undefined ? undefined : this.history.behind(rest));
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      const from = JSON.stringify(start ?? 'live');
      const shown = items.slice(Math.max(0, this.item - 2), this.item + 2).map(shownItem);
      const by = this.key === undefined ? '' : ` with the token ${this.key.name}`;
      throw new Error(
        `in life ${life} a ${this.wish.medium} ?${query}${by} from ${from}: ${why}; item ${this.item} of ${items.length} of ${shown.join(' ')}`,
        { cause: error },
      );
    }
  }

  /** What could become of it: one for each edition of the file of tokens that may have counted. */
  #verdicts({ start, editions: { began, answered } }: Heard): readonly Verdict[] {
    return editionsOf(began, answered).map((edition) => verdictOf(this.key, edition, this.wish, start));
  }

  #refused(heard: Heard, { status, code, kinds, authenticate }: Refusal): void {
    const verdicts = this.#verdicts(heard);
    const served = verdicts.filter((each) => each.type === 'served');
    const what = `refused with ${status} ${code}`;
    switch (status) {
      case 503:
        // Somebody who comes again is served then.
        break;
      case 429:
        must(
          code === 'token_in_use' && served.some(({ allowed }) => allowed.connections !== undefined),
          what,
        );
        break;
      case 410:
        must(served.length > 0, what);
        this.tooOld(heard, code);
        break;
      default: {
        const rightly = verdicts
          .filter((each) => each.type === 'refused')
          .filter((each) => each.status === status);
        must(
          rightly.some((each) => each.code === code && sameKinds(kinds, each.kinds)),
          `${what}, kinds ${kinds}`,
        );
        must(status !== 401 || authenticate === 'Bearer', `${what}, to authenticate by ${authenticate}`);
        if (status === 403) this.begunAnew();
      }
    }
    this.count(`refused: ${code}`);
  }

  #served(heard: Heard, until: number | undefined): void {
    const verdicts = this.#verdicts(heard);
    const served = verdicts.filter((each) => each.type === 'served');
    const [refused] = verdicts.filter((each) => each.type === 'refused');
    must(served.length > 0, `served, where ${refused?.status} ${refused?.code} is its answer`);
    must(heard.closeCode !== 4401 || this.#mayBeGone(heard), 'ended, and its token counts');
    const { frames } = this;
    const failures: unknown[] = [];
    // One of them was the case, throughout.
    for (const each of this.among(served, heard)) {
      this.view = { ...this.wish, kinds: kindsOf(this.wish, each.allowed) };
      try {
        this.served(heard, until, each);
        return;
      } catch (error) {
        failures.push(error);
        this.frames = frames;
      }
    }
    throw failures[0];
  }

  /** Whether its token was out of the file before its end. */
  #mayBeGone({ editions: { began, over } }: Heard): boolean {
    const { key } = this;
    return editionsOf(began, over).some((edition) => key !== undefined && key.allowed(edition) === undefined);
  }

  protected mustBeGone(heard: Heard): void {
    must(this.#mayBeGone(heard), 'told that its token is unknown, and it counts');
  }

  /** Those verdicts that agree with what was told of them; each once. */
  protected among(served: readonly Served[], _: Heard): readonly Served[] {
    return served.filter(
      (each, index) => served.findIndex((one) => sameKinds(one.allowed.kinds, each.allowed.kinds)) === index,
    );
  }

  /** Refused because its cursor is too old. */
  protected tooOld(_: Heard, code: string): void {
    must(false, `refused as ${code}`);
  }

  /** What follows need not go on from what came before. */
  protected begunAnew(): void {}

  /** `until`: behind the last that it must have had. */
  protected abstract served(heard: Heard, until: number | undefined, verdict: Served): void;

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
    return wants(this.view, one);
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

  protected override among(served: readonly Served[], heard: Heard): readonly Served[] {
    const [hello] = heard.items;
    if (hello?.type !== 'hello') return super.among(served, heard).slice(0, 1);
    const { kinds, connections } = hello.fields.limits as { kinds?: unknown; connections?: unknown };
    const agreeing = served.filter(
      ({ allowed }) => sameKinds(kinds, allowed.kinds) && connections === allowed.connections,
    );
    must(agreeing.length > 0, `hello says that it may have the kinds ${kinds}, ${connections} connections`);
    return agreeing.slice(0, 1);
  }

  protected override tooOld(heard: Heard, code: string): void {
    const begins = this.#beginning(heard);
    must(this.wish.strict && code === 'cursor_too_old', `refused as ${code}`);
    must(
      begins !== undefined && begins < this.history.oldestIn(heard.life),
      'refused, and all of it is kept',
    );
    this.#at = undefined;
  }

  protected override begunAnew(): void {
    this.#at = undefined;
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

  protected served(heard: Heard, until: number | undefined, verdict: Served): void {
    const { life, items } = heard;
    const start = verdict.begins ? heard.start : undefined;
    const [hello, ...rest] = items;
    if (hello === undefined) return;
    must(hello.type === 'hello', `the first is ${hello.type}`);
    const { kinds } = verdict.allowed;
    must(
      hello.fields.node === undefined || (kinds?.includes('node_status') ?? true),
      'hello tells the status of the node, which its token does not allow',
    );
    const begins = start === undefined ? undefined : this.#beginning(heard);
    if (start?.type === 'cursor' && this.#at !== undefined)
      must(begins === this.#at, `it was at ${this.name(this.#at)}`);
    const oldest = this.history.oldestIn(life);
    const isTooOld = start?.type === 'cursor' && (begins ?? oldest) < oldest;
    const told = this.history.countAt(hello.fields.cursor);
    const from = begins === undefined ? told : Math.max(begins, oldest);
    this.#at = from;
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
      else this.#take(item, { heard, isLast, verdict });
      if (item.type === 'info') this.count(String(item.fields.code));
    });
    if (until !== undefined) this.mustSkip(this.#at, until, life);
  }

  #take(
    item: Item,
    { heard, isLast, verdict }: { readonly heard: Heard; readonly isLast: boolean; readonly verdict: Served },
  ): void {
    const at = this.#at ?? 0;
    const { life } = heard;
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
        if (code === 'token_unknown') this.mustBeGone(heard);
        // The server's processes share the count, so that one may hear after its hello that others are at its limit.
        else if (code === 'token_in_use')
          must(verdict.allowed.connections !== undefined, 'its token has no limit');
        else must(code === 'unavailable', `an error ${code}`);
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
    must(wants(this.view, one), `${this.name(index)} was not asked for, or is not allowed`);
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
    const { view, history } = this;
    const isFiltered = view.kinds !== undefined || view.peers !== undefined;
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
      must(wants(view, one), `${this.name(found)} was not asked for, or is not allowed`);
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
