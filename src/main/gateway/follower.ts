/**
 * Follows the notifications topic: at the start from as far back as history is kept, later from behind the last record that was shown.
 *
 * Every time it begins, as after any fault, it makes sure that the topic is the one that the history is of: the last record that was shown must be there, at its
 * offset, and the same. Then it reads a while before what is to be shown, so that it knows what is to be merged.
 */

import { Backoff, type BackoffPolicy } from '../../shared/async/backoff.js';
import { pause } from '../../shared/async/pause.js';
import { monotonic, wall } from '../../shared/clock.js';
import { ConfigurationError, errorMessage } from '../../shared/errors.js';
import type { RecordPlace } from '../../shared/firehose/gateway-entry.js';
import type { DependencyHealth } from '../../shared/health.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { Settings } from '../../shared/settings/table.js';
import {
  recordHash,
  severalPartitions,
  type TopicBounds,
  type TopicReader,
  type TopicRecord,
} from '../../shared/sinks/kafka/topic-reader.js';
import { TopicFaultError } from '../../shared/sinks/kafka/types.js';
import type { GatewayFeed } from './feed.js';
import { Intake, type ShownRecord } from './intake.js';
import { MergeWindow } from './merge-window.js';
import type { GatewayMetrics } from './metrics.js';

const RETRY: BackoffPolicy = { firstMs: 100, maxMs: 5_000 };
const READ = { maxBytes: 1_048_576, waitMs: 1_000 };
/** Between two reads that bring nothing, though there is something. */
const STUCK_MS = 500;
/** How often the number of partitions is looked at. */
const LOOK_MS = 30_000;
const SETTING = 'kafka_notificationsConfig';

export interface FollowerComponents {
  readonly reader: TopicReader;
  readonly feed: Pick<GatewayFeed, 'last' | 'append' | 'skip' | 'beginAnew' | 'serve'>;
  readonly logger: Logger;
  readonly metrics: GatewayMetrics;
}

export type FollowerSettings = Pick<
  Settings,
  'p2p_feed_retention' | 'p2p_gateway_node' | 'p2p_gateway_merge_window' | 'p2p_gateway_max_lag'
>;

/** What of the topic is shown. */
interface Shown {
  /** Nothing up to this offset, which was shown before. */
  readonly after: number;
  /** Of what was in the topic at the start, so before this offset, only what is not older than this (unix ms). */
  readonly before: number;
  readonly since: number;
}

/** While what comes may repeat what the topic has no more. Who had read that merges it, so it is not shown. */
interface Blind {
  /** Until a record of this time (unix ms) or later. */
  readonly until: number;
  /** Monotonic: not for longer than that, whatever times records have. */
  readonly by: number;
}

/** The topic has more partitions than one, in which records have no order. */
class PartitionsError extends TopicFaultError {}

export class TopicFollower {
  readonly #components: FollowerComponents;
  readonly #settings: FollowerSettings;
  readonly #merge: MergeWindow;
  readonly #intake: Intake;
  readonly #stopping = new AbortController();
  readonly #backoff = new Backoff(RETRY);
  #running: Promise<void> | undefined;
  #next = 0;
  /** Records up to this offset were read, though it may be read again from before. */
  #readTo = 0;
  #end = 0;
  #shown: Shown = { after: -1, before: 0, since: 0 };
  /** What is before the oldest record of the topic is not known, and may have been the same. */
  #cut = false;
  #blind: Blind | undefined;
  /** It is known what was read before the next record, so what is to be merged. */
  #isIntact = true;
  /** Frames behind the last that was shown that were not shown meanwhile. */
  #hidden = 0;
  /** When (unix ms) history begins where the topic had no more of it; undefined where that is not known to be so. */
  #beginsAt: number | undefined;
  /** Records up to this offset were counted. */
  #counted = -1;
  #lookedAt = 0;
  /** When (monotonic) the end of the topic was last reached; before that, when this began. */
  #reachedAt = monotonic();
  #fault: Error | undefined;
  #began: (error?: Error) => void = () => {};

  constructor(components: FollowerComponents, settings: FollowerSettings) {
    this.#components = components;
    this.#settings = settings;
    this.#merge = new MergeWindow({ windowMs: settings.p2p_gateway_merge_window });
    this.#intake = new Intake(this.#merge, { node: settings.p2p_gateway_node });
  }

  /**
   * Resolves when the end of the topic is reached, or with the first fault: what there is of history is served meanwhile. Rejects with ConfigurationError where
   * the topic has more partitions than one.
   */
  async start(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#began = (error) => (error === undefined ? resolve() : reject(error));
      signal.addEventListener('abort', () => resolve(), { once: true });
      this.#reachedAt = monotonic();
      this.#running = this.#run();
    });
  }

  /** Ends what is under way. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#components.reader.close();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        await this.#follow(signal);
      } catch (error) {
        if (signal.aborted) return;
        const retryInMs = this.#backoff.next();
        this.#failed(error instanceof Error ? error : new Error(errorMessage(error)), retryInMs);
        await pause(retryInMs, { signal });
      }
    }
  }

  #failed(error: Error, retryInMs: number): void {
    const { logger, reader } = this.#components;
    const bindings = { topic: reader.topic, reason: error.message, retryInMs };
    if (error.message === this.#fault?.message) logger.debug(bindings, 'the topic cannot be followed');
    else logger.warn(bindings, 'the topic cannot be followed: history is served, and what comes is missing');
    this.#fault = error;
    this.#began(
      error instanceof PartitionsError ? new ConfigurationError([`${SETTING}: ${error.message}`]) : undefined,
    );
  }

  /** Until something fails. */
  async #follow(signal: AbortSignal): Promise<void> {
    const { reader, logger, metrics } = this.#components;
    await this.#begin();
    while (!signal.aborted) {
      const { records, next, end } = await reader.read(this.#next, READ);
      if (signal.aborted) return;
      // What is left there is nothing that is ever handed out, as after compaction.
      if (next === this.#next && next < end) await pause(STUCK_MS, { signal });
      this.#take(records);
      this.#next = next;
      this.#readTo = Math.max(this.#readTo, next);
      this.#end = end;
      metrics.offset.set(next);
      metrics.lag.set(this.lag);
      metrics.remembered.set(this.#merge.size);
      if (this.#fault !== undefined)
        logger.info({ topic: reader.topic, offset: next }, 'the topic is followed');
      this.#fault = undefined;
      this.#backoff.reset();
      if (next < end) continue;
      this.#reachedAt = monotonic();
      this.#began();
      if (monotonic() - this.#lookedAt > LOOK_MS) this.#look(await reader.bounds());
    }
  }

  /** Finds where to begin. Rejects with what reading rejects with. */
  async #begin(): Promise<void> {
    const { reader, feed, logger, metrics } = this.#components;
    // Another topic may have begun, and not this.
    await feed.serve();
    const bounds = this.#look(await reader.bounds());
    const { last } = feed;
    if (last !== undefined) {
      const found = await this.#find(last, bounds);
      if (found !== 'other') return this.#goOn(last, found, bounds);
      logger.warn(
        { topic: reader.topic, offset: last.offset, oldest: bounds.oldest, next: bounds.next },
        'the topic is another than before: it was made anew or cut, and history begins anew with it',
      );
      metrics.topics.inc();
      try {
        await feed.beginAnew();
      } finally {
        // It may have begun, and its readers are yet to be served.
        if (feed.last === undefined) {
          this.#counted = -1;
          this.#readTo = 0;
        }
      }
    }
    await this.#beginNew(bounds);
  }

  #look(bounds: TopicBounds): TopicBounds {
    const { partitions } = bounds;
    const { topic } = this.#components.reader;
    this.#lookedAt = monotonic();
    this.#end = bounds.next;
    if (partitions === 1) return bounds;
    throw new PartitionsError(severalPartitions(topic, partitions));
  }

  /** The record that was shown last: `gone` where retention has taken it, `other` where there is another in its place, or none. */
  async #find({ offset, hash }: RecordPlace, bounds: TopicBounds): Promise<TopicRecord | 'gone' | 'other'> {
    if (offset >= bounds.next) return 'other';
    if (offset < bounds.oldest) return this.#readTo > bounds.next ? 'other' : 'gone';
    const { records } = await this.#components.reader.read(offset, { ...READ, maxBytes: 1 });
    const record = records.find((one) => one.offset === offset);
    return record?.value !== undefined && recordHash(record.value).equals(hash) ? record : 'other';
  }

  async #goOn({ offset }: RecordPlace, found: TopicRecord | 'gone', { oldest }: TopicBounds): Promise<void> {
    const { reader, feed, logger, metrics } = this.#components;
    if (found !== 'gone') {
      const from = await reader.offsetAt(found.timestamp - this.#merge.lookBackMs);
      this.#forget({ cut: false });
      this.#shown = { after: offset, before: 0, since: 0 };
      // By its time the last record may come first.
      this.#next = Math.min(Math.max(from, oldest), offset);
      return;
    }
    // What is gone was read by this process, which goes on where it is, and knows it.
    if (this.#isIntact && this.#next > offset && this.#next >= oldest) return;
    const missed = oldest - Math.max(offset + 1, this.#readTo);
    // Where nothing was missed all that comes is shown: what is new is worth more than that a repeat of what is gone is not shown.
    this.#forget({ cut: missed > 0 });
    this.#shown = { after: Math.max(offset, this.#readTo - 1), before: 0, since: 0 };
    this.#next = oldest;
    if (missed <= 0) return;
    logger.warn({ topic: reader.topic, missed, oldest }, 'the topic has no more what was to be read next');
    metrics.missed.inc(missed);
    feed.skip(missed);
    this.#readTo = oldest;
  }

  async #beginNew({ oldest, next }: TopicBounds): Promise<void> {
    const { reader, logger } = this.#components;
    const since = wall.date() - this.#settings.p2p_feed_retention;
    const from = Math.max(oldest, await reader.offsetAt(since - this.#merge.lookBackMs));
    this.#next = from;
    this.#shown = { after: -1, before: next, since };
    const cut = from === oldest && oldest > 0;
    this.#forget({ cut });
    const { topic } = reader;
    // A topic of which nothing is left: with what comes.
    this.#beginsAt = cut ? wall.date() : undefined;
    if (cut) {
      logger.warn({ topic, oldest }, 'the topic keeps less than p2p_feed_retention: history begins with it');
    }
    logger.info({ topic, from, end: next }, 'history is read from the topic');
  }

  /** Reading goes back, or on behind what is gone. `cut`: before what it goes on with there was something. */
  #forget({ cut }: { readonly cut: boolean }): void {
    this.#merge.clear();
    this.#isIntact = true;
    this.#cut = cut;
    this.#blind = undefined;
    this.#hidden = 0;
  }

  #take(records: readonly TopicRecord[]): void {
    const { feed, metrics } = this.#components;
    const shown: ShownRecord[] = [];
    for (const record of records) {
      const isBlind = this.#isBlindAt(record);
      const taken = this.#intake.take(record);
      if (!this.#isShown(record)) continue;
      if (isBlind) {
        if (taken.outcome === 'shown' && this.#shown.after >= 0) this.#hidden++;
        continue;
      }
      if (taken.outcome === 'shown') shown.push(taken.shown);
      if (record.offset <= this.#counted) continue;
      this.#counted = record.offset;
      metrics.records.inc({ outcome: taken.outcome });
    }
    if (shown.length === 0) return;
    // Some may be no repeats: whoever reads on past them is told that frames are missing.
    if (this.#hidden > 0) feed.skip(this.#hidden);
    this.#hidden = 0;
    try {
      feed.append(shown);
    } catch (error) {
      // They are read again, and are no repeats of themselves.
      this.#merge.clear();
      this.#isIntact = false;
      throw error;
    }
  }

  #isBlindAt({ timestamp }: TopicRecord): boolean {
    if (this.#cut) {
      const { lookBackMs } = this.#merge;
      this.#cut = false;
      this.#blind = { until: timestamp + lookBackMs, by: monotonic() + lookBackMs };
      if (this.#beginsAt !== undefined && this.#shown.after < 0)
        this.#beginsAt = Math.min(this.#beginsAt, this.#blind.until);
    }
    const blind = this.#blind;
    if (blind !== undefined && (timestamp >= blind.until || monotonic() >= blind.by)) this.#blind = undefined;
    return this.#blind !== undefined;
  }

  #isShown({ offset, timestamp }: TopicRecord): boolean {
    const { after, before, since } = this.#shown;
    return offset > after && (offset >= before || timestamp >= since);
  }

  /** Ms for which the end of the topic has not been reached. */
  get behindMs(): number {
    return this.#fault === undefined && this.#next >= this.#end ? 0 : monotonic() - this.#reachedAt;
  }

  /** Ms of `p2p_feed_retention` that are missing, since the topic had no more when history began with it. */
  get shortMs(): number {
    if (this.#beginsAt === undefined) return 0;
    return Math.max(0, this.#beginsAt - (wall.date() - this.#settings.p2p_feed_retention));
  }

  /** Records between the next and the end of the topic, as last heard. */
  get lag(): number {
    return Math.max(0, this.#end - this.#next);
  }

  #shortness(): string {
    const minutes = Math.round(this.shortMs / 60_000);
    return minutes === 0
      ? ''
      : `; the topic kept ${minutes} min less than p2p_feed_retention when history began`;
  }

  health(): DependencyHealth {
    const { topic, place } = this.#components.reader;
    const { lag, behindMs } = this;
    const resource = `kafka ${topic}`;
    const message = `${place}: offset ${this.#next}, ${lag} records behind${this.#shortness()}`;
    const fault = this.#fault;
    const isLate = behindMs > this.#settings.p2p_gateway_max_lag;
    // What waiting does not mend is told at once.
    if (fault !== undefined && (isLate || fault instanceof TopicFaultError))
      return { resource, status: 503, error: fault.message, message };
    if (!isLate) return { resource, status: 200, message };
    const seconds = Math.round(behindMs / 1000);
    return {
      resource,
      status: 503,
      error: `behind the end of ${topic} for ${seconds} s: ${lag} records`,
      message,
    };
  }
}
