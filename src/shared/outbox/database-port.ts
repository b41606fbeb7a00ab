/**
 * The outbox's database in another thread than the publisher's. A thread that ends while LevelDB is at work for it takes the
 * whole process down (classic-level closes the database under its own running calls), and the publisher's thread may
 * end at any moment. So main owns the database, and the publisher asks it over a port.
 */

import type { MessagePort } from 'node:worker_threads';
import { type KeyRange, LevelDatabase, type Operation, type OutboxDatabase } from './database.js';

/** Pairs of one answer: bounded, so that a long outbox is never in memory whole. */
const PAGE_ENTRIES = 256;
const PAGE_BYTES = 4 * 1024 * 1024;

type Request =
  | { readonly op: 'open'; readonly path: string }
  | { readonly op: 'get'; readonly key: string }
  | { readonly op: 'batch'; readonly operations: readonly Operation[]; readonly sync: boolean }
  | { readonly op: 'page'; readonly range: KeyRange; readonly values: boolean }
  | { readonly op: 'close' };

interface Page {
  readonly keys: readonly string[];
  /** Empty when only keys were wanted. */
  readonly values: readonly Uint8Array[];
  readonly last: boolean;
}

interface Failure {
  readonly message: string;
  readonly code: string | undefined;
  readonly cause: Failure | undefined;
}

type Answer =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly failure: Failure };

function toFailure(error: unknown): Failure {
  if (!(error instanceof Error)) return { message: String(error), code: undefined, cause: undefined };
  const { message, cause } = error;
  return {
    message,
    code: (error as NodeJS.ErrnoException).code,
    cause: cause === undefined ? undefined : toFailure(cause),
  };
}

function toError({ message, code, cause }: Failure): Error {
  const error = cause === undefined ? new Error(message) : new Error(message, { cause: toError(cause) });
  return Object.assign(error, code === undefined ? {} : { code });
}

const GONE = 'the database’s thread is gone';

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** The publisher's end. Built anew for each opening; the port serves them all, one after the other. */
export class RemoteDatabase implements OutboxDatabase {
  readonly #port: DatabasePort;
  readonly #path: string;

  constructor(port: DatabasePort, path: string) {
    this.#port = port;
    this.#path = path;
  }

  async open(): Promise<void> {
    await this.#port.ask({ op: 'open', path: this.#path });
  }

  async get(key: string): Promise<Buffer | undefined> {
    const value = (await this.#port.ask({ op: 'get', key })) as Uint8Array | undefined;
    return value === undefined ? undefined : asBuffer(value);
  }

  async batch(operations: readonly Operation[], { sync }: { readonly sync: boolean }): Promise<void> {
    // A view is sent with all the bytes under it: what is sent is a copy that has none besides, and is handed over.
    const own = operations.map((each) =>
      each.type === 'put' ? { ...each, value: new Uint8Array(each.value) } : each,
    );
    const transfer = own.flatMap((each) => (each.type === 'put' ? [each.value.buffer] : []));
    await this.#port.ask({ op: 'batch', operations: own, sync }, transfer);
  }

  async *keys(range: KeyRange): AsyncGenerator<string> {
    for await (const { keys } of this.#pages(range, false)) yield* keys;
  }

  async *entries(range: KeyRange): AsyncGenerator<readonly [string, Buffer]> {
    for await (const { keys, values } of this.#pages(range, true)) {
      for (const [index, key] of keys.entries()) yield [key, asBuffer(values[index] as Uint8Array)];
    }
  }

  async *#pages(range: KeyRange, values: boolean): AsyncGenerator<Page> {
    for (let rest = range; ; ) {
      const page = (await this.#port.ask({ op: 'page', range: rest, values })) as Page;
      yield page;
      const after = page.keys.at(-1);
      if (page.last || after === undefined) return;
      rest = { gt: after, lt: range.lt };
    }
  }

  async close(): Promise<void> {
    await this.#port.ask({ op: 'close' });
  }
}

/** Questions and answers over a MessagePort, any number at a time. */
export class DatabasePort {
  readonly #waiting = new Map<
    number,
    { resolve: (result: unknown) => void; reject: (error: Error) => void }
  >();
  readonly #port: MessagePort;
  #lastId = 0;
  #gone = false;

  constructor(port: MessagePort) {
    this.#port = port;
    port.on('message', (answer: Answer) => {
      const asked = this.#waiting.get(answer.id);
      this.#waiting.delete(answer.id);
      if ('failure' in answer) asked?.reject(toError(answer.failure));
      else asked?.resolve(answer.result);
    });
    port.once('close', () => {
      this.#gone = true;
      for (const { reject } of this.#waiting.values()) reject(new Error(GONE));
      this.#waiting.clear();
    });
  }

  ask(request: Request, transfer: ArrayBuffer[] = []): Promise<unknown> {
    if (this.#gone) return Promise.reject(new Error(GONE));
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#port.postMessage({ id, request }, transfer);
    });
  }
}

/** Main's end: owns the database while the other end lives. When that is gone it finishes what runs, and closes. */
export class DatabaseHost {
  readonly #port: MessagePort;
  readonly #ended: Promise<void>;
  #database: OutboxDatabase | undefined;
  /** What is under way. */
  readonly #running = new Set<Promise<void>>();

  constructor(port: MessagePort) {
    this.#port = port;
    port.on('message', ({ id, request }: { id: number; request: Request }) => {
      const running = this.#answer(id, request).finally(() => this.#running.delete(running));
      this.#running.add(running);
    });
    this.#ended = new Promise((resolve) => {
      port.once('close', () => {
        this.#release().then(resolve, () => resolve());
      });
    });
  }

  /** Ends the port, and resolves when the database is closed and its lock given back. Never rejects. */
  async close(): Promise<void> {
    this.#port.close();
    await this.#ended;
  }

  async #release(): Promise<void> {
    await Promise.all(this.#running);
    await this.#database?.close();
    this.#database = undefined;
  }

  async #answer(id: number, request: Request): Promise<void> {
    try {
      this.#port.postMessage({ id, result: await this.#do(request) });
    } catch (error) {
      this.#port.postMessage({ id, failure: toFailure(error) });
    }
  }

  async #do(request: Request): Promise<unknown> {
    if (request.op === 'open') {
      this.#database ??= new LevelDatabase(request.path);
      try {
        await this.#database.open();
      } catch (error) {
        this.#database = undefined;
        throw error;
      }
      return undefined;
    }
    const database = this.#database;
    if (request.op === 'close') {
      this.#database = undefined;
      return database?.close();
    }
    if (database === undefined) throw new Error('the database is not open');
    switch (request.op) {
      case 'get':
        return database.get(request.key);
      case 'batch':
        return database.batch(request.operations, { sync: request.sync });
      case 'page':
        return request.values ? pageOf(database, request.range) : pageOfKeys(database, request.range);
    }
  }
}

async function pageOf(database: OutboxDatabase, range: KeyRange): Promise<Page> {
  const keys: string[] = [];
  const values: Uint8Array[] = [];
  let bytes = 0;
  for await (const [key, value] of database.entries(range)) {
    keys.push(key);
    values.push(value);
    bytes += value.length;
    if (keys.length >= PAGE_ENTRIES || bytes >= PAGE_BYTES) return { keys, values, last: false };
  }
  return { keys, values, last: true };
}

async function pageOfKeys(database: OutboxDatabase, range: KeyRange): Promise<Page> {
  const keys: string[] = [];
  for await (const key of database.keys(range)) {
    keys.push(key);
    if (keys.length >= PAGE_ENTRIES * 16) return { keys, values: [], last: false };
  }
  return { keys, values: [], last: true };
}
