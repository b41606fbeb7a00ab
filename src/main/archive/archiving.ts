/** Sees to it that sealed segments of the journal are archived: a process is begun where there is something to do, and ends when it is done. */

import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Archiver } from '../../shared/archive/archiver.js';
import type { ArchiverConfig, ArchiverReport } from '../../shared/archive/control.js';
import { Repeating } from '../../shared/async/repeat.js';
import { errorMessage } from '../../shared/errors.js';
import type { CursorsOf } from '../../shared/firehose/cursor-schemes.js';
import type { DependencyHealth } from '../../shared/health.js';
import { spawnNode } from '../../shared/ipc/node-command.js';
import { isMissing } from '../../shared/journal/errors.js';
import { unblockSocket } from '../../shared/logging/log-sink.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { ArchiveMetrics } from './metrics.js';

const PROGRAM = fileURLToPath(new URL('../../workers/archiver.js', import.meta.url));
const EVERY_MS = 60_000;
/** A start has better things to do. */
const FIRST_MS = 5000;
/** Without a word from the process, which says something with every few hundred KiB. */
const SILENCE_MS = 300_000;
/** It holds one read of the journal and one chunk of a file at a time. */
const HEAP_MB = 128;

export interface ArchivingComponents {
  readonly logger: Logger;
  readonly metrics: ArchiveMetrics;
}

export interface ArchivingOptions {
  /** Of the journal, absolute, asked at each look. */
  readonly directory: () => string;
  /** Whose journal it is. */
  readonly cursors: CursorsOf;
  readonly logLevel: string;
  /** `clientName`, for the process's log lines. */
  readonly node?: string;
  /**
   * Milliseconds from one look to the next.
   * @default 60_000
   */
  readonly everyMs?: number;
}

export class Archiving {
  readonly #components: ArchivingComponents;
  readonly #options: ArchivingOptions;
  readonly #rounds: Repeating;
  #logLevel: string;
  #child: ChildProcess | undefined;
  /** Why the last round failed. */
  #failure: string | undefined;
  #stopped = false;

  constructor(components: ArchivingComponents, options: ArchivingOptions) {
    const { logLevel, everyMs = EVERY_MS } = options;
    this.#components = components;
    this.#options = options;
    this.#logLevel = logLevel;
    this.#rounds = new Repeating(() => this.#round(), { everyMs, onError: (error) => this.#failed(error) });
  }

  start(): void {
    const { everyMs = EVERY_MS } = this.#options;
    this.#rounds.start(Math.min(FIRST_MS, everyMs));
  }

  /** Ends the process, if one is at work: what it was at is begun anew by the next. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#child?.kill('SIGKILL');
    await this.#rounds.stop();
  }

  setLevel(logLevel: string): void {
    this.#logLevel = logLevel;
  }

  /** Always 200: what cannot be archived harms nothing else. */
  async health(): Promise<DependencyHealth> {
    const resource = 'archive';
    return this.#failure === undefined
      ? { resource, status: 200, message: 'sealed segments of the journal are archived' }
      : { resource, status: 200, message: `segments are not archived, all else goes on: ${this.#failure}` };
  }

  async #round(): Promise<void> {
    if (this.#stopped || !this.#isDue()) return;
    await this.#work();
    if (this.#failure === undefined) return;
    this.#failure = undefined;
    this.#components.logger.info('segments are archived again');
  }

  #isDue(): boolean {
    try {
      return new Archiver({ directory: this.#options.directory(), by: process.pid }).due().length > 0;
    } catch (error) {
      // Nobody has made the journal yet.
      if (isMissing(error)) return false;
      throw error;
    }
  }

  #failed(error: unknown): void {
    if (this.#stopped) return;
    const { logger, metrics } = this.#components;
    metrics.failures.inc();
    if (this.#failure === undefined)
      logger.warn({ reason: errorMessage(error) }, 'segments of the journal are not archived');
    this.#failure = errorMessage(error);
  }

  /** Resolves when the process has done everything. Rejects with why it did not. */
  #work(): Promise<void> {
    const { node = '', directory, cursors } = this.#options;
    const child = spawnNode(PROGRAM, {
      args: [node],
      heapMb: HEAP_MB,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    unblockSocket();
    this.#child = child;
    return new Promise((resolve, reject) => {
      let end = 'it ended before it was done';
      let isDone = false;
      const silence = setTimeout(() => {
        end = 'it hung and was killed';
        child.kill('SIGKILL');
      }, SILENCE_MS);
      const over = (error?: Error): void => {
        unblockSocket();
        clearTimeout(silence);
        this.#child = undefined;
        if (isDone) resolve();
        else reject(error ?? new Error(end));
      };
      child.on('message', (report: ArchiverReport) => {
        silence.refresh();
        if (report.type === 'done') isDone = true;
        if (report.type === 'failed') end = report.reason;
      });
      child.on('error', (error) => {
        // There is no process that could exit.
        if (child.pid === undefined) over(error);
      });
      child.on('exit', () => over());
      const config: ArchiverConfig = { directory: directory(), cursors, logLevel: this.#logLevel };
      // The callback takes the error of a process that is ending.
      child.send(config, () => {});
    });
  }
}
