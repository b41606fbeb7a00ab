/**
 * A clock that can be set, for a process with all its threads and children: `NODE_OPTIONS=--import=<this file>` with {@link SHIFT_FILE} in the
 * environment. Whoever holds a {@link ShiftedClock} writes by how much; each thread follows within some 20 ms and says so in a file
 * beside it. `Date` alone is shifted: monotonic clocks and timers go on, as they do where a clock is set.
 */

import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { threadId } from 'node:worker_threads';
import { temporaryDirectory } from './temporary.js';
import { waitFor } from './wait.js';

const SHIFT_FILE = 'TEST_CLOCK_SHIFT';
const LOOK_MS = 20;

/** Shifts `Date` of this thread by what `shift` gives, ms; what it returns takes that back. */
export function shiftDate(shift: () => number): () => void {
  const real = Date;
  const now = (): number => real.now() + shift();
  globalThis.Date = new Proxy(real, {
    get: (target, key) => (key === 'now' ? now : Reflect.get(target, key)),
    construct: (target, given, newTarget) =>
      Reflect.construct(target, given.length === 0 ? [now()] : given, newTarget),
    apply: (target) => new target(now()).toString(),
  });
  return () => {
    globalThis.Date = real;
  };
}

/** What is written at once, so that nobody reads a half. */
function put(path: string, text: string): void {
  const partial = `${path}.${process.pid}.${threadId}.partial`;
  writeFileSync(partial, text);
  renameSync(partial, path);
}

const directory = process.env[SHIFT_FILE];
if (directory !== undefined) {
  let shift = 0;
  let said: number | undefined;
  const look = (): void => {
    try {
      shift = Number(readFileSync(join(directory, 'shift'), 'utf8'));
      if (said !== shift) put(join(directory, `thread-${process.pid}-${threadId}`), String(shift));
      said = shift;
    } catch {
      // The test has ended and taken its directory away.
    }
  };
  look();
  setInterval(look, LOOK_MS).unref();
  shiftDate(() => shift);
}

/** The clock of a process and of all that it starts. */
export class ShiftedClock {
  readonly #directory: string;
  #shift = 0;

  constructor(context: Pick<TestContext, 'after'>) {
    this.#directory = temporaryDirectory(context);
    put(join(this.#directory, 'shift'), '0');
  }

  /** For the process. */
  get env(): Record<string, string> {
    return { [SHIFT_FILE]: this.#directory, NODE_OPTIONS: `--import=${import.meta.url}` };
  }

  /** Unix ms as the process reads them. */
  now(): number {
    return Date.now() + this.#shift;
  }

  /** Sets the clock `ms` ahead of the real one; resolves when every thread has it. Gives how many those are. */
  async set(ms: number): Promise<number> {
    this.#shift = ms;
    put(join(this.#directory, 'shift'), String(ms));
    let threads = 0;
    await waitFor(
      () => {
        const files = readdirSync(this.#directory).filter((name) => /^thread-\d+-\d+$/.test(name));
        threads = files.length;
        return files.every((name) => Number(readFileSync(join(this.#directory, name), 'utf8')) === ms);
      },
      { what: 'every thread to follow the clock' },
    );
    return threads;
  }
}
