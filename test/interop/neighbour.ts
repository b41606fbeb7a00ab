/** One of the Go programs, spoken with in JSON lines. */

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { waitFor, within } from '../support/wait.js';
import { NEIGHBOUR } from './build.js';

const ANSWER_MS = 60_000;
const KEPT_LOG = 20_000;

export interface NeighbourEvent {
  readonly event: string;
  readonly value: unknown;
}

interface Answer {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: string;
}

/** What the program answered instead of a result. */
class NeighbourError extends Error {}

export interface NeighbourOptions {
  /** Of one of the programs in `build.ts`; {@link NEIGHBOUR} unless told. */
  readonly program?: string;
  /** Where it runs; the test's own directory unless told. */
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly onEvent?: () => void;
}

/** A program that plays one part; killed when the test ends. */
export class Neighbour {
  /** What happened by itself, in order. */
  readonly events: NeighbourEvent[] = [];
  readonly #onEvent: () => void;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  readonly #exit: Promise<void>;
  #log = '';
  #ended = false;
  #commands = 0;

  constructor(
    context: Pick<TestContext, 'after'>,
    part: string,
    { program = NEIGHBOUR, cwd, env = {}, onEvent = () => {} }: NeighbourOptions = {},
  ) {
    this.#onEvent = onEvent;
    if (!existsSync(program)) throw new Error('the Go programs are not built: run `npm run test:interop`');
    this.#child = spawn(program, [part], { cwd, env: { ...process.env, NODE_TEST_CONTEXT: '', ...env } });
    this.#exit = new Promise((done) =>
      this.#child.once('close', () => {
        this.#ended = true;
        for (const [id, answer] of this.#waiting) answer({ id, error: `the program ended: ${this.#log}` });
        done();
      }),
    );
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#log = (this.#log + text).slice(-KEPT_LOG);
    });
    this.#child.stdin.on('error', () => {});
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#take(line));
    context.after(() => this.stop());
  }

  /** What the program said about itself. */
  get log(): string {
    return this.#log;
  }

  /** Tells the program to do something. Rejects with NeighbourError when it cannot, or does not answer. */
  async call<T = unknown>(command: string, options: object = {}): Promise<T> {
    if (this.#ended) throw new NeighbourError(`the program ended: ${this.#log}`);
    const id = ++this.#commands;
    const answer = new Promise<Answer>((resolve) => this.#waiting.set(id, resolve));
    this.#child.stdin.write(`${JSON.stringify({ id, do: command, with: options })}\n`);
    const { error, result } = await within(answer, ANSWER_MS, command);
    this.#waiting.delete(id);
    if (error !== undefined) throw new NeighbourError(`${command}: ${error}`);
    return result as T;
  }

  /** The first event, so far or to come, of this name that `wanted` takes. */
  async event<T>(name: string, wanted: (value: T) => boolean, what: string, timeoutMs = 30_000): Promise<T> {
    const found = await waitFor(
      () => this.events.find((event) => event.event === name && wanted(event.value as T)),
      { what, timeoutMs },
    );
    return found.value as T;
  }

  /** Ends the program at once. */
  async stop(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exit;
  }

  #take(line: string): void {
    const said = JSON.parse(line) as NeighbourEvent | Answer;
    if ('event' in said) {
      this.events.push(said);
      this.#onEvent();
    } else this.#waiting.get(said.id)?.(said);
  }
}
