/** Standard output as the log's end: whatever becomes of it, who writes neither waits nor fails. */

import { constants, fstatSync, openSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { getEnvironmentData, isMainThread, setEnvironmentData } from 'node:worker_threads';
import { monotonic, wall } from '../clock.js';

/** Bytes kept for a reader that is slow, in each thread and process; a pipe holds 64 KiB besides. */
const WAITING_BOUND = 256 * 1024;
const RETRY_MS = 20;
/** What a process that ends gives a slow reader. */
const LAST_WAIT_MS = 200;
const COUNT = 'teranode-p2p log lines dropped';

const count = sharedCount();

/** Lines that this process, its threads included, could not write and has dropped. */
export function droppedLogLines(): number {
  return Number(Atomics.load(count, 0));
}

/** One count for all threads: workers inherit what the main thread has set. */
function sharedCount(): BigInt64Array {
  const inherited = getEnvironmentData(COUNT);
  if (inherited instanceof SharedArrayBuffer) return new BigInt64Array(inherited);
  const made = new SharedArrayBuffer(8);
  if (isMainThread) setEnvironmentData(COUNT, made);
  return new BigInt64Array(made);
}

/**
 * Writes lines at once. To a pipe or a terminal that takes no more, 256 KiB wait for it; what is over that, and whatever a full
 * disk or a broken pipe does not take, is dropped and counted, and a line says so when writing works again. Never throws.
 */
export class LogSink {
  readonly #fd: number;
  readonly #waiting: Buffer[] = [];
  #bytes = 0;
  /** Of the first waiting line: a line that is partly out is never dropped. */
  #begun = 0;
  /** The last line is partly out, and what is left of it is lost. */
  #torn = false;
  #dropped = 0;
  #timer: NodeJS.Timeout | undefined;

  readonly #fields: object;

  /** `fields`: on each line of its own. */
  constructor(fd: number, fields: object) {
    this.#fields = fields;
    this.#fd = unblocked(fd);
    process.on('exit', () => this.#end());
  }

  write(line: string): void {
    const bytes = Buffer.from(this.#torn ? `\n${line}` : line);
    this.#torn = false;
    if (this.#bytes + bytes.length > WAITING_BOUND) this.#drop(1);
    else {
      this.#waiting.push(bytes);
      this.#bytes += bytes.length;
    }
    if (this.#timer === undefined) this.flushSync();
  }

  /** Writes what it can now; pino calls it after a fatal line. */
  flushSync(): void {
    if (this.#dropped > 0 && this.#waiting.length === 0) return;
    for (let [first] = this.#waiting; first !== undefined; [first] = this.#waiting) {
      try {
        this.#begun += writeSync(this.#fd, first, this.#begun);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EAGAIN') {
          this.#later();
          return;
        }
        this.#drop(this.#waiting.length);
        this.#torn ||= this.#begun > 0;
        this.#waiting.length = 0;
        this.#bytes = 0;
        this.#begun = 0;
        return;
      }
      if (this.#begun < first.length) continue;
      this.#waiting.shift();
      this.#bytes -= first.length;
      this.#begun = 0;
      if (this.#dropped > 0) this.#tell();
    }
  }

  #later(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.flushSync();
    }, RETRY_MS).unref();
  }

  #drop(lines: number): void {
    this.#dropped += lines;
    Atomics.add(count, 0, BigInt(lines));
  }

  #tell(): void {
    const told = {
      level: 40,
      time: new Date(wall.shown()).toISOString(),
      ...this.#fields,
      lines: this.#dropped,
      msg: 'log lines were dropped',
    };
    const line = Buffer.from(`${JSON.stringify(told)}\n`);
    this.#dropped = 0;
    this.#waiting.unshift(line);
    this.#bytes += line.length;
  }

  #end(): void {
    const until = monotonic() + LAST_WAIT_MS;
    const pause = new Int32Array(new SharedArrayBuffer(4));
    this.flushSync();
    while (this.#waiting.length > 0 && monotonic() < until) {
      Atomics.wait(pause, 0, 0, 10);
      this.flushSync();
    }
  }
}

/**
 * A pipe or terminal opened anew, so that writing to it does not block: the flag is of the opening, which children and threads
 * that inherit the descriptor share, and which a child's start sets back. Files never block, and share their position. A socket
 * cannot be opened anew, nor a pipe of another user: see `unblockSocket`. Where nothing can be done the descriptor stays as it is.
 */
function unblocked(fd: number): number {
  try {
    const kind = fstatSync(fd);
    if (kind.isSocket()) unblockSocket();
    if (!kind.isFIFO() && !kind.isCharacterDevice()) return fd;
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    // Another user's pipe, as behind gosu or su, cannot be opened anew.
    unblockSocket();
    return fd;
  }
}

/**
 * Standard output that is a socket, as under systemd or another Node, or a pipe does not block from here on, for all threads. A
 * child that inherits it sets that back when it starts and when it ends: to be called after either. Does nothing in a worker thread.
 */
export function unblockSocket(): void {
  if (!isMainThread) return;
  const { _handle: handle } = process.stdout as { _handle?: { setBlocking?: (blocking: boolean) => number } };
  // A terminal and a file have no use for it.
  if (process.stdout instanceof Socket && !process.stdout.isTTY) handle?.setBlocking?.(false);
}
