/** What Go nodes of both generations have in common: who they are, and what they say and hear on topics. */

import type { Neighbour } from './neighbour.js';

/** A message on a topic as the Go programs tell of it. */
export interface TopicMessage {
  readonly topic: string;
  /** Base58, as are all peer IDs. */
  readonly author: string;
  /** JSON, out of its envelope where it has one. */
  readonly data: string;
}

export interface HeardOptions {
  /** Whether it is the one; the first is unless told. */
  readonly wanted?: (json: Record<string, unknown>) => boolean;
  readonly timeoutMs?: number;
}

export interface GoNodeAddress {
  readonly id: string;
  readonly address: string;
}

export abstract class GoNode<Message extends TopicMessage> {
  readonly program: Neighbour;
  /** Base58. */
  readonly id: string;
  /** `/ip4/127.0.0.1/tcp/<port>/p2p/<id>`. */
  readonly address: string;

  protected constructor(program: Neighbour, { id, address }: GoNodeAddress) {
    this.program = program;
    this.id = id;
    this.address = address;
  }

  publish(topic: string, message: object): Promise<void> {
    return this.program.call('publish', { topic, data: JSON.stringify(message) });
  }

  /** The first message by `author` on `topic` that `wanted` takes, so far or to come, its JSON parsed. */
  async heard(
    topic: string,
    author: string,
    { wanted = () => true, timeoutMs }: HeardOptions = {},
  ): Promise<Message & { json: Record<string, unknown> }> {
    const parsed = (message: Message) => JSON.parse(message.data) as Record<string, unknown>;
    const message = await this.program.event<Message>(
      'message',
      (value) => value.topic === topic && value.author === author && wanted(parsed(value)),
      `a message by ${author} on ${topic}`,
      timeoutMs,
    );
    return { ...message, json: parsed(message) };
  }
}
