/** What is to be written about peers to the blockchain service's registry: the newest of each, gathered until its turn. */

import type { PeerIdText } from '../../../shared/net/peer-id.js';
import { QUEUES } from '../../../shared/queues.js';
import type { RegistryCall } from './calls.js';

/** About one peer. What it told is read from the registry here when it is written. */
export interface Update {
  /** It told something, or is to be offered. */
  told: boolean;
  /** It is offered to a registry that does not know it: with what was recorded of it. */
  seed: boolean;
  /** Its connection opened or closed, or it spoke for the first time since. */
  connection: boolean;
  /** It has authored a message. */
  messageReceived: boolean;
  sent: bigint;
  received: bigint;
  /** Reports and offences, in order. */
  calls: RegistryCall[];
}

export interface PendingComponents {
  /** Connected, configured or reported by the services: such peers are not crowded out by strangers. */
  readonly isFamiliar: (peer: PeerIdText) => boolean;
  /** There was no capacity for an update, or for one of its calls. */
  readonly onDropped: () => void;
}

export interface PendingOptions {
  /**
   * @default 10_000
   */
  readonly maxPeers?: number;
  /**
   * Calls of one peer: offences beyond ban it anyway.
   * @default 32
   */
  readonly maxCalls?: number;
}

export class PendingUpdates {
  readonly #isFamiliar: (peer: PeerIdText) => boolean;
  readonly #onDropped: () => void;
  readonly #maxPeers: number;
  readonly #maxCalls: number;
  readonly #familiar = new Map<PeerIdText, Update>();
  readonly #strangers = new Map<PeerIdText, Update>();

  constructor(
    components: PendingComponents,
    {
      maxPeers = QUEUES.registryUpdates.bounds.peers,
      maxCalls = QUEUES.registryUpdates.bounds.reports,
    }: PendingOptions = {},
  ) {
    this.#isFamiliar = components.isFamiliar;
    this.#onDropped = components.onDropped;
    this.#maxPeers = maxPeers;
    this.#maxCalls = maxCalls;
  }

  /** Peers about whom something waits. */
  get size(): number {
    return this.#familiar.size + this.#strangers.size;
  }

  /** What waits about a peer, to be added to. Undefined, and counted, where there is no capacity for one more peer. */
  of(peer: PeerIdText): Update | undefined {
    const waiting = this.#familiar.get(peer) ?? this.#strangers.get(peer);
    if (waiting !== undefined) return waiting;
    const familiar = this.#isFamiliar(peer);
    if (this.size >= this.#maxPeers) {
      this.#onDropped();
      const [stranger] = this.#strangers.keys();
      if (!familiar || stranger === undefined) return undefined;
      this.#strangers.delete(stranger);
    }
    const update: Update = {
      told: false,
      seed: false,
      connection: false,
      messageReceived: false,
      sent: 0n,
      received: 0n,
      calls: [],
    };
    (familiar ? this.#familiar : this.#strangers).set(peer, update);
    return update;
  }

  /** Adds calls behind those that wait. */
  call(peer: PeerIdText, ...calls: readonly RegistryCall[]): void {
    const waiting = this.of(peer)?.calls;
    if (waiting === undefined) return;
    for (const call of calls) {
      if (waiting.length < this.#maxCalls) waiting.push(call);
      else this.#onDropped();
    }
  }

  /** Gives what waits now, familiar peers first, each once; what is added meanwhile is for the next time. */
  *take(): Generator<readonly [peer: PeerIdText, update: Update]> {
    for (const updates of [this.#familiar, this.#strangers]) {
      for (let left = updates.size; left > 0; left--) {
        const [next] = updates;
        if (next === undefined) break;
        updates.delete(next[0]);
        yield next;
      }
    }
  }

  clear(): void {
    this.#familiar.clear();
    this.#strangers.clear();
  }
}
