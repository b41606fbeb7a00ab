/** One broker: a Java process that can be stopped, killed and started again on the same data and ports. */

import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { within } from '../wait.js';
import { findJava, guard, runToEnd } from './java.js';

/** Compiles less and collects simply: what starts fast on a machine with few cores. */
export const FAST_START = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Xshare:auto'] as const;
const HEAP = ['-Xms64m', '-Xmx256m'] as const;
const LOGGING = [
  '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
  '-Dorg.slf4j.simpleLogger.showDateTime=true',
  '-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS',
] as const;
const FORMAT_MS = 60_000;
const STOP_MS = 20_000;
const KEPT_OUTPUT = 64 * 1024;

export interface BrokerProcessOptions {
  readonly classpath: string;
  readonly id: number;
  readonly directory: string;
  readonly properties: string;
}

export class BrokerProcess {
  readonly #options: BrokerProcessOptions;
  #child: ChildProcess | undefined;
  #closed: Promise<void> = Promise.resolve();
  #output = '';

  constructor(options: BrokerProcessOptions) {
    this.#options = options;
  }

  /** The last of what it said, over all its lives. */
  get output(): string {
    return this.#output;
  }

  get directory(): string {
    return this.#options.directory;
  }

  get running(): boolean {
    return this.#child !== undefined;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Makes its storage: once, before the first start. */
  async format(args: readonly string[]): Promise<void> {
    const { code, stdout, stderr } = await runToEnd(
      findJava(),
      [...FAST_START, ...LOGGING, '-cp', this.#options.classpath, 'kafka.tools.StorageTool', ...args],
      FORMAT_MS,
    );
    if (code !== 0) throw new Error(`the storage of a broker cannot be formatted:\n${stdout}${stderr}`);
  }

  /** Launches the process; the cluster says when it answers. */
  launch(): void {
    if (this.#child !== undefined) throw new Error(`broker ${this.#options.id} runs already`);
    const { classpath, directory, properties } = this.#options;
    const child = spawn(
      findJava(),
      [...HEAP, ...FAST_START, ...LOGGING, '-cp', classpath, 'kafka.Kafka', properties],
      { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    const letGo = guard(child, join(directory, '..'));
    this.#child = child;
    const keep = (text: string): void => {
      this.#output = (this.#output + text).slice(-KEPT_OUTPUT);
    };
    child.stdout.setEncoding('utf8').on('data', keep);
    child.stderr.setEncoding('utf8').on('data', keep);
    this.#closed = new Promise((resolve) => {
      child.once('error', (error) => keep(`${error}\n`));
      child.once('close', () => {
        letGo();
        if (this.#child === child) this.#child = undefined;
        resolve();
      });
    });
  }

  /** SIGTERM, and SIGKILL when that takes too long. */
  async stop(): Promise<void> {
    this.#child?.kill('SIGTERM');
    try {
      await within(this.#closed, STOP_MS, 'stopping a broker');
    } catch {
      await this.kill();
    }
  }

  /** SIGKILL: as a crash or a power cut. */
  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL');
    await this.#closed;
  }

  /** SIGSTOP: it neither answers nor closes a connection, as behind a broken network. */
  pause(): void {
    this.#child?.kill('SIGSTOP');
  }

  resume(): void {
    this.#child?.kill('SIGCONT');
  }
}
