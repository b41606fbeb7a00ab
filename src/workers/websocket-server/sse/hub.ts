/**
 * Brings what is published to topics to event streams. Streams with the same topics are a group: what is published to it in one turn is put together once and
 * goes to each of them in one write, which is most of what a stream costs.
 */

export interface Subscriber {
  /** One message or more. The bytes are others' too. */
  take(messages: Uint8Array): void;
}

interface Group {
  readonly key: string;
  readonly topics: readonly string[];
  readonly members: Set<Subscriber>;
  /** Published in this turn. */
  waiting: Uint8Array[];
}

interface Membership {
  readonly topics: Set<string>;
  /** Undefined between a change of its topics and the next message. */
  group: Group | undefined;
}

/** No topic has it in its name. */
const SEPARATOR = '\n';

export class SseHub {
  readonly #members = new Map<Subscriber, Membership>();
  /** Those without a group. */
  readonly #unsettled = new Set<Subscriber>();
  readonly #groups = new Map<string, Group>();
  readonly #byTopic = new Map<string, Set<Group>>();
  /** Groups with something waiting. */
  readonly #waiting = new Set<Group>();

  publish(topic: string, message: Uint8Array): void {
    for (const subscriber of this.#unsettled) this.#settle(subscriber);
    this.#unsettled.clear();
    for (const group of this.#byTopic.get(topic) ?? []) {
      group.waiting.push(message);
      if (this.#waiting.size === 0) process.nextTick(() => this.#flushAll());
      this.#waiting.add(group);
    }
  }

  /** Only what is published from now on reaches it. */
  subscribe(topic: string, subscriber: Subscriber): void {
    let membership = this.#members.get(subscriber);
    if (membership === undefined) {
      membership = { topics: new Set(), group: undefined };
      this.#members.set(subscriber, membership);
    }
    this.#unsettle(subscriber, membership);
    membership.topics.add(topic);
  }

  /** What was published before still reaches it. */
  unsubscribe(topic: string, subscriber: Subscriber): void {
    const membership = this.#members.get(subscriber);
    if (membership === undefined || !membership.topics.has(topic)) return;
    this.#unsettle(subscriber, membership);
    membership.topics.delete(topic);
  }

  /** Forgets it, and what was published for it. */
  leave(subscriber: Subscriber): void {
    const group = this.#members.get(subscriber)?.group;
    if (group !== undefined) this.#remove(subscriber, group);
    this.#members.delete(subscriber);
    this.#unsettled.delete(subscriber);
  }

  /** Hands on what was published for it: what concerns it alone comes behind that. */
  flush(subscriber: Subscriber): void {
    const group = this.#members.get(subscriber)?.group;
    if (group !== undefined) this.#flushGroup(group);
  }

  #flushAll(): void {
    for (const group of [...this.#waiting]) this.#flushGroup(group);
  }

  #flushGroup(group: Group): void {
    const { waiting, members } = group;
    const [first, ...more] = waiting;
    this.#waiting.delete(group);
    if (first === undefined) return;
    group.waiting = [];
    const messages = more.length === 0 ? first : Buffer.concat(waiting);
    for (const member of [...members]) member.take(messages);
  }

  #unsettle(subscriber: Subscriber, membership: Membership): void {
    const { group } = membership;
    if (group !== undefined) {
      this.#flushGroup(group);
      this.#remove(subscriber, group);
      membership.group = undefined;
    }
    this.#unsettled.add(subscriber);
  }

  #settle(subscriber: Subscriber): void {
    const membership = this.#members.get(subscriber);
    if (membership === undefined || membership.topics.size === 0) return;
    const topics = [...membership.topics].sort();
    const key = topics.join(SEPARATOR);
    const group = this.#groups.get(key) ?? this.#make({ key, topics, members: new Set(), waiting: [] });
    // What waits for the others was published before.
    this.#flushGroup(group);
    group.members.add(subscriber);
    membership.group = group;
  }

  #make(group: Group): Group {
    this.#groups.set(group.key, group);
    for (const topic of group.topics) {
      const groups = this.#byTopic.get(topic) ?? new Set();
      this.#byTopic.set(topic, groups.add(group));
    }
    return group;
  }

  #remove(subscriber: Subscriber, group: Group): void {
    const { key, topics, members } = group;
    members.delete(subscriber);
    if (members.size > 0) return;
    this.#groups.delete(key);
    this.#waiting.delete(group);
    for (const topic of topics) {
      const groups = this.#byTopic.get(topic);
      groups?.delete(group);
      if (groups?.size === 0) this.#byTopic.delete(topic);
    }
  }
}
