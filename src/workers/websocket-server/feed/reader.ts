/**
 * One consumer who is told its place: replays from where it begins, joins the live feed where what it has meets what comes, leaves it when it falls behind,
 * and goes on by replaying. What it is sent is the feed from its beginning on, each frame that it wants to see once and in order; where frames are missing it
 * is told so in their place.
 */

import { monotonic } from '../../../shared/clock.js';
import type { HelloFrame, InfoCode, InfoFrame } from '../../../shared/firehose/control-frames.js';
import type { Place } from '../../../shared/firehose/cursor-scheme.js';
import type { History } from '../../../shared/firehose/history.js';
import { FeedProblem } from '../../../shared/firehose/problems.js';
import type { Logger } from '../../../shared/logging/logger.js';
import { QUEUES } from '../../../shared/queues.js';
import { gzip } from './batches.js';
import type { Outlet } from './outlet.js';
import type { Replaying, Replays, Step } from './replays.js';
import type { Stretch, Stretches } from './stretches.js';
import type { Subscriber, Subscription } from './subscription.js';
import { filterOf, linesOf } from './view.js';

/** Bytes that may wait for a consumer who replays before it is given more. Not less than transports tell the taking of for certain: 64 KiB. */
const WINDOW_BYTES = QUEUES.replayToClient.bounds.bytes;
/** Written in one step, a frame beyond it. */
const STEP_BYTES = 64 * 1024;
/** So long without a frame, and a reader is told how far the feed is. */
const CURSOR_MS = 30_000;
/** For so long what comes may be before the frame of a reader's cursor, which another server has: who is behind comes to it sooner. */
const AHEAD_MS = 30_000;

export interface ReaderComponents {
  readonly logger: Logger;
  readonly history: () => History;
  readonly stretches: () => Stretches;
  readonly live: () => Place | undefined;
  readonly replays: Replays;
  readonly replayed: (frames: number) => void;
  /** The reader leaves the live feed, for it does not keep up. */
  readonly demoted: () => void;
  /** The reader was told what the code says. */
  readonly informed: (code: InfoCode) => void;
  readonly closed: () => void;
}

export interface ReaderInit {
  readonly subscription: Subscription;
  readonly outlet: Outlet;
  /** Where it begins. */
  readonly next: Place;
  /** The cursor that it came with, of a frame that may come yet, where it is not to begin before that is there. */
  readonly awaited?: string | undefined;
  /** Whether it is ended where its cursor turns out to be unknown. */
  readonly strict: boolean;
}

/** A cursor whose place is not known. */
interface Lost {
  readonly cursor: string;
  /** Whether its frame may come yet. */
  readonly waits: boolean;
}

export class Reader implements Replaying, Subscriber {
  readonly #subscription: Subscription;
  readonly #outlet: Outlet;
  readonly #sees: (entry: Uint8Array) => boolean;
  /** Everything before it was written, unless it is live. */
  #next: Place;
  #live = false;
  #over = false;
  /** It has not taken what it was sent as fast as it came, since it was last live. */
  #slow = false;
  #compressing = false;
  #wroteAt = monotonic();
  readonly #strict: boolean;
  /** From where to go on, once it is found: in another history, or where its frame has come. */
  #lost: Lost | undefined;
  /** When (monotonic) something had come, and not what `#lost` waits for. */
  #movedAt: number | undefined;

  constructor(
    private readonly components: ReaderComponents,
    init: ReaderInit,
  ) {
    const { subscription, outlet, next, awaited, strict } = init;
    this.#subscription = subscription;
    this.#outlet = outlet;
    this.#sees = filterOf(subscription.view);
    this.#next = next;
    this.#strict = strict;
    if (awaited !== undefined) this.#lost = { cursor: awaited, waits: true };
  }

  /** Says `hello`, and what there is to know about the beginning. */
  begin(hello: () => Omit<HelloFrame, 'type' | 'cursor'>, infos: readonly InfoFrame[]): void {
    this.#guarded(() => {
      const { history, replays } = this.components;
      const cursor = this.#lost?.cursor ?? history().cursorAt(this.#next);
      this.#outlet.control({ type: 'hello', cursor, ...hello() });
      this.#inform(infos);
      const seam = this.#subscription.seam();
      if (this.#lost === undefined && seam !== undefined && this.#isAt(seam)) this.#join();
      else replays.run(this);
    });
  }

  /** Its consumer took something. */
  drained(): void {
    if (!this.#live && !this.#over) this.components.replays.run(this);
  }

  /** Its consumer is gone. */
  close(): void {
    if (this.#over) return;
    if (this.#live) this.#subscription.leave(this);
    this.#over = true;
    this.components.replays.remove(this);
    this.#subscription.release();
    this.components.closed();
  }

  subscribe(topic: string): void {
    this.#outlet.subscribe(topic);
  }

  unsubscribe(topic: string): void {
    this.#outlet.unsubscribe(topic);
  }

  dropped(): void {
    this.#leave();
  }

  /** Leaves the live feed where more than `bytes` wait for its consumer. */
  look(bytes: number): void {
    if (!this.#live || this.#outlet.bufferedBytes() <= bytes) return;
    this.#slow = true;
    this.components.demoted();
    this.#leave();
  }

  /** Frames are missing before those that come: it goes on from the journal, which has them, or it is told there what it misses. */
  gap(): void {
    if (this.#live) this.#leave();
  }

  /** The history is about to be another: it goes on where its cursor is found in that, or is told that it is not. */
  lose(): void {
    this.gap();
    this.#guarded(() => {
      const cursor = this.#lost?.cursor ?? this.components.history().cursorAt(this.#next);
      this.#lost = { cursor, waits: false };
    });
  }

  /** Once a second. `oldest`: of the history. */
  tick(now: number, oldest: () => Place): void {
    if (!this.#over) this.#guarded(() => this.#tick(now, oldest));
  }

  /** Ends it, with the cursor from which to go on, where that can be told. */
  end(problem: FeedProblem): void {
    if (this.#over) return;
    let cursor = problem.extra.oldest ?? this.#lost?.cursor;
    try {
      const place = this.#live ? this.#subscription.seam() : this.#next;
      if (place !== undefined) cursor ??= this.components.history().cursorAt(place);
    } catch (error) {
      this.components.logger.error(
        { err: error },
        'the history cannot be read: a client is not told its cursor',
      );
    }
    this.close();
    this.#outlet.end(problem, cursor);
  }

  #tick(now: number, oldest: () => Place): void {
    if (!this.#live && this.#slow && this.#outlet.bufferedBytes() > WINDOW_BYTES) {
      if (this.#isGone(oldest())) this.#endSlow();
      return;
    }
    if (!this.#live) {
      this.#waitNoLonger(now);
      this.components.replays.run(this);
    }
    if (now - Math.max(this.#wroteAt, this.#subscription.publishedAt()) < CURSOR_MS) return;
    const place = this.#live ? this.#subscription.seam() : this.#next;
    if (place === undefined) return;
    this.#wroteAt = now;
    const cursor = this.#lost?.cursor ?? this.components.history().cursorAt(place);
    this.#outlet.control({ type: 'cursor', cursor });
  }

  step(): Step {
    if (this.#over || this.#live) return 'done';
    if (this.#compressing) return 'run';
    if (this.#outlet.bufferedBytes() > WINDOW_BYTES) {
      this.#slow = true;
      return 'run';
    }
    let step: Step = 'done';
    this.#guarded(() => {
      step = this.#go();
    });
    return step;
  }

  /** What reads the history may fail: then the reader ends, and the others go on. */
  #guarded(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof FeedProblem)) {
        this.components.logger.error({ err: error }, 'the history cannot be read: a client is ended');
      }
      // What went wrong, such as the name of a file, is the operator's.
      this.end(error instanceof FeedProblem ? error : new FeedProblem('unavailable'));
    }
  }

  #go(): Step {
    if (this.#lost !== undefined && !this.#findAgain(this.#lost)) return 'live';
    const seam = this.#subscription.seam();
    const live = this.components.live();
    if (seam === undefined || live === undefined) return 'live';
    if (this.#isAt(seam)) {
      this.#join();
      return 'done';
    }
    // Another process knew of frames that are yet to come here; or some of what is gathered here for the next message it has already.
    if (this.#next.seq > seam.seq) return 'live';
    const { stretch, index } = this.components.stretches().at(this.#next, live);
    const before = index === 0 && stretch.beginsAt(this.#next) ? stretch.read.before : [];
    if (
      this.#slow &&
      before.some(({ code }) => code === 'gap') &&
      this.#isGone(this.components.history().oldest(live))
    ) {
      this.#endSlow();
      return 'done';
    }
    return this.#take(stretch, { index, seam, before });
  }

  /** Takes of a stretch what is before the seam, as much as goes into one step. */
  #take(
    stretch: Stretch,
    {
      index,
      seam,
      before,
    }: { readonly index: number; readonly seam: Place; readonly before: readonly InfoFrame[] },
  ): Step {
    const { entries, epoch, next } = stretch.read;
    const { form } = this.#subscription.view;
    const end = epoch === seam.epoch ? seam.seq : Number.POSITIVE_INFINITY;
    const frames: Uint8Array[] = [];
    let bytes = 0;
    let at = index;
    for (
      let entry = entries[at];
      entry !== undefined && entry.seq < end && bytes < STEP_BYTES;
      entry = entries[++at]
    ) {
      if (!this.#sees(entry.bytes)) continue;
      const frame = stretch.rendered(form, at);
      frames.push(frame);
      bytes += frame.length;
    }
    const following = entries[at];
    const reached =
      following === undefined
        ? next
        : { epoch, position: following.position, seq: Math.min(following.seq, end) };
    // Nothing at all: what is before the live position and not there yet comes with the next frames.
    if (at === index && this.#isAt(reached) && reached.position === this.#next.position) return 'live';
    const after = following === undefined ? stretch.read.after : [];
    return this.#write(frames, { stretch, name: `${index}-${at}`, reached, before, after });
  }

  #write(
    frames: readonly Uint8Array[],
    {
      stretch,
      name,
      reached,
      before,
      after,
    }: {
      readonly stretch: Stretch;
      readonly name: string;
      readonly reached: Place;
      readonly before: readonly InfoFrame[];
      readonly after: readonly InfoFrame[];
    },
  ): Step {
    const { batchMs, gzip: compressed, kinds = [], form } = this.#subscription.view;
    const written = (messages: readonly Uint8Array[]): void => {
      this.#inform(before);
      if (messages.length > 0) {
        this.#outlet.write(messages, compressed);
        this.#wroteAt = monotonic();
        this.components.replayed(frames.length);
      }
      this.#next = reached;
      this.#inform(after);
    };
    if (!compressed || frames.length === 0) {
      written(batchMs === undefined || frames.length === 0 ? frames : [linesOf(frames)]);
      return 'more';
    }
    const { replays } = this.components;
    if (!replays.mayCompress(this)) return 'run';
    this.#compressing = true;
    stretch
      .made(`${form.name}/${kinds.join()}/${name}`, () => gzip(linesOf(frames)))
      .then(
        (bytes) => {
          // Where the history is another by now, this was of the former one, and is found again there.
          if (!this.#over && this.#lost === undefined) this.#guarded(() => written([bytes]));
        },
        (error: unknown) =>
          this.#guarded(() => {
            throw error;
          }),
      )
      .finally(() => {
        this.#compressing = false;
        replays.compressed();
        if (!this.#over) replays.run(this);
      });
    return 'run';
  }

  #join(): void {
    this.#live = true;
    this.#slow = false;
    this.#wroteAt = monotonic();
    this.#subscription.join(this);
  }

  /** Goes on from the journal, behind what was published to it. */
  #leave(): void {
    // Live, so that there is one.
    this.#next = this.#subscription.seam() as Place;
    this.#subscription.leave(this);
    this.#live = false;
    this.components.replays.run(this);
  }

  /** Whether it is found, or told to be unknown. */
  #findAgain({ cursor, waits }: Lost): boolean {
    const { next, infos, awaited } = this.components
      .history()
      .resolve(
        { type: 'cursor', text: cursor },
        { end: this.components.live(), strict: this.#strict, waits },
      );
    if (awaited !== undefined) return false;
    this.#lost = undefined;
    this.#next = next;
    this.#inform(infos);
    return true;
  }

  /** Gives up what has not come though other frames do: then its cursor is of another history. While nothing comes, nothing is missed. */
  #waitNoLonger(now: number): void {
    const live = this.components.live();
    const lost = this.#lost;
    if (lost === undefined || live === undefined || live.position <= this.#next.position) return;
    this.#movedAt ??= now;
    if (now - this.#movedAt >= AHEAD_MS) this.#lost = { ...lost, waits: false };
  }

  #isAt({ epoch, seq }: Place): boolean {
    return this.#next.epoch === epoch && this.#next.seq === seq;
  }

  /** Whether what it needs next is no longer kept. */
  #isGone({ position }: Place): boolean {
    return position > this.#next.position;
  }

  #endSlow(): void {
    this.end(new FeedProblem('too_slow'));
  }

  #inform(infos: readonly InfoFrame[]): void {
    for (const info of infos) {
      this.#outlet.control(info);
      this.components.informed(info.code);
    }
  }
}
