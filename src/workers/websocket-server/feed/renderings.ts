/**
 * What is made of the feed for readers of one medium, once for all who want the same, and only while somebody does. Bounded: of a reader's filters
 * each takes room in the medium's table of topics, and every different batch costs work and memory.
 */

import type { Place } from '../../../shared/firehose/cursor-scheme.js';
import { FeedProblem } from '../../../shared/firehose/problems.js';
import { QUEUES } from '../../../shared/queues.js';
import type { RenderingName } from '../metrics.js';
import { Batch } from './batches.js';
import type { LiveFrames } from './live-frames.js';
import type { Subscription } from './subscription.js';
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
}

interface KnownBatch {
  readonly batch: Batch;
  /** Subscriptions. */
  holders: number;
}

export class Renderings {
  readonly #topics: Topics;
  readonly #batches = new Map<string, KnownBatch>();
  #subscriptions = 0;

  constructor(private readonly components: RenderingsComponents) {
    const { publish, live, published } = components;
    this.#topics = new Topics({
      publish,
      live,
      published: ({ name }, readers) => published(name, 1, readers),
    });
  }

  /** Reserves what a reader with this view takes. Throws FeedProblem where there is no room for it: `too_many_filters`, `too_many_renderings`. */
  subscription(view: View): Subscription {
    // Without peers they are few, and bounded by the number of readers.
    const taken = view.peers === undefined ? 0 : topicsOf(view);
    if (this.#subscriptions + taken > MAX_SUBSCRIPTIONS) throw new FeedProblem('too_many_filters');
    const giveBack = () => {
      this.#subscriptions -= taken;
    };
    const subscription =
      view.batchMs === undefined ? this.#topics.subscription(view, giveBack) : this.#batched(view, giveBack);
    this.#subscriptions += taken;
    return subscription;
  }

  /** Publishes what was just accepted. */
  publish(frames: LiveFrames): void {
    this.#topics.publish(frames);
    for (const { batch } of this.#batches.values()) batch.add(frames);
  }

  #batched(view: View, giveBack: () => void): Subscription {
    const { form, kinds = [], batchMs, gzip } = view;
    const topic = `batch/${form.name}/${kinds.join()}/${batchMs}${gzip ? '/gzip' : ''}`;
    let known = this.#batches.get(topic);
    if (known === undefined) {
      if (this.#batches.size >= MAX_BATCHES) throw new FeedProblem('too_many_renderings');
      const { publish, live, published, moved } = this.components;
      const rendering = gzip ? 'gzip' : 'batch';
      const count = (frames: number, readers: number) => published(rendering, frames, frames * readers);
      known = { batch: new Batch({ publish, live, published: count, moved }, view, topic), holders: 0 };
      this.#batches.set(topic, known);
    }
    const held = known;
    held.holders++;
    return held.batch.subscription(() => {
      giveBack();
      if (--held.holders === 0) this.#batches.delete(topic);
    });
  }
}
