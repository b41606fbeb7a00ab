/**
 * A notification server's end of the stream. While it keeps up it is sent what comes; whatever it has missed, after a break or because it was slow, it reads
 * in the journal's files, which costs the publisher nothing, and says so when frames are there no more.
 */

import type { Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Backoff, type BackoffPolicy } from '../async/backoff.js';
import { LengthPrefixedReader } from '../ipc/length-prefixed.js';
import { connectTo } from '../ipc/local-socket.js';
import { hasFrame, type JournalledEntry } from '../journal/entry.js';
import { JournalReader } from '../journal/reader.js';
import type { Logger } from '../logging/logger.js';
import {
  decodeBatch,
  decodeControl,
  type End,
  encodeControl,
  FrameStreamError,
  isOwnStatus,
  MAX_MESSAGE_BYTES,
  MESSAGE,
  type StreamMessage,
  type StreamPosition,
  streamMessage,
  type Traces,
  type Welcome,
} from './stream.js';

const RECONNECT: BackoffPolicy = { firstMs: 50, maxMs: 2_000 };
/** Read from the journal in one turn. */
const READ_BYTES = 1_048_576;

/** What is heard. All are called synchronously, in the order of the stream. */
export interface FrameStreamHandlers {
  /** Entries with a frame each, contiguous with those before, unless `gap` was called between. Their bytes must be copied to outlive the call. */
  frames(entries: readonly JournalledEntry[]): void;
  /** Frames are missing from here on. */
  gap(): void;
  /** The entry of the newest own `node_status`: `told` on connecting, it may lie before the first frame; else `frames` brings it next. */
  ownStatus(entry: Uint8Array, told: boolean): void;
  /** The publisher is reached, whose journal is in `directory`: what comes now, or is read there, is of that, and goes on in `epoch`. */
  journal?(directory: string, epoch: string): void;
  /** Whether the publisher is reached. */
  connected?(connected: boolean): void;
  /** Frames to come are traced: what they are below, by sequence number. */
  traced?(traces: Traces['traces']): void;
}

export class FrameStreamClient {
  #socket: Socket | undefined;
  #position: StreamPosition | undefined;
  #reader: JournalReader | undefined;
  #timer: NodeJS.Timeout | undefined;
  readonly #backoff = new Backoff(RECONNECT);
  #stopped = true;
  #welcomed = false;

  constructor(
    private readonly components: { readonly logger: Logger; readonly handlers: FrameStreamHandlers },
    private readonly options: {
      readonly socketPath: string;
      /** Unix ms since which frames are wanted, asked when the publisher is first reached; undefined: from then on. */
      readonly since?: () => number | undefined;
      /** Whether `traced` is wanted; not unless told. */
      readonly traces?: boolean;
    },
  ) {}

  /** What is wanted next. */
  get position(): StreamPosition | undefined {
    return this.#position;
  }

  get connected(): boolean {
    return this.#welcomed;
  }

  /** Connects, and again after every break, until stopped. */
  start(): void {
    if (!this.#stopped) return;
    this.#stopped = false;
    this.#connect();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#socket?.destroy();
    this.#reader?.close();
    this.#reader = undefined;
  }

  #connect(): void {
    const socket = connectTo(this.options.socketPath);
    this.#socket = socket;
    const messages = new LengthPrefixedReader({ maxBytes: MAX_MESSAGE_BYTES });
    const waiting: StreamMessage[] = [];
    let working = false;
    const work = async () => {
      working = true;
      for (let message = waiting.shift(); message !== undefined; message = waiting.shift()) {
        // What reads in the journal waits for it; all else is done in the turn in which it came.
        const reading = this.#take(message, socket);
        if (reading !== undefined) await reading;
        if (socket !== this.#socket || socket.destroyed) return;
      }
      working = false;
    };
    socket.on('connect', () => {
      const position = this.#position;
      const hello = {
        version: 2,
        ...(position && { position }),
        ...(this.options.traces && { traces: true }),
      } as const;
      socket.write(encodeControl(MESSAGE.hello, hello));
    });
    socket.on('data', (chunk) => {
      try {
        for (const bytes of messages.read(chunk)) waiting.push(streamMessage(bytes));
      } catch (error) {
        this.#broken(socket, error);
        return;
      }
      if (!working) work().catch((error: unknown) => this.#broken(socket, error));
    });
    socket.on('error', (error) => this.components.logger.debug({ err: error }, 'frame stream not reached'));
    socket.on('close', () => {
      if (this.#welcomed) {
        this.#welcomed = false;
        this.components.handlers.connected?.(false);
      }
      if (this.#stopped) return;
      this.#timer = setTimeout(() => this.#connect(), this.#backoff.next());
    });
  }

  #broken(socket: Socket, error: unknown): void {
    this.components.logger.error({ err: error }, 'frame stream broken');
    socket.destroy();
  }

  #take(message: StreamMessage, socket: Socket): Promise<void> | undefined {
    switch (message.type) {
      case MESSAGE.batch:
        return this.#batch(message, socket);
      case MESSAGE.ownStatus:
        this.components.handlers.ownStatus(message.body, true);
        return undefined;
      case MESSAGE.welcome:
        return this.#welcome(decodeControl<Welcome>(message), socket);
      case MESSAGE.traces:
        this.components.handlers.traced?.(decodeControl<Traces>(message).traces);
        return undefined;
      case MESSAGE.end:
        return this.#catchUp(decodeControl<End>(message), socket);
      default:
        throw new FrameStreamError(`message of type ${message.type}`);
    }
  }

  #batch(message: StreamMessage, socket: Socket): Promise<void> | undefined {
    const { entries, position, end, seq } = decodeBatch(message);
    const known = this.#position;
    if (known === undefined) throw new FrameStreamError('a frame before the welcome');
    const next = { epoch: known.epoch, position: end, seq: seq + entries.length };
    if (seq === known.seq) {
      this.#hand(entries, next);
      return undefined;
    }
    return this.#catchUp({ position, seq }, socket)?.then(() => {
      // Else it was left off, and the next connection goes on there.
      if (this.#position?.seq === seq) this.#hand(entries, next);
    });
  }

  #welcome({ epoch, position, seq, directory }: Welcome, socket: Socket): Promise<void> | undefined {
    this.#reader?.close();
    this.#reader = new JournalReader({ directory });
    const known = this.#position;
    if (known !== undefined && (known.epoch !== epoch || known.seq > seq)) {
      this.components.handlers.gap();
      this.#position = undefined;
    }
    const now = { epoch, position, seq };
    this.#position ??= known === undefined ? this.#begin(now, this.#reader) : now;
    this.#backoff.reset();
    this.#welcomed = true;
    this.components.handlers.journal?.(directory, epoch);
    this.components.handlers.connected?.(true);
    return this.#catchUp({ position, seq }, socket);
  }

  /** Where it begins when the publisher is first reached. */
  #begin(now: StreamPosition, reader: JournalReader): StreamPosition {
    const since = this.options.since?.();
    if (since === undefined) return now;
    const from = reader.seekTime(since, now.position);
    const [first] = reader.read(from, now.position, 1).entries;
    return first === undefined ? now : { epoch: now.epoch, position: first.position, seq: first.seq };
  }

  /** Reads in the journal up to `to`; the publisher sends what follows, and waits meanwhile. */
  #catchUp(to: End, socket: Socket): Promise<void> | undefined {
    if (this.#position === undefined || this.#position.seq === to.seq) return undefined;
    return this.#read(to, socket).catch((error: unknown) => {
      // It would fail again: what comes is not held up for what cannot be read.
      this.components.logger.error({ err: error }, 'frames cannot be read in the journal: they are missing');
      this.#pass(to, socket);
    });
  }

  async #read(to: End, socket: Socket): Promise<void> {
    socket.pause();
    for (;;) {
      const { epoch, position, seq } = this.#position as StreamPosition;
      if (this.#reader === undefined || position >= to.position) break;
      const { entries, next } = this.#reader.read(position, to.position, READ_BYTES);
      const frames = entries.filter(({ bytes }) => hasFrame(bytes));
      const [first] = frames;
      // What the journal has no more may have had frames or not: the numbers tell.
      if (first !== undefined && first.seq !== seq) this.components.handlers.gap();
      this.#hand(frames, { epoch, position: next, seq: (frames.at(-1)?.seq ?? seq - 1) + 1 });
      await nextTurn();
      if (socket !== this.#socket || socket.destroyed) return;
    }
    this.#pass(to, socket);
  }

  /** Goes on at `to`. */
  #pass(to: End, socket: Socket): void {
    if (socket !== this.#socket || socket.destroyed) return;
    const { epoch, seq } = this.#position as StreamPosition;
    if (seq !== to.seq) this.components.handlers.gap();
    this.#position = { epoch, position: to.position, seq: to.seq };
    socket.resume();
  }

  /** Hands on `entries`, and with them what is wanted `next`. */
  #hand(entries: readonly JournalledEntry[], next: StreamPosition): void {
    const { handlers } = this.components;
    let from = 0;
    entries.forEach(({ bytes, position, seq }, index) => {
      if (!isOwnStatus(bytes)) return;
      // Whoever hears of frames may ask what is wanted behind them.
      this.#position = { epoch: next.epoch, position, seq };
      if (index > from) handlers.frames(entries.slice(from, index));
      from = index;
      handlers.ownStatus(bytes, false);
    });
    this.#position = next;
    if (from < entries.length) handlers.frames(entries.slice(from));
  }
}
