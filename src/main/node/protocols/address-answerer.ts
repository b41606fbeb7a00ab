/** Answers peers that ask where another peer is. */

import type { Connection, Libp2p, PeerId, Stream } from '@libp2p/interface';
import { CODE_P2P, type Multiaddr } from '@multiformats/multiaddr';
import { deadlineSignal } from '../../../shared/async/deadline.js';
import { KeyedRate } from '../../../shared/async/keyed-rate.js';
import { errorMessage, UnavailableError } from '../../../shared/errors.js';
import type { Logger } from '../../../shared/logging/logger.js';
import { QUEUES } from '../../../shared/queues.js';
import { isPrivateMultiaddr, isRelayed } from '../addresses/multiaddrs.js';
import type { LookupOutcome, PeripheryMetrics } from '../metrics/periphery-metrics.js';
import {
  BOUNDS,
  LOOKUP_1_0,
  LOOKUP_1_1,
  MAX_ADDRESSES,
  outcomeOf,
  parsePeerId,
  type Version,
  versionOf,
} from './address-protocol.js';
import { ServedStreams } from './served-streams.js';
import { finishStream, readStream } from './stream-reading.js';

const MAX_RATED_PEERS = 1_000;
/** Requests answered at once. */
const SHARES = QUEUES.addressRequests.bounds;
export interface AddressAnswererComponents {
  readonly libp2p: Pick<Libp2p, 'handle' | 'unhandle' | 'peerStore' | 'getMultiaddrs' | 'peerId'>;
  readonly logger: Logger;
  readonly metrics: Pick<PeripheryMetrics, 'addressLookups'>;
}

export interface AddressAnswererOptions {
  /**
   * `p2p_share_private_addresses`: private addresses of others are told too.
   * @default true
   */
  readonly sharePrivate?: boolean;
  /**
   * One request, from open to close, ms.
   * @default 10,000
   */
  readonly timeoutMs?: number;
  /**
   * An asker that says nothing is cut after so many ms.
   * @default 3,000
   */
  readonly silenceMs?: number;
  /**
   * Answered for one peer.
   * @default 512
   */
  readonly requestsPerMinute?: number;
}

export class AddressAnswerer {
  readonly #components: AddressAnswererComponents;
  readonly #options: AddressAnswererOptions;
  readonly #rate: KeyedRate;
  readonly #served = new ServedStreams(SHARES);
  readonly #stopping = new AbortController();

  constructor(components: AddressAnswererComponents, options: AddressAnswererOptions = {}) {
    this.#components = components;
    this.#options = options;
    const perMinute = options.requestsPerMinute ?? 512;
    this.#rate = new KeyedRate({ perSecond: perMinute / 60, burst: perMinute, maxKeys: MAX_RATED_PEERS });
  }

  async start(): Promise<void> {
    await this.#components.libp2p.handle(
      [LOOKUP_1_1, LOOKUP_1_0],
      async (stream, connection) => this.#answer(stream, connection),
      // More than its share: which of a peer's streams gives way is decided here.
      { maxInboundStreams: SHARES.peer * 2 },
    );
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new UnavailableError('the node is stopping'));
    await this.#components.libp2p.unhandle([LOOKUP_1_1, LOOKUP_1_0]);
  }

  async #answer(stream: Stream, connection: Connection): Promise<void> {
    const version = versionOf(stream.protocol);
    const remote = connection.remotePeer.toString();
    if (!this.#rate.take(remote)) {
      this.#count(version, 'limited');
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
      this.#count(version, outcomeOf(error));
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
    this.#count(version, addresses.length === 0 ? 'unknown' : 'ok');
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

  #limit(signal: AbortSignal): AbortSignal {
    return deadlineSignal(this.#options.timeoutMs ?? SHARES.wholeMs, this.#stopping.signal, signal);
  }

  #count(version: Version, outcome: LookupOutcome): void {
    this.#components.metrics.addressLookups.inc({ role: 'answerer', version, outcome });
  }
}
