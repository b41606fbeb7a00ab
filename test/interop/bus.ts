/** Go nodes of the current generation: the message bus module itself. */

import { readFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { waitFor } from '../support/wait.js';
import { GoNode, type TopicMessage } from './go-node.js';
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
  /** One that is free unless told. */
  readonly port?: number;
}

export interface BusMessage extends TopicMessage {
  /** What the author calls itself in the envelope. */
  readonly name: string;
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

export class BusClient extends GoNode<BusMessage> {
  static async start(context: Pick<TestContext, 'after'>, options: BusOptions): Promise<BusClient> {
    const program = new Neighbour(context, 'bus');
    return new BusClient(program, await program.call('start', options));
  }

  connect(address: string): Promise<void> {
    return this.program.call('connect', { address });
  }

  /** Who was heard on the topics. */
  peers(): Promise<BusPeer[]> {
    return this.program.call('peers');
  }
}

/** The entries of a peer cache, once `wanted` takes them. */
export function cacheOf(
  path: string,
  wanted: (entries: CacheEntry[]) => boolean,
  timeoutMs = 30_000,
): Promise<CacheEntry[]> {
  const read = () => {
    try {
      const entries = JSON.parse(readFileSync(path, 'utf8')) as CacheEntry[];
      return wanted(entries) ? entries : undefined;
    } catch {
      // Not there yet, or half of it.
      return undefined;
    }
  };
  return waitFor(read, { what: `${path} as wanted`, timeoutMs, everyMs: 50 });
}
