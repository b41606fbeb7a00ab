/**
 * Asking peers where another peer is, and answering (WIRE §1, both versions). In 1.0.0 the asker leaves its half open and each
 * side reads once; in 1.1.0 each side closes its half, and limits are told.
 */

import type { Connection, Libp2p, PeerId, Stream } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import { CODE_P2P, type Multiaddr, multiaddr } from '@multiformats/multiaddr';
import { LRUCache } from 'lru-cache';
import { deadlineSignal } from '../../../shared/async/deadline.js';
import { KeyedRate } from '../../../shared/async/keyed-rate.js';
import { errorMessage, UnavailableError } from '../../../shared/errors.js';
import type { Logger } from '../../../shared/logging/logger.js';
import { QUEUES } from '../../../shared/queues.js';
import { isPrivateMultiaddr, isRelayed, multiaddrHost, multiaddrPeerId } from '../addresses/multiaddrs.js';
import type { LookupOutcome, PeripheryMetrics } from '../metrics/periphery-metrics.js';
import { GaveWayError, ServedStreams } from './served-streams.js';
import { finishStream, OversizeError, readStream, SilenceError } from './stream-reading.js';

export const LOOKUP_1_0 = '/p2p-msg-bus/peer-addr-request/1.0.0';
export const LOOKUP_1_1 = '/p2p-msg-bus/peer-addr-request/1.1.0';

/** Bytes of a request and of an answer; a 1.0.0 asker reads 4,096 at the most. */
const BOUNDS = {
  '1.0.0': { request: 256, answer: 4096 },
  '1.1.0': { request: 128, answer: 8192 },
} as const;
type Version = keyof typeof BOUNDS;

const MAX_ADDRESSES = 32;
const MAX_ADDRESS_TEXT = 512;
const MAX_RATED_PEERS = 1_000;
/** Requests answered at once. */
const SHARES = QUEUES.addressRequests.bounds;
const ASK_AGAIN_MS = 10 * 60_000;
const MAX_WANTED_A_ROUND = 8;

export interface AddressLookupComponents {
  readonly libp2p: Pick<
    Libp2p,
    'handle' | 'unhandle' | 'peerStore' | 'getConnections' | 'getMultiaddrs' | 'peerId' | 'dial'
  >;
  readonly logger: Logger;
  readonly metrics: Pick<PeripheryMetrics, 'addressLookups'>;
}

export interface AddressLookupOptions {
  /** False: no request is answered (silent mode). Default true. */
  readonly answers?: boolean;
  /** `p2p_share_private_addresses`: private addresses of others are told too. Default true. */
  readonly sharePrivate?: boolean;
  /** One request, from open to close, ms. Default 10,000. */
  readonly timeoutMs?: number;
  /** An asker that says nothing is cut after so many ms. Default 3,000. */
  readonly silenceMs?: number;
  /** Answered for one peer. Default 512. */
  readonly requestsPerMinute?: number;
  /** Peers asked for one lookup. Default 10. */
  readonly maxAsked?: number;
  /** Base58 IDs of peers that one would like to be connected to, such as authors heard through others. */
  readonly wanted?: () => Iterable<string>;
  /** Milliseconds between looks at `wanted`. Default 15,000. */
  readonly intervalMs?: number;
  /** Milliseconds after which a wanted peer that was not reached is asked for again. Default 10 minutes. */
  readonly askAgainMs?: number;
}

const versionOf = (protocol: string): Version => (protocol === LOOKUP_1_0 ? '1.0.0' : '1.1.0');

function parsePeerId(text: string): PeerId | undefined {
  try {
    return peerIdFromString(text);
  } catch {
    return undefined;
  }
}

function isWholeJson(bytes: Uint8Array): boolean {
  // An array of strings ends at the first bracket that is the last byte and parses.
  if (bytes.at(-1) !== 0x5d) return false;
  try {
    JSON.parse(new TextDecoder().decode(bytes));
    return true;
  } catch {
    return false;
  }
}

/** The addresses of an answer that can be dialled for `target`: direct TCP ones. Throws RangeError on what is no answer. */
export function parseAnswer(bytes: Uint8Array, target: string): Multiaddr[] {
  let answer: unknown;
  try {
    answer = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw new RangeError('the answer is not JSON');
  }
  if (!Array.isArray(answer)) throw new RangeError('the answer is not an array');
  const addresses = new Map<string, Multiaddr>();
  for (const text of answer.slice(0, MAX_ADDRESSES)) {
    if (typeof text !== 'string' || text.length > MAX_ADDRESS_TEXT) continue;
    try {
      const address = multiaddr(text);
      if (multiaddrHost(address) === undefined || isRelayed(address)) continue;
      if ((multiaddrPeerId(address) ?? target) !== target) continue;
      if (address.getComponents().some(({ name }) => name === 'tcp'))
        addresses.set(address.toString(), address);
    } catch {
      // Not a multiaddr: the others may be.
    }
  }
  return [...addresses.values()];
}

export class AddressLookup {
  readonly #components: AddressLookupComponents;
  readonly #options: AddressLookupOptions;
  readonly #rate: KeyedRate;
  readonly #asked: LRUCache<string, true>;
  readonly #stopping = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  readonly #served = new ServedStreams(SHARES);
  #looking = false;

  constructor(components: AddressLookupComponents, options: AddressLookupOptions = {}) {
    this.#components = components;
    this.#options = options;
    const perMinute = options.requestsPerMinute ?? 512;
    this.#rate = new KeyedRate({ perSecond: perMinute / 60, burst: perMinute, maxKeys: MAX_RATED_PEERS });
    this.#asked = new LRUCache({ max: 1_000, ttl: options.askAgainMs ?? ASK_AGAIN_MS });
  }

  async start(): Promise<void> {
    if (this.#options.answers !== false) {
      await this.#components.libp2p.handle(
        [LOOKUP_1_1, LOOKUP_1_0],
        async (stream, connection) => this.#answer(stream, connection),
        // More than its share: which of a peer's streams gives way is decided here.
        { maxInboundStreams: SHARES.peer * 2 },
      );
    }
    if (this.#options.wanted !== undefined) {
      this.#timer = setInterval(() => void this.#lookForWanted(), this.#options.intervalMs ?? 15_000).unref();
    }
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#stopping.abort(new UnavailableError('the node is stopping'));
    if (this.#options.answers !== false) await this.#components.libp2p.unhandle([LOOKUP_1_1, LOOKUP_1_0]);
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
      this.#count('asker', version, addresses.length === 0 ? 'unknown' : 'ok');
      return addresses;
    } catch (error) {
      const peer = connection.remotePeer.toString();
      this.#components.logger.debug({ peer, target, error: errorMessage(error) }, 'address lookup failed');
      this.#count('asker', version, outcomeOf(error));
      stream?.abort(error instanceof Error ? error : new Error(errorMessage(error)));
      return [];
    }
  }

  async #answer(stream: Stream, connection: Connection): Promise<void> {
    const version = versionOf(stream.protocol);
    const remote = connection.remotePeer.toString();
    if (!this.#rate.take(remote)) {
      this.#count('answerer', version, 'limited');
      stream.abort(new Error('too many address requests'));
      return;
    }
    try {
      await this.#served.serve(connection, (signal) => this.#answerIn(stream, version, this.#limit(signal)));
    } catch (error) {
      this.#components.logger.debug(
        { peer: remote, error: errorMessage(error) },
        'address request not answered',
      );
      this.#count('answerer', version, outcomeOf(error));
      stream.abort(error instanceof Error ? error : new Error(errorMessage(error)));
    }
  }

  async #answerIn(stream: Stream, version: Version, signal: AbortSignal): Promise<void> {
    const request = await readStream(stream, {
      maxBytes: BOUNDS[version].request,
      signal,
      silenceMs: this.#options.silenceMs ?? SHARES.silenceMs,
      // The 1.0.0 asker does not close its half: its one write is the request.
      ...(version === '1.0.0' ? { isComplete: () => true } : {}),
    });
    const target = parsePeerId(new TextDecoder().decode(request).trim());
    if (target === undefined) throw new RangeError('the request is not a peer ID');
    const addresses = await this.#known(target, version);
    await finishStream(stream, new TextEncoder().encode(JSON.stringify(addresses)), signal);
    this.#count('answerer', version, addresses.length === 0 ? 'unknown' : 'ok');
  }

  async #known(target: PeerId, version: Version): Promise<string[]> {
    const { libp2p } = this.#components;
    let addresses: Multiaddr[];
    if (target.equals(libp2p.peerId)) {
      addresses = libp2p.getMultiaddrs();
    } else {
      try {
        addresses = (await libp2p.peerStore.get(target)).addresses.map((known) => known.multiaddr);
      } catch {
        return [];
      }
    }
    const told: string[] = [];
    // The brackets; then each address with its quotes and comma.
    let size = 2;
    for (const address of addresses) {
      if (isRelayed(address)) continue;
      if (this.#options.sharePrivate === false && isPrivateMultiaddr(address)) continue;
      const text = address.decapsulateCode(CODE_P2P).toString();
      size += Buffer.byteLength(JSON.stringify(text)) + 1;
      if (told.length === MAX_ADDRESSES || size > BOUNDS[version].answer) break;
      told.push(text);
    }
    return told;
  }

  async #lookForWanted(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
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
    } finally {
      this.#looking = false;
    }
  }

  #limit(signal?: AbortSignal): AbortSignal {
    return deadlineSignal(this.#options.timeoutMs ?? SHARES.wholeMs, this.#stopping.signal, signal);
  }

  #count(role: 'asker' | 'answerer', version: Version, outcome: LookupOutcome): void {
    this.#components.metrics.addressLookups.inc({ role, version, outcome });
  }
}

function outcomeOf(error: unknown): LookupOutcome {
  if (error instanceof OversizeError) return 'oversized';
  if (error instanceof SilenceError) return 'silent';
  if (error instanceof GaveWayError) return 'displaced';
  if (error instanceof RangeError) return 'malformed';
  return error instanceof Error && error.name === 'TimeoutError' ? 'timeout' : 'failed';
}
