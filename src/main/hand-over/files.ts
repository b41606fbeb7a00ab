/**
 * Asking for `DATADIR` where its socket leads nowhere, as on a volume that several machines share. Two files in the directory, made by the holder and written in
 * place: network file systems show what is in a file that is opened, and new names only after a while.
 */

import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Logger } from '../../shared/logging/logger.js';
import type { HandOverAnswer, HandOverRequest } from '../control/hand-over.js';
import { checkAnswer } from './tenure.js';

const DIRECTORY = 'hand-over';
const ASK = 'ask';
const ANSWER = 'answer';
const LOOK_MS = 1_000;
const MAX_BYTES = 8_192;
/** Newcomers of which it is remembered what they wrote last. */
const MAX_KNOWN = 16;

interface Ask {
  readonly request: HandOverRequest;
  /** Another number each time: who writes no more is gone, and gets nothing. */
  readonly count: number;
}

interface Answer {
  readonly id: string;
  readonly answer: HandOverAnswer;
}

/** Never through a link, nor waiting for the other end of a pipe: both would be somebody else's. */
const PLAIN = constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** Gives `use` the file at `path`, opened. Throws where it cannot be opened, or is no file. */
function withPlainFile<T>(path: string, flags: number, use: (fd: number) => T): T {
  const fd = openSync(path, flags | PLAIN, 0o600);
  try {
    if (!fstatSync(fd).isFile()) throw new Error(`${path} is no file`);
    return use(fd);
  } finally {
    closeSync(fd);
  }
}

/** Writes `text` over what is in the file. */
const write = (path: string, flags: number, text: string): void =>
  withPlainFile(path, flags, (fd) => ftruncateSync(fd, writeSync(fd, text, 0)));

/** Undefined where there is nothing that can be read: half written, or another thing altogether. */
function read(path: string): unknown {
  try {
    return withPlainFile(path, constants.O_RDONLY, (fd) =>
      fstatSync(fd).size > MAX_BYTES ? undefined : JSON.parse(readFileSync(fd, 'utf8')),
    );
  } catch {
    return undefined;
  }
}

/** The holder's end. */
export class AskedByFile {
  readonly #logger: Logger;
  readonly #answer: (request: unknown) => HandOverAnswer;
  readonly #directory: string;
  readonly #counts = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;

  /** `directory` is DATADIR. `answer` throws on what is no request. */
  constructor(
    { logger, answer }: { readonly logger: Logger; readonly answer: (request: unknown) => HandOverAnswer },
    directory: string,
  ) {
    this.#logger = logger;
    this.#answer = answer;
    this.#directory = join(directory, DIRECTORY);
  }

  /** Makes the files anew, so that nobody asks in them yet, and looks each second. The caller has the lock. Never throws: there is the socket. */
  start(): void {
    try {
      mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
      for (const name of [ASK, ANSWER]) {
        write(join(this.#directory, name), constants.O_RDWR | constants.O_CREAT, '');
      }
    } catch (error) {
      this.#logger.warn({ err: error }, 'DATADIR can be asked for over its socket alone');
      return;
    }
    this.#timer = setInterval(() => this.#look(), LOOK_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const { request, count } = (read(join(this.#directory, ASK)) ?? {}) as Partial<Ask>;
    const id = request?.id;
    if (typeof id !== 'string' || typeof count !== 'number') return;
    const before = this.#counts.get(id);
    this.#counts.delete(id);
    this.#counts.set(id, count);
    for (const eldest of this.#counts.keys()) {
      if (this.#counts.size <= MAX_KNOWN) break;
      this.#counts.delete(eldest);
    }
    // Whoever wrote this may have died since: it has to write again.
    if (before === undefined || before === count) return;
    try {
      const told: Answer = { id, answer: this.#answer(request) };
      write(join(this.#directory, ANSWER), constants.O_RDWR, JSON.stringify(told));
    } catch (error) {
      this.#logger.debug({ err: error }, 'what was asked for in a file could not be answered');
    }
  }
}

/** The newcomer's end: asks, again and again, and gives what the holder has answered. Undefined where it has not, or nobody can be asked so. */
export function askByFile(
  directory: string,
  request: HandOverRequest,
  count: number,
): HandOverAnswer | undefined {
  const of = (name: string) => join(directory, DIRECTORY, name);
  try {
    const ask: Ask = { request, count };
    // Made by a holder that looks at it, else there is none.
    write(of(ASK), constants.O_RDWR, JSON.stringify(ask));
  } catch {
    return undefined;
  }
  return answerInFile(directory, request);
}

/** What a holder has answered to the sender of `request`, whoever has the directory by now. Undefined where it has not. */
export function answerInFile(
  directory: string,
  request: Pick<HandOverRequest, 'id'>,
): HandOverAnswer | undefined {
  const { id, answer } = (read(join(directory, DIRECTORY, ANSWER)) ?? {}) as Partial<Answer>;
  try {
    return id === request.id ? checkAnswer(answer) : undefined;
  } catch {
    return undefined;
  }
}
