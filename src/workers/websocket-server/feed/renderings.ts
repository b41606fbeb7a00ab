/**
 * What is made of the feed for readers of one medium, once for all who want the same, and only while somebody does. Bounded: of a reader's filters
 * each takes room in the medium's table of topics, and every different batch costs work and memory.
 */

import type { Place } from '../../../shared/firehose/cursor-scheme.js';
import { FeedProblem } from '../../../shared/firehose/problems.js';
import { rankOf, Shares } from '../../../shared/net/shares.js';
import { holdersOf, type Provenance } from '../../../shared/net/sources.js';
import { QUEUES } from '../../../shared/queues.js';
import type { RenderingName } from '../metrics.js';
import { Batch } from './batches.js';
import type { LiveFrames } from './live-frames.js';
import type { Reservation, Subscription } from './subscription.js';
import { type Publish, Topics, topicsOf } from './topics.js';
import type { View } from './view.js';

const MAX_SUBSCRIPTIONS = QUEUES.filters.bounds.subscriptions;
const MAX_BATCHES = QUEUES.batches.bounds.batches;

export interface RenderingsComponents {
  readonly publish: Publish;
  /** Of the next frame that comes. */
  readonly live: () => Place | undefined;
  /** Frames were published in a rendering, together to so many readers. */
  readonly published: (rendering: RenderingName, frames: number, deliveries: number) => void;
  /** Somebody who waits for the seam of a subscription to move on may look again. */
  readonly moved: () => void;
  /** A reader has to go, for somebody with less takes what it had. */
  readonly displaced: (what: 'filters' | 'batch') => void;
}

/** Who reserves something. */
export interface Claim {
  readonly from: Provenance;
  /** Others may have to go for it. */
  readonly displaces: boolean;
}

/** A reader's. */
interface Held {
  readonly from: Provenance;
  giveWay: (problem: FeedProblem) => void;
}

interface KnownBatch {
  readonly topic: string;
  readonly batch: Batch;
  readonly readers: Set<Held>;
}

export class Renderings {
  readonly #topics: Topics;
  readonly #filters = new Shares<Held>({ slots: MAX_SUBSCRIPTIONS, givesWay: 'youngest' });
  readonly #batches = new Map<string, KnownBatch>();

  constructor(private readonly components: RenderingsComponents) {
    const { publish, live, published } = components;
    this.#topics = new Topics({
      publish,
      live,
      published: ({ name }, readers) => published(name, 1, readers),
    });
  }

  /**
   * Reserves what a reader with this view takes. Throws FeedProblem where there is no room for it, and nobody has more who may have to go for it:
   * `too_many_filters`, `too_many_renderings`.
   */
  subscription(view: View, claim: Claim): Subscription {
    return view.batchMs === undefined ? this.#filtered(view, claim) : this.#batched(view, claim);
  }

  /** Publishes what was just accepted. */
  publish(frames: LiveFrames): void {
    this.#topics.publish(frames);
    for (const { batch } of this.#batches.values()) batch.add(frames);
  }

  #filtered(view: View, { from, displaces }: Claim): Subscription {
    const held: Held = { from, giveWay: () => {} };
    // Without peers they are few, and bounded by the number of readers.
    const taken = view.peers === undefined ? 0 : topicsOf(view);
    if (!displaces && !this.#filters.hasRoom(taken)) throw new FeedProblem('too_many_filters');
    if (taken > 0) {
      const given = this.#filters.take(held, holdersOf(from), taken).map(({ item }) => item);
      for (const item of given) if (item !== held) this.#giveUp(item, 'filters');
      if (given.includes(held)) throw new FeedProblem('too_many_filters');
    }
    return this.#topics.subscription(
      view,
      reservation(held, () => this.#filters.release(held)),
    );
  }

  #batched(view: View, claim: Claim): Subscription {
    const held: Held = { from: claim.from, giveWay: () => {} };
    const { form, kinds = [], batchMs, gzip } = view;
    const topic = `batch/${form.name}/${kinds.join()}/${batchMs}${gzip ? '/gzip' : ''}`;
    const known = this.#batches.get(topic) ?? this.#newBatch(view, topic, claim);
    known.readers.add(held);
    return known.batch.subscription(
      reservation(held, () => {
        known.readers.delete(held);
        if (known.readers.size === 0) this.#forget(known);
      }),
    );
  }

  #newBatch(view: View, topic: string, { from, displaces }: Claim): KnownBatch {
    if (this.#batches.size >= MAX_BATCHES) {
      const other = displaces ? batchToGiveWay([...this.#batches.values()], from) : undefined;
      if (other === undefined) throw new FeedProblem('too_many_renderings');
      this.#forget(other);
      for (const held of [...other.readers]) this.#giveUp(held, 'batch');
    }
    const { publish, live, published, moved } = this.components;
    const rendering = view.gzip ? 'gzip' : 'batch';
    const count = (frames: number, readers: number) => published(rendering, frames, frames * readers);
    const batch = new Batch({ publish, live, published: count, moved }, view, topic);
    const known = { topic, batch, readers: new Set<Held>() };
    this.#batches.set(topic, known);
    return known;
  }

  #forget(known: KnownBatch): void {
    // One that had to go may have been asked for anew before its last reader has gone.
    if (this.#batches.get(known.topic) === known) this.#batches.delete(known.topic);
  }

  #giveUp(held: Held, what: 'filters' | 'batch'): void {
    this.components.displaced(what);
    held.giveWay(new FeedProblem(what === 'batch' ? 'too_many_renderings' : 'too_many_filters'));
  }
}

function reservation(held: Held, release: () => void): Reservation {
  return {
    release,
    onGivenUp: (callback) => {
      held.giveWay = callback;
    },
  };
}

/**
 * Which of different batches goes for one more of a reader from there; undefined: none. A batch counts for every network and source that reads it, and is
 * as safe as the one of them that has the fewest: so nobody holds another's by reading it too.
 */
function batchToGiveWay(batches: readonly KnownBatch[], from: Provenance): KnownBatch | undefined {
  const counts = new Map<string, number>();
  const count = (readers: Iterable<Pick<Held, 'from'>>): void => {
    const names = [...readers].flatMap((reader) => holdersOf(reader.from).map(({ name }) => name));
    for (const name of new Set(names)) counts.set(name, (counts.get(name) ?? 0) + 1);
  };
  for (const { readers } of batches) count(readers);
  count([{ from }]);
  const rank = (whose: Provenance): number =>
    whose === undefined ? 0 : rankOf(counts.get(whose.network) ?? 0, counts.get(whose.source) ?? 0);
  let found: KnownBatch | undefined;
  let highest = from === undefined ? rankOf(1, 1) : rank(from);
  for (const batch of batches) {
    let lowest = Number.POSITIVE_INFINITY;
    for (const reader of batch.readers) lowest = Math.min(lowest, rank(reader.from));
    if (lowest < highest || (lowest === highest && found === undefined)) continue;
    found = batch;
    highest = lowest;
  }
  return found;
}
