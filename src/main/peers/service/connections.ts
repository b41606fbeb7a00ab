/** Connections as the service is to know them: peers that are connected and have spoken since, and the bytes that were told of them. Gone with the connection. */

import type { PeerIdText } from '../../../shared/net/peer-id.js';

interface Bytes {
  readonly sent: bigint;
  readonly received: bigint;
}

const NONE: Bytes = { sent: 0n, received: 0n };

const since = (now: bigint, before: bigint): bigint => (now > before ? now - before : 0n);

export class SpokenConnections {
  readonly #spoken = new Set<PeerIdText>();
  /** Counted of connections so far, what the service knows of it included. */
  readonly #bytes = new Map<PeerIdText, Bytes>();

  /** A connected peer has spoken. Whether for the first time since it is connected. */
  spoke(peer: PeerIdText): boolean {
    if (this.#spoken.has(peer)) return false;
    this.#spoken.add(peer);
    return true;
  }

  has(peer: PeerIdText): boolean {
    return this.#spoken.has(peer);
  }

  /** Who is connected and has spoken. */
  peers(): Iterable<PeerIdText> {
    return this.#spoken;
  }

  /** Takes in what has gone and come over a connected peer's connections. Gives what of it is new. */
  count(peer: PeerIdText, { sent, received }: Bytes): Bytes {
    const before = this.#bytes.get(peer) ?? NONE;
    this.#bytes.set(peer, { sent, received });
    return { sent: since(sent, before.sent), received: since(received, before.received) };
  }

  /** The last connection has closed, after `received` bytes over all of them. Whether the peer had spoken, and the bytes that were not counted. */
  closed(peer: PeerIdText, received: bigint): { readonly spoke: boolean; readonly left: bigint } {
    const before = this.#bytes.get(peer) ?? NONE;
    this.#bytes.delete(peer);
    return { spoke: this.#spoken.delete(peer), left: since(received, before.received) };
  }

  /** Nobody is connected any more. */
  clear(): void {
    this.#spoken.clear();
    this.#bytes.clear();
  }
}
