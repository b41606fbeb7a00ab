/** A server in a process of its own of which everything can be killed. */

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Settings } from '../../../src/shared/settings/table.js';
import { waitFor, within } from '../wait.js';

const PROGRAM = fileURLToPath(new URL('../programs/mortal-server.js', import.meta.url));
const KEPT_LINES = 60;

export const VICTIMS = ['publisher', 'checkers', 'notification server', 'checker'] as const;
export type Victim = (typeof VICTIMS)[number];

export interface Ready {
  /** Base58. */
  readonly peerId: string;
  readonly p2p: number;
  readonly http: number;
  readonly metrics: number;
}

type Asked =
  | { readonly op: 'kill'; readonly victim: Victim; readonly nth: number }
  | { readonly op: 'meshed'; readonly peer: string; readonly topics: readonly string[] }
  | { readonly op: 'stop' };
export type Order = Asked & { readonly id: number };
export type Report = { readonly ready: Ready } | { readonly id: number; readonly result: number | boolean };

export class MortalServer {
  readonly #child: ChildProcess;
  readonly #exit: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  readonly #answers = new Map<number, (result: number | boolean) => void>();
  readonly #lines: string[] = [];
  #orders = 0;
  #ready: Ready | undefined;
  #gone = false;

  /** Starts it; killed when the test ends. */
  constructor(context: Pick<TestContext, 'after'>, settings: Settings) {
    const child = spawn(process.execPath, [PROGRAM, JSON.stringify(settings)], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: { ...process.env, NODE_TEST_CONTEXT: '' },
    });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#lines.push(...text.split('\n').filter((line) => line !== ''));
        this.#lines.splice(0, this.#lines.length - KEPT_LINES);
      });
    }
    child.on('message', (report: Report) => {
      if ('ready' in report) this.#ready = report.ready;
      else this.#answers.get(report.id)?.(report.result);
    });
    this.#exit = new Promise((resolve) =>
      child.once('exit', (code, signal) => {
        this.#gone = true;
        resolve({ code, signal });
      }),
    );
    context.after(() => this.kill());
  }

  /** The last lines that it wrote. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  async ready(): Promise<Ready> {
    const found = await waitFor(() => this.#ready ?? (this.#gone ? 'ended' : undefined), {
      what: 'a server that is ready',
      timeoutMs: 90_000,
    });
    if (found === 'ended') throw new Error(`the server ended:\n${this.#lines.join('\n')}`);
    return found;
  }

  async ask(asked: Asked): Promise<number | boolean> {
    const id = ++this.#orders;
    const answer = new Promise<number | boolean>((resolve) => this.#answers.set(id, resolve));
    const order: Order = { ...asked, id };
    this.#child.send(order, () => {});
    return within(answer, 30_000, `an answer to ${asked.op}`);
  }

  async scrape(): Promise<string> {
    return (await fetch(`http://127.0.0.1:${this.#ready?.metrics}/metrics`)).text();
  }

  /** SIGKILL of the process. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exit;
  }

  /** Ends it in order. Fails where it does not. */
  async stop(): Promise<void> {
    this.#child.send({ id: 0, op: 'stop' } satisfies Order, () => {});
    const end = await within(this.#exit, 60_000, 'a stop');
    assert.deepEqual(end, { code: 0, signal: null }, this.#lines.join('\n'));
  }
}
