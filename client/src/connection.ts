/** One WebSocket connection: its messages one by one, as the reader asks for them, and why it ended. */

import type { Ending } from './ending.js';
import { refusalOf } from './refusal.js';
import type { CapableSocket, NodeResponse, WebSocketClass } from './web-socket.js';

/** A text message, or the bytes of a binary one. */
export type Message = string | ArrayBuffer;

export interface ConnectionOptions {
  readonly url: string;
  readonly WebSocket: WebSocketClass;
  /** Second argument of the WebSocket; undefined: none. */
  readonly options: object | undefined;
  /** Milliseconds until it must be open. */
  readonly openMs: number;
  /** Milliseconds without a message or ping after which it is held to be dead. */
  readonly silenceMs: number;
  /** Bytes of messages that may wait for the reader. A text counts a byte a character. */
  readonly bufferBytes: number;
}

/** Silence is looked at once more after so long: a program that was busy itself has not read yet what came. */
const SECOND_LOOK_MS = 2000;

export class Connection {
  readonly #socket: CapableSocket;
  readonly #options: ConnectionOptions;
  #waiting: Message[] = [];
  /** Of `#waiting`: the next. */
  #next = 0;
  #waitingBytes = 0;
  #paused = false;
  #opened = false;
  #ending: Ending | undefined;
  /** Called when there is something to take, or it ended. */
  #wake: (() => void) | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #heardAt = 0;

  /** Begins to open it. Throws what the WebSocket's constructor throws. */
  constructor(options: ConnectionOptions) {
    const { WebSocket, url, openMs } = options;
    this.#options = options;
    const opening =
      options.options === undefined ? new WebSocket(url) : new WebSocket(url, options.options as never);
    const socket = opening as unknown as CapableSocket;
    this.#socket = socket;
    socket.binaryType = 'arraybuffer';
    this.#timer = setTimeout(
      () => this.#end({ reason: 'unreachable', text: `no connection within ${openMs} ms` }),
      openMs,
    );
    socket.addEventListener('open', () => {
      this.#opened = true;
      if (this.#ending === undefined) this.#listen();
    });
    socket.addEventListener('message', ({ data }: { readonly data: unknown }) => this.#take(data));
    socket.addEventListener('error', (event: { readonly message?: string; readonly error?: unknown }) => {
      // Of what was open, what follows says more.
      if (!this.#opened) this.#end(unreachable(event));
    });
    socket.addEventListener('close', ({ code, reason }: { readonly code: number; readonly reason: string }) =>
      this.#end(
        this.#opened
          ? { reason: 'closed', code, text: `closed with ${code}${reason === '' ? '' : ` (${reason})`}` }
          : unreachable({}),
      ),
    );
    socket.on?.('ping', () => this.#heard());
    socket.on?.('unexpected-response', (_request: unknown, response: NodeResponse) => {
      void refusalOf(response).then((ending) => this.#end(ending));
    });
  }

  /** Whether it tells what an upgrade was answered with. */
  get tellsRefusals(): boolean {
    return this.#socket.on !== undefined;
  }

  get wasOpen(): boolean {
    return this.#opened;
  }

  /** Why it ended; undefined while it has not, or not yet been read to its end. */
  get ending(): Ending | undefined {
    return this.#next < this.#waiting.length ? undefined : this.#ending;
  }

  /** The next message; undefined when it has ended and there is none left. One call at a time. */
  async next(): Promise<Message | undefined> {
    while (this.#next === this.#waiting.length) {
      if (this.#ending !== undefined) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const message = this.#waiting[this.#next++] as Message;
    this.#waitingBytes -= sizeOf(message);
    // What was taken is let go, in steps that cost nothing.
    if (this.#next > 1000 || this.#next === this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#next);
      this.#next = 0;
    }
    if (this.#paused && this.#waitingBytes <= this.#options.bufferBytes / 2) this.#resume();
    return message;
  }

  /** Ends it; what came and was not taken is dropped. */
  close(): void {
    this.#waiting = [];
    this.#next = 0;
    this.#end({ reason: 'closed', text: 'closed by this client' });
  }

  #take(data: unknown): void {
    if (this.#ending !== undefined || !(typeof data === 'string' || data instanceof ArrayBuffer)) return;
    this.#heard();
    this.#waiting.push(data);
    this.#waitingBytes += sizeOf(data);
    if (this.#waitingBytes > this.#options.bufferBytes && !this.#paused) this.#stopReading();
    this.#wakeReader();
  }

  #stopReading(): void {
    if (this.#socket.pause === undefined) {
      // What would come now is not taken, so that there is no hole: the reader goes on with what is there, and then from there anew.
      this.#end({ reason: 'slow', text: 'more came than the loop takes' });
      return;
    }
    this.#paused = true;
    clearTimeout(this.#timer);
    this.#socket.pause();
  }

  #resume(): void {
    if (this.#ending !== undefined) return;
    this.#paused = false;
    this.#listen();
    this.#socket.resume?.();
  }

  #heard(): void {
    this.#heardAt = performance.now();
  }

  /** Watches for silence from now on. */
  #listen(): void {
    this.#heard();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#look(false), this.#options.silenceMs);
  }

  #look(second: boolean): void {
    const { silenceMs } = this.#options;
    const left = this.#heardAt + silenceMs - performance.now();
    if (left > 0) this.#timer = setTimeout(() => this.#look(false), left);
    else if (second) this.#end({ reason: 'silent', text: `nothing came for ${silenceMs} ms` });
    else this.#timer = setTimeout(() => this.#look(true), Math.min(SECOND_LOOK_MS, silenceMs / 4));
  }

  #end(ending: Ending): void {
    if (this.#ending !== undefined) return;
    this.#ending = ending;
    clearTimeout(this.#timer);
    // Closing what does not answer takes long: nobody waits for it.
    if (this.#socket.terminate !== undefined && ending.reason !== 'closed') this.#socket.terminate();
    else this.#socket.close();
    this.#wakeReader();
  }

  #wakeReader(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}

const sizeOf = (message: Message): number =>
  typeof message === 'string' ? message.length : message.byteLength;

function unreachable({ message, error }: { readonly message?: string; readonly error?: unknown }): Ending {
  const { code } = (error ?? {}) as { readonly code?: unknown };
  const why = message || (typeof code === 'string' ? code : '');
  return {
    reason: 'unreachable',
    text: why === '' ? 'no connection' : why,
    ...(error === undefined ? {} : { cause: error }),
  };
}
