/**
 * The clocks. What one is for is decided here, because a clock that is set (by NTP, by hand, with a machine that was paused) must not lengthen, shorten
 * or stop anything: `Date.now()` and `new Date()` are forbidden elsewhere by the lint rule in lint/wall-clock.grit.
 *
 * - How long something took or may take, and by when: {@link monotonic}. Where nothing leaves the thread, `performance.now()` is as good.
 * - What is told to others, shown, or compared with a date from outside: {@link wall}, by what it is for.
 * - Ages of what is stored and found again by the next run: {@link steadyTime}.
 * - What is compared with a time that a library took, or handed to one: {@link libraryTime}.
 * - Either of these two times, told to others or stored for them: {@link dateOf}.
 */

const NS_PER_MS = 1e6;
/** How much faster or slower than time itself {@link steadyTime} goes while it follows a clock that was set. */
const FOLLOW = 0.1;

/** The real one, once libraries have been given another. */
let real: DateConstructor | undefined;

const wallClock = (): number => (real ?? Date).now();

/**
 * Milliseconds, with fractions, of a clock that is never set. The same in all threads and processes of the machine, so that a deadline can be
 * sent to another; it means nothing after a restart of the machine or on another one.
 */
export function monotonic(): number {
  return Number(process.hrtime.bigint()) / NS_PER_MS;
}

/**
 * When (monotonic) something was at the unix ms `at`, by the clock as it is now: for what an earlier run stored with `wall.date`. What lies in the
 * future, as after a clock was set back, was just now.
 */
export function monotonicOf(at: number): number {
  return monotonic() - Math.max(0, wall.date() - at);
}

/** The time of day in unix ms, which may be set at any moment: for these uses, and no difference of two of them is a duration. */
export const wall = {
  /** Stamped on what others read: frames, node_status, blocks, gRPC answers. */
  told: wallClock,
  /** The time of a Kafka record. */
  record: wallClock,
  /** Compared with a date that came from outside or from disk, or stored as one: the end of a ban, when an announcement was accepted. */
  date: wallClock,
  /** Compared with the validity of a certificate. */
  certificate: wallClock,
  /** Shown to whoever sits at a terminal, and written into log lines and letters for operators. */
  shown: wallClock,
  /** From which, with the machine's uptime, its start is known where the system does not name it. */
  boot: wallClock,
} as const;

/** Follows a clock that may be set; see {@link steadyTime}. */
export class SteadyClock {
  readonly #wall: () => number;
  readonly #monotonic: () => number;
  #at: number;
  #time: number;

  constructor(clocks: { readonly wall: () => number; readonly monotonic: () => number }) {
    this.#wall = clocks.wall;
    this.#monotonic = clocks.monotonic;
    this.#at = this.#monotonic();
    this.#time = this.#wall();
  }

  /** Unix ms, whole. */
  now(): number {
    const at = this.#monotonic();
    const passed = Math.max(0, at - this.#at);
    const due = this.#wall() - this.#time;
    this.#at = at;
    this.#time += Math.min(Math.max(due, passed * (1 - FOLLOW)), passed * (1 + FOLLOW));
    return Math.floor(this.#time);
  }
}

const steady = new SteadyClock({ wall: wallClock, monotonic: () => performance.now() });

/**
 * Unix ms that never jump and never go back: the time of day when this thread began, and from then on as much as passes. Where the clock is set, it
 * follows, a tenth faster or slower until it is there: an hour takes ten. So no age is wrong by more than a tenth; over a restart, one that is stored
 * may be wrong by what there was left to follow.
 */
export function steadyTime(): number {
  return steady.now();
}

/** Unix ms as libraries in this thread read them: {@link steadyTime} after {@link steadyLibraries}. Of gRPC's deadlines, libp2p's timelines. */
export function libraryTime(): number {
  return Date.now();
}

/** A time of day and another kept time that differ by less than this are held to be the same, ms. */
const SAME_MS = 1_000;

/**
 * The date, by the time of day as it is now, of what was at `at`: a {@link steadyTime}, or a {@link libraryTime} where `now` is one. So its age is right
 * by the clock that others have too. 0, for never, stays 0.
 */
export function dateOf(at: number, now = steadyTime()): number {
  const ahead = wall.told() - now;
  return at === 0 || Math.abs(ahead) < SAME_MS ? at : at + ahead;
}

/** The {@link steadyTime} of what was at the date `at`, told by another: the inverse of {@link dateOf}. */
export function steadyOf(at: number): number {
  const ahead = wall.told() - steadyTime();
  return at === 0 || Math.abs(ahead) < SAME_MS ? at : at - ahead;
}

/**
 * Gives libraries in this thread {@link steadyTime} for `Date.now()`, `new Date()` and `Date()`. Dozens of places in libp2p, GossipSub, kafkajs and
 * grpc-js measure durations with them: with a clock set back an hour, GossipSub prunes no cache and keeps its scores as they were, and set forward
 * it forgets what it has seen and forgives whoever was bad. It is for the entry of a process or a thread alone; {@link wall} stays the time of day.
 */
export function steadyLibraries(): void {
  if (real !== undefined) return;
  const dates = Date;
  real = dates;
  globalThis.Date = new Proxy(dates, {
    get: (target, key) => (key === 'now' ? steadyTime : Reflect.get(target, key)),
    construct: (target, given, newTarget) =>
      Reflect.construct(target, given.length === 0 ? [steadyTime()] : given, newTarget),
    apply: (target) => new target(steadyTime()).toString(),
  });
}
