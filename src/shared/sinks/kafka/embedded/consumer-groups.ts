/** Who consumes which partition of a topic, and how far each group has come. */

import { BrokerFaultError } from '../types.js';
import type { BrokerLevel } from './partition-log.js';
import type { JoinRequest } from './port.js';

interface Member {
  readonly id: number;
  readonly group: string;
  readonly topic: string;
  /** Where it goes on when what it was to read next is gone: at the oldest kept, or with what comes next. */
  readonly fromOldest: boolean;
  /** Where the next poll begins to look, so that no partition starves. */
  turn: number;
}

/**
 * The partitions of a topic are dealt in turn to the group's members, in the order in which they joined, anew whenever
 * one joins or leaves. A commit by a member that lost the partition meanwhile is refused, and the partition's new
 * member reads the same records again.
 */
export class ConsumerGroups {
  readonly #level: BrokerLevel;
  readonly #partitions: (topic: string) => number;
  readonly #members = new Map<number, Member>();
  readonly #committed = new Map<string, number>();
  #nextMember = 1;

  constructor(level: BrokerLevel, partitions: (topic: string) => number) {
    this.#level = level;
    this.#partitions = partitions;
  }

  async load(): Promise<void> {
    for await (const [key, value] of this.#level.iterator({ gte: 'group/', lt: 'group/~' })) {
      this.#committed.set(key, Number(value.toString()));
    }
  }

  /** A new member. `start` gives the first offset of each partition where the group has none yet. */
  async join(
    { group, topic, fromOldest }: JoinRequest,
    start: (partition: number) => number,
  ): Promise<number> {
    for (let partition = 0; partition < this.#partitions(topic); partition++) {
      if (!this.#committed.has(committedKey(group, topic, partition))) {
        await this.#commit(group, topic, partition, start(partition));
      }
    }
    const id = this.#nextMember++;
    this.#members.set(id, { id, group, topic, fromOldest, turn: 0 });
    return id;
  }

  leave(id: number): void {
    this.#members.delete(id);
  }

  /** Whether a member that has fallen behind goes on at the oldest record kept. Throws as `topicOf`. */
  startsFromOldest(id: number): boolean {
    return this.#member(id).fromOldest;
  }

  /** Topic of a member. Throws BrokerFaultError when it is none (any more). */
  topicOf(id: number): string {
    return this.#member(id).topic;
  }

  /** The member's partitions with the offset each is to be read from, the one whose turn it is first. */
  assignment(id: number): { readonly partition: number; readonly offset: number }[] {
    const member = this.#member(id);
    const mine = this.#partitionsOf(member);
    const turn = mine.length === 0 ? 0 : member.turn++ % mine.length;
    return [...mine.slice(turn), ...mine.slice(0, turn)].map((partition) => ({
      partition,
      offset: this.#committed.get(committedKey(member.group, member.topic, partition)) ?? 0,
    }));
  }

  #partitionsOf(member: Member): number[] {
    const peers = [...this.#members.values()].filter(
      (other) => other.group === member.group && other.topic === member.topic,
    );
    const rank = peers.indexOf(member);
    const mine: number[] = [];
    for (let partition = rank; partition < this.#partitions(member.topic); partition += peers.length) {
      mine.push(partition);
    }
    return mine;
  }

  /** False when the partition is another member's now. */
  async commit(id: number, partition: number, next: number): Promise<boolean> {
    const member = this.#member(id);
    if (!this.#partitionsOf(member).includes(partition)) return false;
    await this.#commit(member.group, member.topic, partition, next);
    return true;
  }

  async #commit(group: string, topic: string, partition: number, next: number): Promise<void> {
    const key = committedKey(group, topic, partition);
    this.#committed.set(key, next);
    await this.#level.put(key, Buffer.from(String(next)));
  }

  #member(id: number): Member {
    const member = this.#members.get(id);
    if (member === undefined) throw new BrokerFaultError('not a member of the group any more');
    return member;
  }
}

/** The group's name is the operator's: it may contain anything, the separator too. */
function committedKey(group: string, topic: string, partition: number): string {
  return `group/${encodeURIComponent(group)}/${topic}/${partition}`;
}
