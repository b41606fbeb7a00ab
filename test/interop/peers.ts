/** Go nodes of the first generation: go-libp2p, go-libp2p-kad-dht and go-libp2p-pubsub put together as its service does. */

import type { TestContext } from 'node:test';
import { waitFor } from '../support/wait.js';
import { GoNode, type TopicMessage } from './go-node.js';
import { Neighbour } from './neighbour.js';

/** The fields of `peerOptions` in `peer.go`. */
export interface GoPeerOptions {
  readonly key?: string;
  readonly sharedKey?: string;
  readonly dhtPrefix?: string;
  readonly bootstrap?: readonly string[];
  readonly topics?: readonly string[];
  readonly discover?: boolean;
  readonly bestBlockTopic?: string;
  readonly bestBlock?: string;
  readonly relay?: boolean;
  readonly relays?: readonly string[];
  readonly heartbeatMs?: number;
  readonly degree?: number;
  readonly scored?: boolean;
  readonly peerExchange?: boolean;
  readonly direct?: readonly string[];
}

/** The worst that a scoring node has thought of a peer so far. */
export interface GoPeerScore {
  readonly lowest: number;
  /** Broken rules, of which six cost nothing. */
  readonly mostPenalty: number;
  /** How often the score was looked at. */
  readonly looks: number;
}

export interface GoMessage extends TopicMessage {
  readonly source: string;
}

export interface GoDirectMessage {
  readonly from: string;
  readonly data: string;
}

export interface Provider {
  readonly id: string;
  /** Without the peer ID; empty when the record has none. */
  readonly address: string;
}

export class GoPeer extends GoNode<GoMessage> {
  static async start(context: Pick<TestContext, 'after'>, options: GoPeerOptions = {}): Promise<GoPeer> {
    const program = new Neighbour(context, 'peer');
    return new GoPeer(program, await program.call('start', options));
  }

  /** Resolves with the address at the other end, a relay's where the way leads through one. */
  connect(address: string): Promise<string> {
    return this.program.call('connect', { address });
  }

  /** Asks `at` by address lookup 1.1.0 where `target` is. */
  lookup(at: string, target: string): Promise<string[]> {
    return this.program.call('lookup', { at, target });
  }

  /** Writes one message on a direct stream. */
  direct(to: string, data: string): Promise<void> {
    return this.program.call('direct', { to, data });
  }

  connected(): Promise<string[]> {
    return this.program.call('connected');
  }

  /** Resolves when `peer` is in this node's mesh of `topic`: what is published then gets there. */
  async meshes(peer: string, topic: string, timeoutMs = 30_000): Promise<void> {
    const members = () => this.program.call<string[]>('mesh', { topic });
    await waitFor(async () => (await members()).includes(peer), {
      what: `${peer} in the mesh of ${topic}`,
      timeoutMs,
      everyMs: 50,
    });
  }

  /** By peer ID; of a node that scores. */
  scores(): Promise<Record<string, GoPeerScore>> {
    return this.program.call('scores');
  }

  /** Ends the node at once, its connections broken off. */
  stop(): Promise<void> {
    return this.program.stop();
  }

  provide(topic: string): Promise<void> {
    return this.program.call('provide', { topic });
  }

  providers(topic: string): Promise<Provider[]> {
    return this.program.call('providers', { topic });
  }
}
