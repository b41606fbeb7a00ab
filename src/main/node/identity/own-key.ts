/**
 * Whether another node runs with this node's key, as after a copied volume: both are one peer to everybody, who keeps a connection to
 * one of them, and neither hears the other. libp2p refuses to dial the own ID, and ends a connection whose other end has it, without
 * telling whether that is another node or we ourselves, met under an address of our own. So the two ends of such a connection tell
 * each other a number that each process draws for itself; and a node status in our name that we did not send is a sign as well.
 */

import { hash, randomBytes } from 'node:crypto';
import type { Libp2p, MessageStream } from '@libp2p/interface';
import type { noise } from '@libp2p/noise';
import { CODE_P2P, type Multiaddr } from '@multiformats/multiaddr';
import { LRUCache } from 'lru-cache';
import { deadlineSignal } from '../../../shared/async/deadline.js';
import { steadyTime } from '../../../shared/clock.js';
import { errorMessage } from '../../../shared/errors.js';
import type { Logger } from '../../../shared/logging/logger.js';
import { unwrap } from '../../../shared/messages/framing.js';
import { nodeStatus } from '../../../shared/messages/node-status.js';
import type { NodeMetrics } from '../metrics/node-metrics.js';
import { replacing } from '../patches/host-internals.js';

type Encryption = ReturnType<typeof noise>;

const NONCE_BYTES = 32;
/** For the other end to tell its number: it has finished the same handshake. */
const TELL_MS = 2_000;
const DIAL_MS = 10_000;
/** An address is tried again after so long, and a sign is news for so long. */
const FRESH_MS = 10 * 60_000;
/** Addresses tried at once: some come from strangers. */
const MAX_ADDRESSES = 4;
/** Our own statuses that are remembered, hours of them. */
const MAX_STATUSES = 1_000;
/** A status tells when it was sent. Older ones may be our own that somebody repeats, those of the run before this one included. */
const STATUS_AGE_MS = 5 * 60_000;
const RUNS_APART_MS = 60_000;

export interface OwnKeyComponents {
  /** Base58. */
  readonly peerId: string;
  readonly logger: Logger;
  readonly metrics: Pick<NodeMetrics, 'keyElsewhere'>;
}

export class OwnKey {
  readonly #components: OwnKeyComponents;
  readonly #nonce = randomBytes(NONCE_BYTES);
  readonly #statuses = new LRUCache<string, true>({ max: MAX_STATUSES });
  readonly #tried = new LRUCache<string, true>({ max: 100, ttl: FRESH_MS });
  readonly #began = steadyTime();
  #seenAt = Number.NEGATIVE_INFINITY;
  #seenHow = '';

  constructor(components: OwnKeyComponents) {
    this.#components = components;
  }

  /** For readiness; undefined when there was no sign for ten minutes. */
  get warning(): string | undefined {
    return performance.now() - this.#seenAt < FRESH_MS
      ? `another node runs with the key of this one (p2p.key): ${this.#seenHow}`
      : undefined;
  }

  /** `create`, whose handshakes are looked at. */
  watch(create: Encryption): Encryption {
    return (components) => {
      const encrypter = create(components);
      const own = components.peerId;
      return replacing(encrypter, {
        secureInbound: async (stream, options) => {
          const secured = await encrypter.secureInbound(stream, options);
          if (secured.remotePeer.equals(own)) await this.#meet(secured.connection, stream, options?.signal);
          return secured;
        },
        secureOutbound: async (stream, options) => {
          const secured = await encrypter.secureOutbound(stream, options);
          if (secured.remotePeer.equals(own)) await this.#meet(secured.connection, stream, options?.signal);
          return secured;
        },
      });
    };
  }

  /**
   * Dials addresses at which our own ID is said to be; who answers with it is told from ourselves by the handshake. Never rejects. An address
   * is tried every ten minutes at the most.
   */
  async look(
    libp2p: Pick<Libp2p, 'dial' | 'getConnections'>,
    addresses: readonly Multiaddr[],
    signal?: AbortSignal,
  ): Promise<void> {
    const bare = new Map(
      addresses
        .map((address) => address.decapsulateCode(CODE_P2P))
        .map((address) => [address.toString(), address] as const),
    );
    const untried = [...bare].filter(([text]) => !this.#tried.has(text)).slice(0, MAX_ADDRESSES);
    await Promise.all(
      untried.map(async ([text, address]) => {
        this.#tried.set(text, true);
        try {
          const before = new Set(libp2p.getConnections());
          const connection = await libp2p.dial(address, { signal: deadlineSignal(DIAL_MS, signal) });
          if (!before.has(connection)) connection.abort(new Error('not the peer that was looked for'));
        } catch (error) {
          this.#components.logger.debug(
            { address: text, error: errorMessage(error) },
            'looked for our own ID',
          );
        }
      }),
    );
  }

  /** A status that this node sends. */
  sent(status: Uint8Array): void {
    this.#statuses.set(hash('sha256', status, 'base64'), true);
  }

  /** A status that came with our signature. `source`: who passed it on. */
  received(status: Uint8Array, source: string): void {
    if (this.#statuses.has(hash('sha256', status, 'base64'))) return;
    let sentAt: number;
    try {
      const { message } = unwrap(status, nodeStatus);
      sentAt = Number(message.startTime) * 1000 + message.uptime * 1000;
    } catch {
      return;
    }
    const now = steadyTime();
    if (Math.abs(now - sentAt) > STATUS_AGE_MS || sentAt < this.#began + RUNS_APART_MS) return;
    this.#saw('gossip', { source }, `its node status came by ${source}`);
  }

  /** Both ends do this, or the other runs something else and ends the connection. */
  async #meet(secured: MessageStream, stream: object, signal?: AbortSignal): Promise<void> {
    const told = await exchange(secured, this.#nonce, deadlineSignal(TELL_MS, signal));
    // Nothing told: nothing is known. Ourselves: an address of our own that somebody told us, or that a router leads back.
    if (told === undefined || this.#nonce.equals(told)) return;
    const { remoteAddr } = stream as { readonly remoteAddr?: Multiaddr };
    const address = remoteAddr?.toString() ?? 'an address that is not known';
    this.#saw('handshake', { address }, `met at ${address}`);
  }

  #saw(seen: 'handshake' | 'gossip', fields: Record<string, string>, how: string): void {
    this.#components.metrics.keyElsewhere.inc({ seen });
    if (this.warning === undefined) {
      this.#components.logger.error(
        { peer: this.#components.peerId, seen, ...fields },
        'another node runs with the key of this one (p2p.key): give one of them its own',
      );
    }
    this.#seenAt = performance.now();
    this.#seenHow = how;
  }
}

/** Tells `own` and resolves with what the other end tells; undefined when it tells nothing. */
function exchange(
  secured: MessageStream,
  own: Uint8Array,
  signal: AbortSignal,
): Promise<Uint8Array | undefined> {
  return new Promise((resolve) => {
    const pieces: Uint8Array[] = [];
    const settle = (told?: Uint8Array): void => {
      secured.removeEventListener('message', onMessage);
      secured.removeEventListener('close', onClose);
      signal.removeEventListener('abort', onClose);
      resolve(told);
    };
    const onMessage = ({ data }: { data: { subarray(): Uint8Array } }): void => {
      pieces.push(Uint8Array.from(data.subarray()));
      const told = Buffer.concat(pieces);
      if (told.length >= own.length) settle(told.subarray(0, own.length));
    };
    const onClose = (): void => settle();
    secured.addEventListener('message', onMessage);
    secured.addEventListener('close', onClose, { once: true });
    signal.addEventListener('abort', onClose, { once: true });
    try {
      secured.send(own);
    } catch {
      settle();
    }
  });
}
