/** The checker threads. A batch always comes back, whatever its messages do to the thread that opens them. */

import { setTimeout as delay } from 'node:timers/promises';
import type { Piscina } from 'piscina';
import { AbortedError, errorMessage, UnavailableError } from '../../shared/errors.js';
import { Supervisor } from '../../shared/ipc/supervisor.js';
import { watchTask } from '../../shared/ipc/task-watch.js';
import type { Logger } from '../../shared/logging/logger.js';
import { outcomeIndex } from '../../shared/messages/outcomes.js';
import { refusedMessage } from '../../shared/pipeline/check.js';
import { encodeCheckedBatch, MICROS_MAX, sliceCheckedBatch } from '../../shared/pipeline/checked-batch.js';
import { encodeRawBatch } from '../../shared/pipeline/raw-batch.js';
import type { RawMessage } from '../../shared/pipeline/types.js';
import type { CheckerConfig, CheckTask } from '../../shared/pipeline/worker-config.js';
import type { PipelineMetrics } from './metrics.js';
import { RESPAWN } from './respawn.js';
import { createPool, endPool, hasAnswered, readyAt } from './worker-pool.js';

export interface CheckerPoolOptions {
  readonly config: CheckerConfig;
  readonly threads: number;
  /**
   * Ms until a thread that does not answer counts as hung and is ended.
   * @default 10_000
   */
  readonly taskTimeoutMs?: number;
  /**
   * Ms until a thread that has not loaded counts as hung.
   * @default 60_000
   */
  readonly birthTimeoutMs?: number;
  /** The worker's file; a test may wrap it. */
  readonly file?: URL;
}

const CHECKER_FILE = new URL('../../workers/checker.js', import.meta.url);
const TASK_TIMEOUT_MS = 10_000;

export class CheckerPool {
  readonly #logger: Logger;
  readonly #metrics: PipelineMetrics;
  readonly #options: CheckerPoolOptions;
  readonly #supervisor: Supervisor;
  #pool: Piscina | undefined;
  /** Counts pools: who lost a task to a rebuild was not its cause. */
  #generation = 0;

  constructor(
    { logger, metrics }: { readonly logger: Logger; readonly metrics: PipelineMetrics },
    options: CheckerPoolOptions,
  ) {
    this.#logger = logger;
    this.#metrics = metrics;
    this.#options = options;
    this.#supervisor = new Supervisor(
      {
        begin: () => this.#build(),
        end: () => this.#endLast(),
        onEnd: () => {
          this.#generation += 1;
          if (this.failed !== undefined) logger.error(this.failed);
        },
      },
      RESPAWN,
    );
  }

  /** Why the pool cannot respawn, for liveness; undefined while it can. */
  get failed(): string | undefined {
    const { failed } = this.#supervisor;
    return failed === undefined ? undefined : `checkers do not respawn: ${failed}`;
  }

  /** Threads that run now. */
  get threads(): number {
    return this.#pool?.threads.length ?? 0;
  }

  /** Resolves when a thread answers. Rejects when the worker cannot start, with UnavailableError when it takes too long. */
  async start(): Promise<void> {
    this.#build();
    await this.#run([], 0);
  }

  /**
   * Verifies and checks `messages`; answers as many checked ones, in their order. A message that kills its thread alone is
   * `poisonous`. Rejects with AbortedError after `stop` alone.
   */
  async check(messages: readonly RawMessage[], tipBits: number): Promise<readonly Buffer[]> {
    if (this.#supervisor.replacing !== undefined) await this.#supervisor.replacing;
    try {
      return await this.#run(messages, tipBits);
    } catch (error) {
      this.#refuseStopped();
      this.#logger.warn(
        { err: error, messages: messages.length },
        'a checker lost a batch; its messages are checked one by one',
      );
    }
    const alone: Buffer[] = [];
    for (const message of messages) alone.push(...(await this.#checkAlone(message, tipBits)));
    return alone;
  }

  async stop(): Promise<void> {
    await this.#supervisor.stop();
    await this.#endLast();
  }

  async #checkAlone(message: RawMessage, tipBits: number): Promise<Buffer[]> {
    for (;;) {
      await this.#answering();
      const generation = this.#generation;
      try {
        return await this.#run([message], tipBits);
      } catch (error) {
        this.#refuseStopped();
        // The rebuild, if that is what ended the task, has been noticed by now: threads die in a turn of their own.
        await delay(0);
        if (generation !== this.#generation || this.#supervisor.replacing !== undefined) continue;
        this.#logger.error({ err: error, author: message.author, kind: message.kind }, 'poisonous message');
        const refused = refusedMessage(outcomeIndex('poisonous'), message);
        return sliceCheckedBatch(encodeCheckedBatch([refused], [MICROS_MAX]));
      }
    }
  }

  async #run(messages: readonly RawMessage[], tipBits: number): Promise<Buffer[]> {
    const pool = this.#pool;
    if (pool === undefined) {
      this.#refuseStopped();
      throw new UnavailableError('the checkers are being replaced');
    }
    const batch = encodeRawBatch(messages);
    const task: CheckTask = { batch, tipBits };
    const timeout = new AbortController();
    const { taskTimeoutMs: taskMs = TASK_TIMEOUT_MS, birthTimeoutMs: birthMs } = this.#options;
    const answered = watchTask(
      () => readyAt(pool),
      { taskMs, birthMs },
      (why) => timeout.abort(new UnavailableError(`the checkers were given up: ${why}`)),
    );
    try {
      const checked = (await pool.run(task, {
        transferList: [batch],
        signal: timeout.signal,
      })) as ArrayBuffer;
      hasAnswered(pool);
      this.#supervisor.serves();
      return sliceCheckedBatch(checked);
    } catch (error) {
      throw timeout.signal.aborted ? timeout.signal.reason : error;
    } finally {
      answered();
    }
  }

  /** Resolves when a thread answers an empty batch, however often the pool must be built anew. */
  async #answering(): Promise<void> {
    for (;;) {
      this.#refuseStopped();
      await this.#supervisor.replacing;
      try {
        await this.#run([], 0);
        return;
      } catch (error) {
        this.#refuseStopped();
        this.#rebuild(errorMessage(error));
      }
    }
  }

  #build(): void {
    this.#generation += 1;
    const generation = this.#generation;
    const { config, threads, file = CHECKER_FILE } = this.#options;
    const onDeath = () => {
      if (this.#supervisor.stopped || generation !== this.#generation) return;
      this.#metrics.workerDeaths.inc({ pool: 'checker' });
      // Piscina replaces the thread in this same turn, unless it has given up.
      setImmediate(() => this.#replaceMissing(generation));
    };
    const options = {
      name: 'checker',
      file,
      threads,
      workerData: config,
      concurrentTasks: 1,
      maxOldSpaceMb: config.settings.p2p_heap_checker,
      onDeath,
    };
    this.#pool = createPool(options, this.#logger);
  }

  #replaceMissing(generation: number): void {
    if (this.#supervisor.stopped || generation !== this.#generation) return;
    if (this.threads < this.#options.threads) this.#rebuild('threads were not replaced');
  }

  /** Nothing happens where that is under way. */
  #rebuild(reason: string): void {
    this.#supervisor.ended(reason);
  }

  async #endLast(): Promise<void> {
    const last = this.#pool;
    this.#pool = undefined;
    if (last !== undefined) await endPool(last);
  }

  #refuseStopped(): void {
    if (this.#supervisor.stopped) throw new AbortedError('the checkers are stopped');
  }
}
