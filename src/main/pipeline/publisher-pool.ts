/**
 * The one publisher thread. Batches are answered in the order in which they were given. When the thread dies, another
 * takes its place, starting from the journal, and is given every unanswered batch again, in order, marked as a retry.
 */

import { randomInt } from 'node:crypto';
import { AbortedError, errorMessage, UnavailableError } from '../../shared/errors.js';
import { goneWithin } from '../../shared/ipc/ending.js';
import { type SupervisedEnd, Supervisor } from '../../shared/ipc/supervisor.js';
import { TaskThread } from '../../shared/ipc/task-thread.js';
import { watchTask } from '../../shared/ipc/task-watch.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { PublishedBatch } from '../../shared/pipeline/types.js';
import type { PublisherConfig, PublisherTask, PublisherTasks } from '../../shared/pipeline/worker-config.js';
import type { TracedMessage } from '../../shared/tracing/types.js';
import type { PipelineMetrics } from './metrics.js';
import { RESPAWN } from './respawn.js';

export interface PublisherPoolOptions {
  readonly config: PublisherConfig;
  /**
   * Ms until a publisher that does not answer a batch counts as hung and is ended. Until its first answer it has 60,000 at least.
   * @default 30_000
   */
  readonly taskTimeoutMs?: number;
  /**
   * Ms until a publisher's thread that was told to end, and has not, ends this process.
   * @default 30_000
   */
  readonly endTimeoutMs?: number;
  /** Ends this process. */
  readonly exit?: (code: number) => void;
  /** The worker's file; a test may have another. */
  readonly file?: URL;
}

interface Unanswered {
  readonly batch: ArrayBuffer;
  /** By which the journal knows it again. */
  readonly id: number;
  readonly traced: readonly TracedMessage[] | undefined;
  readonly resolve: (published: PublishedBatch) => void;
  readonly reject: (error: Error) => void;
  retry: boolean;
}

const PUBLISHER_FILE = new URL('../../workers/publisher.js', import.meta.url);
const TASK_TIMEOUT_MS = 30_000;
const END_TIMEOUT_MS = 30_000;

export class PublisherPool {
  readonly #logger: Logger;
  readonly #metrics: PipelineMetrics;
  readonly #options: PublisherPoolOptions;
  readonly #supervisor: Supervisor;
  readonly #unanswered = new Set<Unanswered>();
  #thread: TaskThread | undefined;
  /** Ids of batches begin anywhere: those of earlier runs are in the journal. */
  #nextId = randomInt(2 ** 47);
  /** Told to close: its end is no death. */
  #closing = false;
  #instance = 0;
  /** As last told: whoever takes the publisher's place is born with it. */
  #level: string;

  constructor(
    { logger, metrics }: { readonly logger: Logger; readonly metrics: PipelineMetrics },
    options: PublisherPoolOptions,
  ) {
    this.#logger = logger;
    this.#metrics = metrics;
    this.#options = options;
    this.#level = options.config.logLevel;
    this.#supervisor = new Supervisor(
      {
        begin: () => this.#build(),
        end: () => this.#endDead(),
        onEnd: (end) => this.#lost(end),
        // In the turn in which it may be asked again, so that no new batch overtakes those that wait.
        onReplaced: () => {
          for (const entry of this.#unanswered) this.#send(entry);
        },
      },
      RESPAWN,
    );
  }

  /** Why the publisher cannot respawn, for liveness; undefined while it can. */
  get failed(): string | undefined {
    const { failed } = this.#supervisor;
    return failed === undefined ? undefined : `the publisher does not respawn: ${failed}`;
  }

  /** Another number for each thread that took the publisher's place. */
  get instance(): number {
    return this.#instance;
  }

  /** Resolves when the publisher answers. Rejects when it cannot start. */
  async start(): Promise<void> {
    this.#build();
    await this.ask('level', { level: this.#level });
  }

  /** Also of those that take its place. Rejects with UnavailableError while it is being replaced, and then they have it. */
  async setLevel(level: string): Promise<void> {
    this.#level = level;
    await this.ask('level', { level });
  }

  /**
   * Hands a checked batch on. Resolves when what it holds is safe. Survives the publisher's death; rejects with AbortedError
   * after `stop` alone. `traced`: its messages that are traced.
   */
  publish(batch: ArrayBuffer, traced?: readonly TracedMessage[]): Promise<PublishedBatch> {
    return new Promise((resolve, reject) => {
      if (this.#supervisor.stopped) {
        reject(new AbortedError('the publisher is stopped'));
        return;
      }
      const entry: Unanswered = { batch, id: this.#nextId++, traced, resolve, reject, retry: false };
      this.#unanswered.add(entry);
      if (this.#supervisor.replacing === undefined) this.#send(entry);
    });
  }

  /** Asks the publisher anything but to publish. Rejects with UnavailableError while it is being replaced. */
  async ask<K extends Exclude<keyof PublisherTasks, 'publish'>>(
    op: K,
    request: PublisherTasks[K]['request'],
  ): Promise<PublisherTasks[K]['response']> {
    const thread = this.#thread;
    if (thread === undefined || this.#supervisor.replacing !== undefined) {
      throw new UnavailableError('the publisher is being replaced');
    }
    if (op === 'close') this.#closing = true;
    return (await thread.run({ op, ...request } as PublisherTask)) as PublisherTasks[K]['response'];
  }

  /** Ends the thread. What it had not answered is rejected; the journal keeps what it had taken. */
  async stop(): Promise<void> {
    await this.#supervisor.stop();
    await this.#thread?.destroy();
    this.#thread = undefined;
    for (const entry of this.#unanswered) entry.reject(new AbortedError('the publisher is stopped'));
    this.#unanswered.clear();
  }

  #send(entry: Unanswered): void {
    const thread = this.#thread;
    if (thread === undefined) return;
    const { taskTimeoutMs: taskMs = TASK_TIMEOUT_MS } = this.#options;
    const answered = watchTask(
      () => thread.readyAt,
      { taskMs },
      (why) => {
        if (thread === this.#thread) this.#replace(`it hangs: ${why}`);
      },
    );
    // Not transferred: the batch is needed again if this publisher dies.
    const { batch, id, retry, traced } = entry;
    const task: PublisherTask = { op: 'publish', batch, id, retry, ...(traced && { traced }) };
    thread
      .run(task)
      .then((published) => {
        this.#supervisor.serves();
        this.#unanswered.delete(entry);
        entry.resolve(published as PublishedBatch);
      })
      .catch((error: unknown) => {
        if (thread === this.#thread) this.#replace(errorMessage(error));
      })
      .finally(answered);
  }

  #build(): void {
    const options = {
      name: 'publisher',
      file: this.#options.file ?? PUBLISHER_FILE,
      workerData: { ...this.#options.config, logLevel: this.#level },
      maxOldSpaceMb: this.#options.config.settings.p2p_heap_publisher,
      onDeath: (reason: string) => {
        if (thread === this.#thread) this.#replace(reason);
      },
    };
    const thread = new TaskThread(options, this.#logger);
    this.#thread = thread;
    this.#instance += 1;
  }

  /** Also reached by a thread that dies idle, so that it is back before it is needed. */
  #replace(reason: string): void {
    if (!this.#closing) this.#supervisor.ended(reason);
  }

  #lost({ why: reason, failures }: SupervisedEnd): void {
    this.#metrics.workerDeaths.inc({ pool: 'publisher' });
    this.#logger.error({ reason, unanswered: this.#unanswered.size, failures }, 'the publisher is replaced');
  }

  /** A thread that does not end may still write. Two that write would damage what was accepted, so nobody does. */
  #stuck(): void {
    this.#logger.fatal(
      'the publisher’s thread does not end, and no other may take its place: this process ends',
    );
    (this.#options.exit ?? ((code) => process.exit(code)))(1);
  }

  /** It must be gone before another opens the journal. */
  async #endDead(): Promise<void> {
    const dead = this.#thread;
    this.#thread = undefined;
    const { endTimeoutMs = END_TIMEOUT_MS } = this.#options;
    if (dead !== undefined) await goneWithin(dead.destroy(), endTimeoutMs, () => this.#stuck());
    for (const entry of this.#unanswered) entry.retry = true;
  }
}
