/** The feed for those who filter it, replay it, or are told their place in it, over whatever medium they are served. */

import { monotonic } from '../../../shared/clock.js';
import type { StreamLimits } from '../../../shared/firehose/control-frames.js';
import type { CursorScheme, Place } from '../../../shared/firehose/cursor-scheme.js';
import { History, type Started } from '../../../shared/firehose/history.js';
import { FeedProblem } from '../../../shared/firehose/problems.js';
import type { StartPoint } from '../../../shared/firehose/request.js';
import type { JournalledEntry } from '../../../shared/journal/entry.js';
import type { Logger } from '../../../shared/logging/logger.js';
import { nodeStatus } from '../../../shared/messages/index.js';
import type { NotificationServerMetrics } from '../metrics.js';
import { LiveFrames } from './live-frames.js';
import type { Outlet } from './outlet.js';
import { Reader } from './reader.js';
import { Renderings } from './renderings.js';
import { Replays } from './replays.js';
import { Stretches } from './stretches.js';
import type { Subscription } from './subscription.js';
import type { Publish } from './topics.js';
import type { View } from './view.js';

/** Bytes published between two looks at what waits for each reader. */
const LOOK_BYTES = 65_536;
const TICK_MS = 1000;

export interface LiveFeedComponents {
  readonly logger: Logger;
  readonly metrics: NotificationServerMetrics;
  /** Of the next frame that comes; undefined while the stream of frames was never reached. */
  readonly live: () => Place | undefined;
  /** JSON of the newest own `node_status`; undefined while there is none. */
  readonly node: () => Uint8Array | undefined;
}

export interface LiveFeedOptions {
  /** How consumers are told where they are. */
  readonly scheme: CursorScheme;
  /** Bytes that may wait for a reader who is live. */
  readonly clientBuffer: number;
}

/** What was found out about a reader before it is served. */
export interface Admitted {
  readonly subscription: Subscription;
  /** Undefined: with what comes from now on. */
  readonly started: Started | undefined;
  readonly strict: boolean;
  /** Nothing comes of it. */
  release(): void;
}

export class LiveFeed {
  readonly #renderings = new Set<Renderings>();
  readonly #readers = new Set<Reader>();
  readonly #replays = new Replays();
  #history: History | undefined;
  #stretches: Stretches | undefined;
  #origin = '';
  #sinceLook = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly components: LiveFeedComponents,
    private readonly options: LiveFeedOptions,
  ) {}

  start(): void {
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  /** Ends the readers that are left. */
  stop(): void {
    clearInterval(this.#timer);
    for (const reader of [...this.#readers])
      reader.end(new FeedProblem('unavailable', 'the server is going away'));
    this.#replays.stop();
    this.#history?.close();
  }

  /** What is rendered for one medium, which sends messages through `publish`. */
  renderings(publish: Publish): Renderings {
    const { metrics, live } = this.components;
    const renderings = new Renderings({
      publish,
      live,
      published: (rendering, frames, deliveries) => {
        metrics.rendered.inc({ rendering }, frames);
        metrics.deliveries.inc(deliveries);
      },
      moved: () => this.#replays.moved(),
    });
    this.#renderings.add(renderings);
    return renderings;
  }

  /** The history as it is now; undefined while the stream of frames was never reached. */
  get history(): History | undefined {
    return this.#history;
  }

  /** Bytes of the history and of what was made of it that are kept for the next who replays. */
  get cachedBytes(): number {
    return this.#stretches?.bytes ?? 0;
  }

  /** The stream of frames was reached, which is of this journal and goes on in this epoch. */
  journal(directory: string, epoch: string): void {
    const origin = `${epoch} ${directory}`;
    if (origin === this.#origin) return;
    for (const reader of this.#readers) reader.lose();
    this.#history?.close();
    this.#origin = origin;
    this.#history = new History({ directory, scheme: this.options.scheme });
    this.#stretches = new Stretches(this.#history, () => this.#replays.size);
  }

  /** Publishes what was just accepted, each with a frame. */
  publish(entries: readonly JournalledEntry[]): void {
    const history = this.#history;
    const epoch = this.components.live()?.epoch;
    if (history === undefined || epoch === undefined) return;
    const frames = new LiveFrames(entries, epoch, (entry) => history.tell(entry, epoch));
    for (const renderings of this.#renderings) renderings.publish(frames);
    this.#replays.moved();
    if (this.#readers.size === 0) return;
    for (const { bytes } of entries) this.#sinceLook += bytes.length;
    if (this.#sinceLook >= LOOK_BYTES) this.#look();
  }

  /** Frames are missing before those that come. */
  gap(): void {
    for (const reader of this.#readers) reader.gap();
  }

  /**
   * Finds out where a reader with `view` is to begin, before it is told that it is served, and reserves what it takes. Throws FeedProblem. One `begin` or
   * `release` follows.
   */
  admit(
    renderings: Renderings,
    {
      view,
      start,
      strict,
    }: { readonly view: View; readonly start?: StartPoint | undefined; readonly strict: boolean },
  ): Admitted {
    const end = this.components.live();
    if (this.#history === undefined || end === undefined)
      throw new FeedProblem('unavailable', 'the server has not heard of its publisher yet');
    const subscription = renderings.subscription(view);
    try {
      const started =
        start === undefined || start.type === 'now'
          ? undefined
          : this.#history.resolve(start, { end, strict, waits: true });
      return { subscription, started, strict, release: () => subscription.release() };
    } catch (error) {
      subscription.release();
      if (error instanceof FeedProblem) throw error;
      this.components.logger.error({ err: error }, 'the history cannot be read: a client is refused');
      throw new FeedProblem('unavailable');
    }
  }

  /** Serves a reader from now on, until its `close`. */
  begin({ subscription, started, strict }: Admitted, outlet: Outlet, limits: StreamLimits): Reader {
    const reader: Reader = new Reader(
      {
        logger: this.components.logger,
        history: () => this.#historyNow(),
        stretches: () => this.#stretches as Stretches,
        live: this.components.live,
        replays: this.#replays,
        replayed: (frames) => this.components.metrics.replayed.inc(frames),
        demoted: () => this.components.metrics.demotions.inc(),
        informed: (code) => this.components.metrics.infos.inc({ code }),
        closed: () => this.#readers.delete(reader),
      },
      {
        subscription,
        outlet,
        next: started?.next ?? (subscription.seam() as Place),
        awaited: started?.awaited,
        strict,
      },
    );
    this.#readers.add(reader);
    reader.begin(() => {
      // A token that allows kinds alone allows this one, or not.
      const isAllowed = limits.kinds?.includes(nodeStatus.name) ?? true;
      const node = isAllowed ? this.components.node() : undefined;
      const { cursor: oldest } = this.#historyNow().oldest(this.components.live());
      return { oldest, limits, ...(node === undefined ? {} : { node }) };
    }, started?.infos ?? []);
    return reader;
  }

  #historyNow(): History {
    // Where a reader is, the stream was reached.
    if (this.#history === undefined) throw new FeedProblem('unavailable');
    return this.#history;
  }

  #look(): void {
    this.#sinceLook = 0;
    for (const reader of this.#readers) reader.look(this.options.clientBuffer);
  }

  #tick(): void {
    const now = monotonic();
    this.components.metrics.replaying.set(this.#replays.size);
    if (this.#replays.size === 0) this.#stretches?.clear();
    this.components.metrics.cached.set(this.cachedBytes);
    // A feed too thin for a look by bytes has one by time.
    if (this.#sinceLook > 0) this.#look();
    let oldest: Place | undefined;
    for (const reader of [...this.#readers]) {
      reader.tick(now, () => {
        oldest ??= this.#historyNow().oldest(this.components.live());
        return oldest;
      });
    }
  }
}
