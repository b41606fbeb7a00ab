/**
 * Who of a group reads which partitions: Kafka's own `range` rule. The rule that kafkajs brings deals the partitions of its
 * leader's topics to everybody, also to members that read other topics. In this server's group (WIRE §3) each member
 * reads one topic of three, so records would wait for ever with a member that never asked for them. By its name the rule is
 * shared with the Java and Go clients, beside which a member can then stand in one group.
 */

import type { Assigner, GroupMember, GroupMemberAssignment } from 'kafkajs';
import { kafkajs } from './library.js';

/** Partitions of a topic; none where the topic is not there, or not ours to see. Rejects when no broker answers. */
export type PartitionsOf = (topic: string) => Promise<readonly number[]>;

export class RangeAssigner implements Assigner {
  readonly name = 'range';
  readonly version = 0;
  readonly #partitionsOf: PartitionsOf;

  constructor(partitionsOf: PartitionsOf) {
    this.#partitionsOf = partitionsOf;
  }

  protocol({ topics }: { topics: string[] }): { name: string; metadata: Buffer } {
    const { version, name } = this;
    const { MemberMetadata } = kafkajs().AssignerProtocol;
    return { name, metadata: MemberMetadata.encode({ version, topics, userData: Buffer.alloc(0) }) };
  }

  async assign({ members }: { members: GroupMember[] }): Promise<GroupMemberAssignment[]> {
    const { MemberAssignment } = kafkajs().AssignerProtocol;
    const shares = new Map<string, Record<string, number[]>>(members.map(({ memberId }) => [memberId, {}]));
    for (const [topic, subscribers] of subscribersOf(members)) {
      const partitions = [...(await this.#partitionsOf(topic))].sort((a, b) => a - b);
      const each = Math.floor(partitions.length / subscribers.length);
      const more = partitions.length % subscribers.length;
      let at = 0;
      subscribers.forEach((member, index) => {
        const count = each + (index < more ? 1 : 0);
        const share = shares.get(member);
        if (count > 0 && share !== undefined) share[topic] = partitions.slice(at, at + count);
        at += count;
      });
    }
    return [...shares].map(([memberId, assignment]) => ({
      memberId,
      memberAssignment: MemberAssignment.encode({
        version: this.version,
        assignment,
        userData: Buffer.alloc(0),
      }),
    }));
  }
}

/** The topics that anybody reads, each with its readers in the order of their names. */
function subscribersOf(members: readonly GroupMember[]): Map<string, string[]> {
  const { MemberMetadata } = kafkajs().AssignerProtocol;
  const subscribers = new Map<string, string[]>();
  for (const { memberId, memberMetadata } of members) {
    for (const topic of new Set(MemberMetadata.decode(memberMetadata)?.topics ?? [])) {
      const of = subscribers.get(topic);
      if (of === undefined) subscribers.set(topic, [memberId]);
      else of.push(memberId);
    }
  }
  for (const of of subscribers.values()) of.sort();
  return subscribers;
}
