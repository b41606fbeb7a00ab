/** A notification server's end of the frame stream: keeps its place across breaks, and says when frames were missed. */

import { connect, type Socket } from 'node:net';
import type { Logger } from '../logging.js';
import {
  decodeControl,
  decodeFrame,
  encodeControl,
  FrameStreamError,
  type Gap,
  MESSAGE,
  MessageReader,
  type StreamMessage,
  type StreamPosition,
  type Welcome,
} from './codec.js';
import { isOwnNodeStatus } from './status-frame.js';
import type { Frame } from './types.js';

const FIRST_RETRY_MS = 50;
const LAST_RETRY_MS = 2000;

/** What is heard. All are called synchronously, in the order of the stream. */
export interface FrameStreamHandlers {
  /** Contiguous with those before, unless `gap` was called between. Their `json` must be copied to outlive the call. */
  frames(frames: readonly Frame[]): void;
  /** Frames are missing from here on. */
  gap(): void;
  /** The newest own `node_status`: `told` on connecting, it may lie before the first frame; else `frames` brings it next. */
  ownStatus(frame: Frame, told: boolean): void;
  /** Whether the publisher is reached. */
  connected?(connected: boolean): void;
}

export class FrameStreamClient {
  #socket: Socket | undefined;
  #position: StreamPosition | undefined;
  #timer: NodeJS.Timeout | undefined;
  #retryMs = FIRST_RETRY_MS;
  #stopped = true;
  #welcomed = false;

  constructor(
    private readonly components: { readonly logger: Logger; readonly handlers: FrameStreamHandlers },
    private readonly options: { readonly socketPath: string },
  ) {}

  /** The last frame that was handed on. */
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
  }

  #connect(): void {
    const socket = connect(this.options.socketPath);
    this.#socket = socket;
    const messages = new MessageReader();
    socket.on('connect', () => {
      socket.write(
        encodeControl(MESSAGE.hello, {
          version: 1,
          ...(this.#position === undefined ? {} : { position: this.#position }),
        }),
      );
    });
    socket.on('data', (chunk) => {
      try {
        this.#take(messages.read(chunk));
      } catch (error) {
        this.components.logger.error({ err: error }, 'frame stream broken');
        socket.destroy();
      }
    });
    socket.on('error', (error) => this.components.logger.debug({ err: error }, 'frame stream not reached'));
    socket.on('close', () => {
      if (this.#welcomed) {
        this.#welcomed = false;
        this.components.handlers.connected?.(false);
      }
      if (this.#stopped) return;
      this.#timer = setTimeout(() => this.#connect(), this.#retryMs);
      this.#retryMs = Math.min(this.#retryMs * 2, LAST_RETRY_MS);
    });
  }

  #take(messages: Iterable<StreamMessage>): void {
    const { handlers } = this.components;
    let frames: Frame[] = [];
    const flush = () => {
      if (frames.length > 0) handlers.frames(frames);
      frames = [];
    };
    try {
      for (const message of messages) {
        if (message.type === MESSAGE.frame) {
          const frame = decodeFrame(message);
          const position = this.#position;
          if (position === undefined) throw new FrameStreamError('a frame before the welcome');
          if (position.seq >= 0 && frame.seq !== position.seq + 1) {
            flush();
            handlers.gap();
          }
          if (isOwnNodeStatus(frame)) {
            flush();
            handlers.ownStatus(frame, false);
          }
          frames.push(frame);
          this.#position = { epoch: position.epoch, seq: frame.seq };
          continue;
        }
        flush();
        if (message.type === MESSAGE.ownStatus) handlers.ownStatus(decodeFrame(message), true);
        else if (message.type === MESSAGE.welcome) this.#welcome(decodeControl<Welcome>(message));
        else if (message.type === MESSAGE.gap) {
          const { next } = decodeControl<Gap>(message);
          if (this.#position !== undefined) this.#position = { ...this.#position, seq: next - 1 };
          handlers.gap();
        } else throw new FrameStreamError(`message of type ${message.type}`);
      }
    } finally {
      // What came before a fault was counted as received.
      flush();
    }
  }

  #welcome({ epoch, next, gap }: Welcome): void {
    if (gap) this.components.handlers.gap();
    this.#position = { epoch, seq: next - 1 };
    this.#retryMs = FIRST_RETRY_MS;
    this.#welcomed = true;
    this.components.handlers.connected?.(true);
  }
}
