/** Go nodes of the current generation: the message bus module itself. */

import { readFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { waitFor } from '../support/wait.js';
import { Neighbour } from './neighbour.js';

/** Somebody who is not there: without bootstrap peers the message bus dials public ones. */
export const NOBODY = '/ip4/127.0.0.1/tcp/1/p2p/12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp';

/** The fields of `busOptions` in `bus.go`. */
export interface BusOptions {
  readonly name: string;
  readonly key?: string;
  readonly protocolVersion?: string;
  readonly bootstrap: readonly string[];
  readonly static?: readonly string[];
  readonly dhtMode: 'server' | 'client' | 'off';
  readonly topics: readonly string[];
  readonly cache?: string;
}

export interface BusMessage {
  readonly topic: string;
  /** What the author calls itself in the envelope. */
  readonly name: string;
  /** Base58. */
  readonly author: string;
  readonly data: string;
}

export interface BusPeer {
  readonly id: string;
  readonly name: string;
  /** Of its connections; empty when there is none. */
  readonly addresses: readonly string[];
}

/** An entry of the message bus's peer cache. */
export interface CacheEntry {
  readonly id: string;
  readonly name?: string;
  readonly addrs: readonly string[];
  readonly last_seen: string;
}

export class BusClient {
  readonly program: Neighbour;
  /** Base58. */
  readonly id: string;
  /** `/ip4/127.0.0.1/tcp/<port>/p2p/<id>`. */
  readonly address: string;

  private constructor(program: Neighbour, { id, address }: { id: string; address: string }) {
    this.program = program;
    this.id = id;
    this.address = address;
  }

  static async start(context: Pick<TestContext, 'after'>, options: BusOptions): Promise<BusClient> {
    const program = new Neighbour(context, 'bus');
    return new BusClient(program, await program.call('start', options));
  }

  publish(topic: string, message: object): Promise<void> {
    return this.program.call('publish', { topic, data: JSON.stringify(message) });
  }

  connect(address: string): Promise<void> {
    return this.program.call('connect', { address });
  }

  /** Who was heard on the topics. */
  peers(): Promise<BusPeer[]> {
    return this.program.call('peers');
  }

  /** The first message by `author` on `topic` that `wanted` takes, so far or to come, its JSON parsed. */
  async heard(
    topic: string,
    author: string,
    {
      wanted = () => true,
      timeoutMs,
    }: { wanted?: (json: Record<string, unknown>) => boolean; timeoutMs?: number } = {},
  ): Promise<BusMessage & { json: Record<string, unknown> }> {
    const parsed = (message: BusMessage) => JSON.parse(message.data) as Record<string, unknown>;
    const message = await this.program.event<BusMessage>(
      'message',
      (value) => value.topic === topic && value.author === author && wanted(parsed(value)),
      `a message by ${author} on ${topic}`,
      timeoutMs,
    );
    return { ...message, json: parsed(message) };
  }
}

/** The entries of a peer cache, once `wanted` takes them. */
export function cacheOf(path: string, wanted: (entries: CacheEntry[]) => boolean): Promise<CacheEntry[]> {
  const read = () => {
    try {
      const entries = JSON.parse(readFileSync(path, 'utf8')) as CacheEntry[];
      return wanted(entries) ? entries : undefined;
    } catch {
      // Not there yet, or half of it.
      return undefined;
    }
  };
  return waitFor(read, { what: `${path} as wanted`, timeoutMs: 20_000, everyMs: 50 });
}
