/** Asking connected peers where another peer is, and answering them (address-answerer.ts). */

import type { Connection, Libp2p, PeerId, Stream } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import type { Multiaddr } from '@multiformats/multiaddr';
import { LRUCache } from 'lru-cache';
import { deadlineSignal } from '../../../shared/async/deadline.js';
import { Repeating } from '../../../shared/async/repeat.js';
import { errorMessage, UnavailableError } from '../../../shared/errors.js';
import { QUEUES } from '../../../shared/queues.js';
import type { LookupOutcome } from '../metrics/periphery-metrics.js';
import {
  AddressAnswerer,
  type AddressAnswererComponents,
  type AddressAnswererOptions,
} from './address-answerer.js';
import {
  BOUNDS,
  isWholeJson,
  LOOKUP_1_0,
  LOOKUP_1_1,
  outcomeOf,
  parseAnswer,
  parsePeerId,
  type Version,
  versionOf,
} from './address-protocol.js';
import { finishStream, readStream } from './stream-reading.js';

const ASK_AGAIN_MS = 10 * 60_000;
const MAX_WANTED_A_ROUND = 8;

export interface AddressLookupComponents extends AddressAnswererComponents {
  readonly libp2p: AddressAnswererComponents['libp2p'] & Pick<Libp2p, 'getConnections' | 'dial'>;
}

export interface AddressLookupOptions extends AddressAnswererOptions {
  /**
   * False: no request is answered (silent mode).
   * @default true
   */
  readonly answers?: boolean;
  /**
   * Peers asked for one lookup.
   * @default 10
   */
  readonly maxAsked?: number;
  /** Base58 IDs of peers that one would like to be connected to, such as authors heard through others. */
  readonly wanted?: () => Iterable<string>;
  /**
   * Milliseconds between looks at `wanted`.
   * @default 15,000
   */
  readonly intervalMs?: number;
  /**
   * Milliseconds after which a wanted peer that was not reached is asked for again.
   * @default 10 minutes
   */
  readonly askAgainMs?: number;
}

export class AddressLookup {
  readonly #components: AddressLookupComponents;
  readonly #options: AddressLookupOptions;
  readonly #answerer: AddressAnswerer | undefined;
  readonly #asked: LRUCache<string, true>;
  readonly #stopping = new AbortController();
  readonly #rounds: Repeating;

  constructor(components: AddressLookupComponents, options: AddressLookupOptions = {}) {
    this.#components = components;
    this.#options = options;
    this.#answerer = options.answers === false ? undefined : new AddressAnswerer(components, options);
    this.#rounds = new Repeating(() => this.#lookForWanted(), { everyMs: options.intervalMs ?? 15_000 });
    this.#asked = new LRUCache({ max: 1_000, ttl: options.askAgainMs ?? ASK_AGAIN_MS });
  }

  async start(): Promise<void> {
    await this.#answerer?.start();
    if (this.#options.wanted !== undefined) this.#rounds.start();
  }

  async stop(): Promise<void> {
    void this.#rounds.stop();
    this.#stopping.abort(new UnavailableError('the node is stopping'));
    await this.#answerer?.stop();
  }

  /**
   * Asks connected peers, one after the other, where `target` is; the first that knows ends it. What is found is put into the
   * peer store. Resolves with an empty list when nobody knows. Throws RangeError on a peer ID that does not parse.
   */
  async lookup(target: string, signal?: AbortSignal): Promise<Multiaddr[]> {
    const peerId = parsePeerId(target);
    if (peerId === undefined) throw new RangeError(`not a peer ID: ${JSON.stringify(target.slice(0, 128))}`);
    for await (const addresses of this.#answers(target, signal)) {
      await this.#components.libp2p.peerStore.merge(peerId, { multiaddrs: addresses });
      return addresses;
    }
    return [];
  }

  /** Where connected peers say that we are ourselves: what each of a few knows. Nothing is kept. */
  async lookupOwn(signal?: AbortSignal): Promise<Multiaddr[][]> {
    const answers: Multiaddr[][] = [];
    for await (const addresses of this.#answers(this.#components.libp2p.peerId.toString(), signal)) {
      answers.push(addresses);
    }
    return answers;
  }

  /** What one peer after the other answers, if anything. */
  async *#answers(target: string, signal?: AbortSignal): AsyncGenerator<Multiaddr[]> {
    const seen = new Set<string>([target]);
    for (const connection of this.#components.libp2p.getConnections()) {
      const remote = connection.remotePeer.toString();
      if (seen.has(remote) || connection.limits !== undefined) continue;
      seen.add(remote);
      if (seen.size > (this.#options.maxAsked ?? 10) + 1) break;
      if (signal?.aborted === true || this.#stopping.signal.aborted) break;
      if (!(await this.#speaks(connection.remotePeer))) continue;
      const addresses = await this.#ask(connection, target, signal);
      if (addresses.length > 0) yield addresses;
    }
  }

  /** Whether identify told that the peer answers; one not identified yet is asked anyway. */
  async #speaks(peer: PeerId): Promise<boolean> {
    try {
      const { protocols, metadata } = await this.#components.libp2p.peerStore.get(peer);
      // An open stream leaves its own protocol here before identify has answered.
      const identified = metadata.has('AgentVersion') || metadata.has('ProtocolVersion');
      return !identified || protocols.includes(LOOKUP_1_1) || protocols.includes(LOOKUP_1_0);
    } catch {
      return true;
    }
  }

  async #ask(connection: Connection, target: string, outer?: AbortSignal): Promise<Multiaddr[]> {
    const signal = this.#limit(outer);
    let stream: Stream | undefined;
    let version: Version = '1.1.0';
    try {
      stream = await connection.newStream([LOOKUP_1_1, LOOKUP_1_0], { signal });
      version = versionOf(stream.protocol);
      stream.send(new TextEncoder().encode(target));
      if (version === '1.1.0') await stream.close({ signal });
      const answer = await readStream(stream, {
        maxBytes: BOUNDS[version].answer,
        signal,
        isComplete: isWholeJson,
      });
      await finishStream(stream, undefined, signal).catch(() => {});
      const addresses = parseAnswer(answer, target);
      this.#count(version, addresses.length === 0 ? 'unknown' : 'ok');
      return addresses;
    } catch (error) {
      const peer = connection.remotePeer.toString();
      this.#components.logger.debug({ peer, target, error: errorMessage(error) }, 'address lookup failed');
      this.#count(version, outcomeOf(error));
      stream?.abort(error instanceof Error ? error : new Error(errorMessage(error)));
      return [];
    }
  }

  async #lookForWanted(): Promise<void> {
    try {
      const { libp2p } = this.#components;
      const connected = new Set(libp2p.getConnections().map(({ remotePeer }) => remotePeer.toString()));
      // With nobody to ask, nobody has been asked for.
      if (connected.size === 0) return;
      let left = MAX_WANTED_A_ROUND;
      for (const target of this.#options.wanted?.() ?? []) {
        if (left === 0 || this.#stopping.signal.aborted) break;
        if (connected.has(target) || target === libp2p.peerId.toString() || this.#asked.has(target)) continue;
        left -= 1;
        this.#asked.set(target, true);
        const addresses = await this.lookup(target, this.#stopping.signal);
        if (addresses.length === 0) continue;
        await libp2p.dial(peerIdFromString(target), { signal: this.#limit() });
      }
    } catch (error) {
      this.#components.logger.debug({ error: errorMessage(error) }, 'wanted peer not reached');
    }
  }

  #limit(signal?: AbortSignal): AbortSignal {
    return deadlineSignal(
      this.#options.timeoutMs ?? QUEUES.addressRequests.bounds.wholeMs,
      this.#stopping.signal,
      signal,
    );
  }

  #count(version: Version, outcome: LookupOutcome): void {
    this.#components.metrics.addressLookups.inc({ role: 'asker', version, outcome });
  }
}
