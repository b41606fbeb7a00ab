/** One node of the development network: a server in a process of its own. */

import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { monotonic } from '../../shared/clock.js';
import { goneWithin } from '../../shared/ipc/ending.js';
import { spawnNode } from '../../shared/ipc/node-command.js';

const CLI = fileURLToPath(new URL('../cli/index.js', import.meta.url));
/** Lines kept to tell why a node ended. */
const KEPT_LINES = 10;

export interface NodeProcessOptions {
  readonly name: string;
  /** `key=value` each. */
  readonly settings: readonly string[];
  /** Lines of its standard output: pino's. */
  readonly onLine: (line: string) => void;
  /** Lines of its standard error. */
  readonly onError: (line: string) => void;
  /** Ended without being told to. */
  readonly onDeath: (why: string) => void;
}

export class NodeProcess {
  readonly #options: NodeProcessOptions;
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  readonly #last: string[] = [];
  #told = false;
  /** Resolves when the server serves; rejects when it ends before. */
  readonly ready: Promise<void>;

  constructor(options: NodeProcessOptions) {
    this.#options = options;
    const args = ['start', ...options.settings.flatMap((setting) => ['--set', setting])];
    const child = spawnNode(CLI, { args, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
    this.#child = child;
    for (const [stream, sink] of [
      [child.stdout, options.onLine],
      [child.stderr, options.onError],
    ] as const) {
      if (stream === null) continue;
      createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY }).on('line', (line) => {
        if (sink === options.onError) this.#keep(line);
        sink(line);
      });
    }
    this.#exited = new Promise((resolve) => child.once('close', () => resolve()));
    this.ready = new Promise((resolve, reject) => {
      child.on('message', (message) => message === 'ready' && resolve());
      child.once('error', reject);
      child.once('exit', (code, signal) => {
        const why = `${options.name} ended with ${signal ?? `exit code ${code}`}`;
        reject(new Error([why, ...this.#last].join('\n')));
        if (!this.#told) options.onDeath(why);
      });
    });
    this.ready.catch(() => {});
  }

  #keep(line: string): void {
    this.#last.push(line);
    if (this.#last.length > KEPT_LINES) this.#last.shift();
  }

  /** Tells it to stop and waits; at `deadline` (monotonic) it is killed. Resolves with whether it went by itself. */
  async stop(deadline: number): Promise<boolean> {
    this.#told = true;
    // Its death has been told.
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) {
      await this.#exited;
      return true;
    }
    if (this.#child.connected) this.#child.send('stop', () => {});
    const byItself = await goneWithin(this.#exited, deadline - monotonic(), () => this.kill());
    return byItself && this.#child.exitCode === 0;
  }

  kill(): void {
    this.#told = true;
    this.#child.kill('SIGKILL');
  }

  get name(): string {
    return this.#options.name;
  }
}
