/**
 * Who is subscribed to what on the transport on `ws`. What is published in one turn goes to each subscriber in one write, in the order of
 * publishing, whatever topics it went to: subscribers of the same topics share the bytes of that write.
 */

import { frameOf } from './ws-frames.js';

export interface Subscriber {
  /** Frames, whole. */
  write(frames: Buffer): void;
}

interface Published {
  readonly topic: string;
  readonly frame: Buffer;
}

const joined = (published: readonly Published[]): Buffer => {
  const [first, ...more] = published;
  if (first !== undefined && more.length === 0) return first.frame;
  return Buffer.concat(published.map(({ frame }) => frame));
};

/** Those of a turn's topics that some subscribers have. */
class Selection {
  readonly #more = new Map<string, Selection>();
  #frames: Buffer | undefined;

  constructor(
    private readonly published: readonly Published[],
    private readonly topics: readonly string[] = [],
  ) {}

  /** The one that has `topic` as well. */
  and(topic: string): Selection {
    const known = this.#more.get(topic);
    if (known !== undefined) return known;
    const made = new Selection(this.published, [...this.topics, topic]);
    this.#more.set(topic, made);
    return made;
  }

  frames(): Buffer {
    this.#frames ??= joined(this.published.filter(({ topic }) => this.topics.includes(topic)));
    return this.#frames;
  }
}

export class Topics<Member extends Subscriber> {
  readonly #members = new Map<string, Set<Member>>();
  /** Of this turn. */
  #published: Published[] = [];
  #topics = new Set<string>();

  /** Sends a message, text unless `binary`, to the topic's members at the end of this turn. */
  publish(topic: string, message: string | Uint8Array, binary: boolean): void {
    if (!this.#members.has(topic)) return;
    if (this.#published.length === 0) process.nextTick(() => this.flush());
    this.#published.push({ topic, frame: frameOf(message, binary) });
    this.#topics.add(topic);
  }

  /** Hands over what was published: anything that concerns one client alone comes behind it. */
  flush(): void {
    const [published, topics] = [this.#published, this.#topics];
    if (published.length === 0) return;
    this.#published = [];
    this.#topics = new Set();
    const [only] = topics;
    if (only !== undefined && topics.size === 1) {
      const frames = joined(published);
      for (const member of this.#members.get(only) ?? []) member.write(frames);
      return;
    }
    const nothing = new Selection(published);
    const selections = new Map<Member, Selection>();
    for (const topic of topics)
      for (const member of this.#members.get(topic) ?? [])
        selections.set(member, (selections.get(member) ?? nothing).and(topic));
    for (const [member, selection] of selections) member.write(selection.frames());
  }

  /** What was published before is not for it. */
  add(member: Member, topic: string): void {
    this.#flushOf(topic);
    const members = this.#members.get(topic) ?? new Set();
    this.#members.set(topic, members.add(member));
  }

  /** What was published before is. */
  remove(member: Member, topic: string): void {
    this.#flushOf(topic);
    const members = this.#members.get(topic);
    members?.delete(member);
    if (members?.size === 0) this.#members.delete(topic);
  }

  #flushOf(topic: string): void {
    if (this.#topics.has(topic)) this.flush();
  }
}
