/** A Go program that means harm: what no library would send, at Go's speed. */

import type { TestContext } from 'node:test';
import { Neighbour } from './neighbour.js';

/** The fields of `hostileOptions` in `hostile.go`. */
export interface HostileOptions {
  readonly target: string;
  /** Address to call from; any unless given. */
  readonly from?: string;
  /** Reads nothing of what the server sends it in GossipSub. */
  readonly deaf?: boolean;
  readonly topics?: readonly string[];
  /** Made-up protocols that identify tells. */
  readonly protocols?: number;
}

/** How far an attack got, and what ended it before its end. */
export interface Done {
  readonly sent: number;
  readonly ended: string;
}

export type Lie = 'true' | 'forged' | 'impersonated' | 'replayed';

export class HostilePeer {
  readonly program: Neighbour;
  /** Base58. */
  readonly id: string;

  private constructor(program: Neighbour, id: string) {
    this.program = program;
    this.id = id;
  }

  static async start(context: Pick<TestContext, 'after'>, options: HostileOptions): Promise<HostilePeer> {
    const program = new Neighbour(context, 'hostile');
    return new HostilePeer(program, (await program.call<{ id: string }>('start', options)).id);
  }

  /** Messages on a topic; in `data` `{hash}` is new each time and `{self}` this peer's ID. */
  gossip(options: { how: Lie; topic: string; data: object; count: number }): Promise<Done> {
    return this.program.call('gossip', { ...options, data: JSON.stringify(options.data) });
  }

  /** Joins topics of which nobody has heard, 1,000 an RPC. */
  subscriptions(count: number, prefix: string): Promise<Done> {
    return this.program.call('subscriptions', { count, prefix });
  }

  /** RPCs of 1,000 ids announced and 1,000 asked for, grafts, prunes with made-up peers. */
  control(count: number, topic: string): Promise<Done> {
    return this.program.call('control', { count, topic });
  }

  /** One RPC of so many bytes. */
  oversized(bytes: number): Promise<Done> {
    return this.program.call('oversized', { bytes });
  }

  /** Tells the DHT of things that it has, each with so many addresses. */
  records(options: { protocol: string; count: number; addresses: number }): Promise<Done> {
    return this.program.call('records', options);
  }

  /** Opens sockets that never finish a handshake. */
  halfOpen(count: number): Promise<Done> {
    return this.program.call('halfOpen', { count });
  }

  socketsLeft(): Promise<number> {
    return this.program.call('socketsLeft');
  }

  /** Connects as so many peers. */
  crowd(count: number): Promise<{ tried: number; joined: number }> {
    return this.program.call('crowd', { count });
  }

  crowdLeft(): Promise<number> {
    return this.program.call('crowdLeft');
  }

  connected(): Promise<boolean> {
    return this.program.call('connected');
  }
}
