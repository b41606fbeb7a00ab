/**
 * Frames that go out one at a time. A form has a topic for all frames, one a kind, one an author and one for both; a frame is published to the four that it
 * belongs to, where somebody has subscribed: it costs the same with one filter as with ten thousand. Each reader's topics exclude one another, so that
 * a frame reaches it once.
 */

import { monotonic } from '../../../shared/clock.js';
import type { Place } from '../../../shared/firehose/cursor-scheme.js';
import { authorOf, type JournalledEntry, kindOf } from '../../../shared/journal/entry.js';
import type { Form } from './form.js';
import type { LiveFrames } from './live-frames.js';
import type { Subscriber, Subscription } from './subscription.js';
import type { View } from './view.js';

/** Sends a message to the topic's subscribers. */
export type Publish = (topic: string, message: Uint8Array, binary: boolean) => void;

export interface TopicsComponents {
  readonly publish: Publish;
  readonly live: () => Place | undefined;
  /** A frame was published in a form, to so many readers. */
  readonly published: (form: Form, readers: number) => void;
}

interface Topic {
  readonly name: string;
  subscribers: number;
  /** Monotonic. */
  publishedAt: number;
}

interface FormTopics {
  readonly form: Form;
  /** Those with subscribers, by name. */
  readonly topics: Map<string, Topic>;
  /** How many of them are of an author. */
  ofAuthors: number;
}

/** Names of the topics that make up a view. */
function namesOf({ form, kinds, peers }: View): string[] {
  return (kinds ?? ([''] as const)).flatMap((kind) =>
    (peers ?? ['']).map((peer) => nameOf(form, kind, peer)),
  );
}

const nameOf = (form: Form, kind: number | '', peer: string): string => `${form.name}/${kind}/${peer}`;

/** Subscriptions that a view takes of each of its readers. */
export const topicsOf = ({ kinds, peers }: View): number => (kinds?.length ?? 1) * (peers?.length ?? 1);

export class Topics {
  readonly #forms = new Map<string, FormTopics>();

  constructor(private readonly components: TopicsComponents) {}

  subscription(view: View, release: () => void): Subscription {
    let joined: readonly Topic[] = [];
    return {
      view,
      seam: this.components.live,
      join: (subscriber) => {
        joined = namesOf(view).map((name) => this.#join(view, name, subscriber));
      },
      leave: (subscriber) => {
        for (const topic of joined) this.#leave(view, topic, subscriber);
        joined = [];
      },
      publishedAt: () => joined.reduce((newest, { publishedAt }) => Math.max(newest, publishedAt), 0),
      release,
    };
  }

  publish(frames: LiveFrames): void {
    if (this.#forms.size === 0) return;
    const now = monotonic();
    for (const forms of this.#forms.values()) {
      for (let index = 0; index < frames.entries.length; index++) this.#publishIn(forms, frames, index, now);
    }
  }

  #publishIn({ form, topics, ofAuthors }: FormTopics, frames: LiveFrames, index: number, now: number): void {
    const { bytes } = frames.entries[index] as JournalledEntry;
    let readers = 0;
    const to = (kind: number | '', author: string): void => {
      const topic = topics.get(nameOf(form, kind, author));
      if (topic === undefined) return;
      this.components.publish(topic.name, frames.rendered(form, index), false);
      topic.publishedAt = now;
      readers += topic.subscribers;
    };
    const kind = kindOf(bytes);
    to('', '');
    to(kind, '');
    if (ofAuthors > 0) {
      const author = authorOf(bytes);
      if (author !== '') {
        to('', author);
        to(kind, author);
      }
    }
    if (readers > 0) this.components.published(form, readers);
  }

  #join({ form, peers }: View, name: string, subscriber: Subscriber): Topic {
    let forms = this.#forms.get(form.name);
    if (forms === undefined) {
      forms = { form, topics: new Map(), ofAuthors: 0 };
      this.#forms.set(form.name, forms);
    }
    let topic = forms.topics.get(name);
    if (topic === undefined) {
      topic = { name, subscribers: 0, publishedAt: 0 };
      forms.topics.set(name, topic);
      if (peers !== undefined) forms.ofAuthors++;
    }
    topic.subscribers++;
    subscriber.subscribe(name);
    return topic;
  }

  #leave({ form, peers }: View, topic: Topic, subscriber: Subscriber): void {
    subscriber.unsubscribe(topic.name);
    if (--topic.subscribers > 0) return;
    const forms = this.#forms.get(form.name) as FormTopics;
    forms.topics.delete(topic.name);
    if (peers !== undefined) forms.ofAuthors--;
    if (forms.topics.size === 0) this.#forms.delete(form.name);
  }
}
