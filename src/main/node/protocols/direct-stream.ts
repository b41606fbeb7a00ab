/** The direct stream (WIRE §1, first generation): open, write one JSON message, close. */

import type { Connection, Libp2p, Stream } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import { deadlineSignal } from '../../../shared/async/deadline.js';
import { KeyedRate } from '../../../shared/async/keyed-rate.js';
import { errorMessage, UnavailableError } from '../../../shared/errors.js';
import type { Logger } from '../../../shared/logging/logger.js';
import { type PeerIdText, peerIdText } from '../../../shared/net/peer-id.js';
import { QUEUES } from '../../../shared/queues.js';
import type { DirectOutcome, PeripheryMetrics } from '../metrics/periphery-metrics.js';
import { GaveWayError, ServedStreams } from './served-streams.js';
import { finishStream, OversizeError, readStream, SilenceError } from './stream-reading.js';

/** Without a leading slash, as the Go service spells it. */
export const DIRECT_PROTOCOL = 'teranode/bitcoin/1.0.0';
const MAX_DIRECT_BYTES = 32 * 1024;

export interface DirectStreamComponents {
  readonly libp2p: Pick<Libp2p, 'handle' | 'unhandle' | 'dialProtocol'>;
  readonly logger: Logger;
  readonly metrics: Pick<PeripheryMetrics, 'directMessages'>;
}

export interface DirectStreamOptions {
  /** One message, unchecked. `source` is the base58 ID of the peer at the other end. */
  readonly onMessage: (message: { readonly source: PeerIdText; readonly data: Uint8Array }) => void;
  /**
   * From open to close, ms.
   * @default 10,000
   */
  readonly timeoutMs?: number;
  /**
   * Bytes of one message at the most.
   * @default 32 KiB
   */
  readonly maxBytes?: number;
  /**
   * A stream that brings nothing is cut after so many ms.
   * @default 3,000
   */
  readonly silenceMs?: number;
  /**
   * Messages a second of one peer, and twice that at once.
   * @default 10
   */
  readonly perSecond?: number;
}

/** Streams read at once. */
const SHARES = QUEUES.directMessages.bounds;
const MAX_RATED_PEERS = 1_000;

export class DirectStream {
  readonly #components: DirectStreamComponents;
  readonly #options: DirectStreamOptions;
  readonly #rate: KeyedRate;
  readonly #stopping = new AbortController();
  readonly #served = new ServedStreams(SHARES);

  constructor(components: DirectStreamComponents, options: DirectStreamOptions) {
    this.#components = components;
    this.#options = options;
    const perSecond = options.perSecond ?? 10;
    this.#rate = new KeyedRate({ perSecond, burst: perSecond * 2, maxKeys: MAX_RATED_PEERS });
  }

  async start(): Promise<void> {
    await this.#components.libp2p.handle(
      DIRECT_PROTOCOL,
      async (stream, connection) => this.#receive(stream, connection),
      // More than its share: which of a peer's streams gives way is decided here.
      { maxInboundStreams: SHARES.peer * 2 },
    );
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new UnavailableError('the node is stopping'));
    await this.#components.libp2p.unhandle(DIRECT_PROTOCOL);
  }

  /**
   * Writes one message to a peer and closes; connects first where needed and an address is known. Rejects with RangeError on a peer ID that
   * does not parse or a message that is too long, else with libp2p's error.
   */
  async sendDirect(peerId: string, data: Uint8Array, signal?: AbortSignal): Promise<void> {
    const peer = parsePeerId(peerId);
    const { maxBytes = MAX_DIRECT_BYTES } = this.#options;
    if (data.length > maxBytes) throw new RangeError(`a direct message has at most ${maxBytes} bytes`);
    const limit = this.#limit(signal);
    let stream: Stream | undefined;
    try {
      stream = await this.#components.libp2p.dialProtocol(peer, DIRECT_PROTOCOL, { signal: limit });
      await finishStream(stream, data, limit);
      this.#count('sent', 'ok');
    } catch (error) {
      stream?.abort(error instanceof Error ? error : new Error(errorMessage(error)));
      this.#count('sent', 'failed');
      throw error;
    }
  }

  async #receive(stream: Stream, connection: Connection): Promise<void> {
    const source = peerIdText(connection.remotePeer);
    if (!this.#rate.take(source)) {
      this.#count('received', 'limited');
      stream.abort(new Error('too many direct messages'));
      return;
    }
    try {
      await this.#served.serve(connection, (signal) => this.#read(stream, source, this.#limit(signal)));
    } catch (error) {
      this.#count('received', outcomeOf(error));
      this.#components.logger.debug({ peer: source, error: errorMessage(error) }, 'direct message not read');
      stream.abort(error instanceof Error ? error : new Error(errorMessage(error)));
    }
  }

  async #read(stream: Stream, source: PeerIdText, signal: AbortSignal): Promise<void> {
    const { maxBytes = MAX_DIRECT_BYTES, silenceMs = SHARES.silenceMs } = this.#options;
    const data = await readStream(stream, { maxBytes, signal, silenceMs });
    await finishStream(stream, undefined, signal).catch(() => {});
    if (data.length === 0) {
      this.#count('received', 'empty');
      return;
    }
    this.#count('received', 'ok');
    this.#options.onMessage({ source, data });
  }

  #limit(signal?: AbortSignal): AbortSignal {
    return deadlineSignal(this.#options.timeoutMs ?? SHARES.wholeMs, this.#stopping.signal, signal);
  }

  #count(direction: 'sent' | 'received', outcome: DirectOutcome): void {
    this.#components.metrics.directMessages.inc({ direction, outcome });
  }
}

function outcomeOf(error: unknown): DirectOutcome {
  if (error instanceof OversizeError) return 'oversized';
  if (error instanceof SilenceError) return 'silent';
  return error instanceof GaveWayError ? 'displaced' : 'failed';
}

function parsePeerId(text: string): ReturnType<typeof peerIdFromString> {
  try {
    return peerIdFromString(text);
  } catch {
    throw new RangeError(`not a peer ID: ${JSON.stringify(text.slice(0, 128))}`);
  }
}
