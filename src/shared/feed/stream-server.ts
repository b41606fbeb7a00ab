/** The publisher's end of the stream: a local socket over which each notification server that keeps up is sent what comes. */

import type { Socket } from 'node:net';
import { LengthPrefixedReader } from '../ipc/length-prefixed.js';
import { LocalServer } from '../ipc/local-server.js';
import type { JournalledEntry } from '../journal/entry.js';
import type { Logger } from '../logging/logger.js';
import { QUEUES } from '../queues.js';
import type { TraceParent } from '../tracing/types.js';
import type { FrameStreamMetrics } from './metrics.js';
import {
  decodeControl,
  encodeBatch,
  encodeControl,
  encodeMessage,
  FrameStreamError,
  type Hello,
  isOwnStatus,
  MESSAGE,
  streamMessage,
} from './stream.js';

/** Bytes that wait for one notification server, the newest batch beyond it: what is more it reads in the journal. */
const WAITING_BYTES = QUEUES.framesToServer.bounds.bytes;
/** A hello is some 100 bytes. */
const HELLO_BYTES = 1024;
const HELLO_TIMEOUT_MS = 5000;
/** More than `p2p_notification_servers` may be; a bound against anything else on the machine. */
const MAX_READERS = 128;
/** How long `stop` lets readers take what is on its way to them. */
const STOP_FLUSH_MS = 500;

export interface FrameStreamServerOptions {
  /** Path of the unix socket (see `localSocketPath`); one left behind by a dead process is replaced. */
  readonly socketPath: string;
  /** Its directory, absolute, its epoch, and the numbers of the entry that comes next. */
  readonly journal: {
    readonly directory: string;
    readonly epoch: string;
    readonly end: number;
    readonly nextSeq: number;
  };
  readonly logger: Logger;
  readonly metrics?: FrameStreamMetrics;
}

/** One notification server. */
interface Reader {
  readonly socket: Socket;
  greeted: boolean;
  /** It wants to know which frames are traced. */
  traces: boolean;
  /** It has not taken what it was sent. */
  blocked: boolean;
  /** It was left out of what came meanwhile. */
  behind: boolean;
}

export class FrameStreamServer {
  readonly #readers = new Set<Reader>();
  readonly #server: LocalServer;
  #ownStatus: Buffer | undefined;

  constructor(private readonly options: FrameStreamServerOptions) {
    const { socketPath: path, logger } = options;
    this.#server = new LocalServer(
      {
        serve: (socket) => this.#accept(socket),
        onError: (error) => logger.error({ err: error }, 'frame socket failed'),
      },
      { path, maxConnections: MAX_READERS, highWaterMark: WAITING_BYTES },
    );
  }

  /** Listens. `ownStatus`: the newest own `node_status` of a former run. Rejects when the socket cannot be made. */
  async start(ownStatus?: Uint8Array): Promise<void> {
    if (ownStatus !== undefined) this.#ownStatus = encodeMessage(MESSAGE.ownStatus, [ownStatus]);
    await this.#server.start();
  }

  /**
   * Sends what was just appended, entries with frames in their order, to whoever keeps up. `traced`: what those that are traced are
   * below, by sequence number. Never waits and never throws.
   */
  append(entries: readonly JournalledEntry[], traced?: ReadonlyMap<number, TraceParent>): void {
    if (entries.length === 0) return;
    for (const { bytes } of entries)
      if (isOwnStatus(bytes)) this.#ownStatus = encodeMessage(MESSAGE.ownStatus, [bytes]);
    if (this.#readers.size === 0) return;
    const batch = encodeBatch(entries);
    const traces =
      traced === undefined || traced.size === 0
        ? undefined
        : encodeControl(MESSAGE.traces, { traces: [...traced] });
    for (const reader of this.#readers) {
      if (!reader.greeted) continue;
      if (!reader.blocked) {
        if (traces !== undefined && reader.traces) this.#write(reader, traces);
        this.#write(reader, batch);
      } else if (!reader.behind) {
        reader.behind = true;
        this.options.metrics?.lags.inc();
      }
    }
  }

  /** Stops listening, lets readers take what was already handed to their sockets, and ends. */
  async stop(): Promise<void> {
    await this.#server.stop({ flushMs: STOP_FLUSH_MS });
  }

  #accept(socket: Socket): void {
    const reader: Reader = { socket, greeted: false, traces: false, blocked: false, behind: false };
    this.#readers.add(reader);
    this.options.metrics?.readers.set(this.#readers.size);
    const messages = new LengthPrefixedReader({ maxBytes: HELLO_BYTES });
    socket.setTimeout(HELLO_TIMEOUT_MS, () => socket.destroy());
    socket.on('end', () => socket.destroy());
    socket.on('close', () => {
      this.#readers.delete(reader);
      this.options.metrics?.readers.set(this.#readers.size);
    });
    socket.on('drain', () => this.#drained(reader));
    socket.on('data', (chunk) => {
      try {
        for (const bytes of messages.read(chunk)) {
          const message = streamMessage(bytes);
          if (message.type !== MESSAGE.hello || reader.greeted)
            throw new FrameStreamError(`message of type ${message.type}`);
          this.#greet(reader, decodeControl<Hello>(message));
        }
      } catch (error) {
        this.options.logger.warn({ err: error }, 'frame stream: a reader that speaks something else');
        socket.destroy();
      }
    });
  }

  #greet(reader: Reader, { version, traces = false }: Hello): void {
    if (version !== 2) throw new FrameStreamError(`version ${version} of the frame stream`);
    const { directory, epoch, end, nextSeq } = this.options.journal;
    reader.socket.setTimeout(0);
    reader.greeted = true;
    reader.traces = traces === true;
    this.#write(reader, encodeControl(MESSAGE.welcome, { epoch, position: end, seq: nextSeq, directory }));
    if (this.#ownStatus !== undefined) this.#write(reader, this.#ownStatus);
  }

  #drained(reader: Reader): void {
    reader.blocked = false;
    if (!reader.behind) return;
    reader.behind = false;
    const { end, nextSeq } = this.options.journal;
    this.#write(reader, encodeControl(MESSAGE.end, { position: end, seq: nextSeq }));
  }

  #write(reader: Reader, bytes: Buffer): void {
    if (!reader.socket.write(bytes)) reader.blocked = true;
  }
}
