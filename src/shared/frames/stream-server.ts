/** The publisher's end of the frame stream: a local socket on which each notification server reads from the ring. */

import { createServer, type Server, type Socket } from 'node:net';
import { type LocalSocket, listenOnSocket } from '../local-socket.js';
import type { Logger } from '../logging.js';
import {
  decodeControl,
  encodeControl,
  encodedLength,
  encodeFrame,
  FrameStreamError,
  type Hello,
  MESSAGE,
  MessageReader,
} from './codec.js';
import type { FrameStreamMetrics } from './metrics.js';
import { FrameRing } from './ring.js';
import { isOwnNodeStatus } from './status-frame.js';
import type { Frame } from './types.js';

/** Bytes handed to a socket at once. Larger gathers no more; smaller costs a call each. */
const CHUNK_BYTES = 65_536;
/** A hello is some 60 bytes. */
const HELLO_BYTES = 1024;
const HELLO_TIMEOUT_MS = 5000;
/** More than `p2p_notification_servers` may be; a bound against anything else on the machine. */
const MAX_READERS = 128;
/** How long `stop` lets readers take what is on its way to them. */
const STOP_FLUSH_MS = 500;
/** Ring bytes at the most unless told otherwise. */
const DEFAULT_RING_BYTES = 67_108_864;

export interface FrameStreamServerOptions {
  /** Path of the unix socket (see `localSocketPath`); one left behind by a dead process is replaced. */
  readonly socketPath: string;
  /** Random at the birth of the database that numbers the frames. */
  readonly epoch: string;
  /** `frames` is `p2p_frame_ring`; `bytes` defaults to 64 MiB. */
  readonly bound: { readonly frames: number; readonly bytes?: number };
  readonly logger: Logger;
  readonly metrics?: FrameStreamMetrics;
}

/** One notification server. What it has not read stays in the ring alone, so a slow one costs at most a chunk. */
interface Reader {
  readonly socket: Socket;
  /** `seq` it reads next; undefined before its hello. */
  next: number | undefined;
  blocked: boolean;
}

export class FrameStreamServer {
  readonly #ring: FrameRing;
  readonly #readers = new Set<Reader>();
  readonly #server: Server;
  #ownStatus: Buffer | undefined;
  #socket: LocalSocket | undefined;

  constructor(private readonly options: FrameStreamServerOptions) {
    this.#ring = new FrameRing({ bytes: DEFAULT_RING_BYTES, ...options.bound });
    this.#server = createServer((socket) => this.#accept(socket));
    this.#server.maxConnections = MAX_READERS;
  }

  /**
   * Listens, with `recent` (ascending, the newest frames of a former run) to resume from. `next` is the `seq` of the
   * frame to come where `recent` is empty and a former run is known. Rejects when the socket cannot be made.
   */
  async start(recent: readonly Frame[], next?: number): Promise<void> {
    if (next !== undefined) this.#ring.begin(next);
    this.append(recent);
    this.#socket = await listenOnSocket(this.#server, this.options.socketPath);
    this.#server.on('error', (error) => this.options.logger.error({ err: error }, 'frame socket failed'));
  }

  /** Adds frames in order of `seq` and sends them to every reader that keeps up. Never waits and never throws. */
  append(frames: readonly Frame[]): void {
    const [first] = frames;
    if (first === undefined) return;
    if (this.#ring.frames === 0) {
      // Readers that wait for the very first frame wait for this one, whatever its number.
      for (const reader of this.#readers) if (reader.next === this.#ring.next) reader.next = first.seq;
      this.#ring.begin(first.seq);
    }
    let bytes = 0;
    for (const frame of frames) bytes += encodedLength(frame);
    // One allocation for all, and a copy: the ring must not keep alive whatever the frames are views of.
    const encoded = Buffer.allocUnsafeSlow(bytes);
    let offset = 0;
    for (const frame of frames) {
      const end = encodeFrame(MESSAGE.frame, frame, encoded, offset);
      this.#ring.push(frame.seq, encoded.subarray(offset, end));
      offset = end;
      if (frame.own && isOwnNodeStatus(frame)) {
        this.#ownStatus = Buffer.allocUnsafeSlow(encodedLength(frame));
        encodeFrame(MESSAGE.ownStatus, frame, this.#ownStatus, 0);
      }
    }
    this.options.metrics?.ringFrames.set(this.#ring.frames);
    this.options.metrics?.ringBytes.set(this.#ring.bytes);
    for (const reader of this.#readers) this.#pump(reader);
  }

  /** Stops listening, lets readers take what was already handed to their sockets, and ends. */
  async stop(): Promise<void> {
    this.#socket?.remove();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const { socket } of this.#readers) socket.end();
    const timer = setTimeout(() => {
      for (const { socket } of this.#readers) socket.destroy();
    }, STOP_FLUSH_MS);
    await closed;
    clearTimeout(timer);
  }

  #accept(socket: Socket): void {
    const reader: Reader = { socket, next: undefined, blocked: false };
    this.#readers.add(reader);
    this.options.metrics?.readers.set(this.#readers.size);
    const messages = new MessageReader(HELLO_BYTES);
    socket.setTimeout(HELLO_TIMEOUT_MS, () => socket.destroy());
    socket.on('error', () => socket.destroy());
    socket.on('end', () => socket.destroy());
    socket.on('close', () => {
      this.#readers.delete(reader);
      this.options.metrics?.readers.set(this.#readers.size);
    });
    socket.on('drain', () => {
      reader.blocked = false;
      this.#pump(reader);
    });
    socket.on('data', (chunk) => {
      try {
        for (const message of messages.read(chunk)) {
          if (message.type !== MESSAGE.hello || reader.next !== undefined)
            throw new FrameStreamError(`message of type ${message.type}`);
          this.#greet(reader, decodeControl<Hello>(message));
        }
      } catch (error) {
        this.options.logger.warn({ err: error }, 'frame stream: a reader that speaks something else');
        socket.destroy();
      }
    });
  }

  #greet(reader: Reader, { version, position }: Hello): void {
    if (version !== 1) throw new FrameStreamError(`version ${version} of the frame stream`);
    const { epoch } = this.options;
    // A restarted publisher without a single frame cannot know that it is a continuation: a gap, to be safe.
    const resumes =
      position !== undefined && position.epoch === epoch && this.#ring.reaches(position.seq + 1);
    const gap = position !== undefined && !resumes;
    reader.next = resumes ? position.seq + 1 : this.#ring.next;
    reader.socket.setTimeout(0);
    if (gap) this.options.metrics?.gaps.inc();
    this.#write(reader, encodeControl(MESSAGE.welcome, { epoch, next: reader.next, gap }));
    if (this.#ownStatus !== undefined) this.#write(reader, this.#ownStatus);
    this.#pump(reader);
  }

  #pump(reader: Reader): void {
    if (reader.next === undefined) return;
    while (!reader.blocked && !reader.socket.destroyed && reader.socket.writable) {
      if (!this.#ring.reaches(reader.next)) {
        reader.next = this.#ring.next;
        this.options.metrics?.gaps.inc();
        this.#write(reader, encodeControl(MESSAGE.gap, { next: reader.next }));
        continue;
      }
      const chunk: Buffer[] = [];
      let bytes = 0;
      for (
        let frame = this.#ring.get(reader.next);
        frame !== undefined;
        frame = this.#ring.get(reader.next)
      ) {
        chunk.push(frame);
        bytes += frame.length;
        reader.next++;
        if (bytes >= CHUNK_BYTES) break;
      }
      if (chunk.length === 0) return;
      this.#write(reader, chunk.length === 1 && chunk[0] ? chunk[0] : Buffer.concat(chunk, bytes));
    }
  }

  #write(reader: Reader, bytes: Buffer): void {
    if (!reader.socket.write(bytes)) reader.blocked = true;
  }
}
