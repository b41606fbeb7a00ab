/**
 * One notification server's process, kept alive: started again with backoff whenever it ends unasked, and ended when it no
 * longer answers.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { monotonic } from '../../shared/clock.js';
import { AbortedError, ConfigurationError } from '../../shared/errors.js';
import type {
  NotificationServerConfig,
  NotificationServerOrder,
  NotificationServerReport,
} from '../../shared/feed/control.js';
import { nodeCommand } from '../../shared/ipc/node-command.js';
import { unblockSocket } from '../../shared/logging/log-sink.js';
import type { Logger } from '../../shared/logging/logger.js';

const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 10_000;
/** Served this long, the next failure is a first one again. */
const STEADY_MS = 30_000;
/** Loading and listening take some 0.3 s on an idle machine. */
const READY_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 3000;
const BEAT_MS = 1000;
/**
 * Beats without a word, after which a process that serves hangs, and one that has yet to load. Beats are counted, not time:
 * after a stall of main's own, or a suspended machine, one more is unanswered and not ten.
 */
const BEATS_SERVING = 10;
const BEATS_STARTING = 30;
const METRICS_TIMEOUT_MS = 1000;

const PROGRAM = fileURLToPath(new URL('../../workers/websocket-server.js', import.meta.url));

export interface ServerProcessComponents {
  readonly logger: Logger;
  /** Made anew for each start: level and status change. */
  readonly config: () => NotificationServerConfig;
  /** One answer an address. */
  readonly admit: (addresses: readonly string[]) => readonly boolean[];
  readonly release: (addresses: readonly string[]) => void;
  /** It began or ceased to serve; `ended` when the process is gone and what it held with it. */
  readonly changed: (change: { readonly ended: boolean }) => void;
  readonly restarted: () => void;
  /** The newest own `node_status`, which the next start's config is to hold. */
  readonly greeting: (json: string) => void;
  /** It did not answer and is about to be killed. */
  readonly hung: () => void;
}

export interface ServerProcessOptions {
  /** `clientName`, for its log lines. */
  readonly node?: string;
  /** `p2p_heap_notification_server`; Node's own limit where absent. */
  readonly heapMb?: number;
  /** Milliseconds between two beats, ten of which may go unanswered; 1,000 unless told. */
  readonly beatMs?: number;
}

export class ServerProcess {
  #child: ChildProcess | undefined;
  #stopping = false;
  #retryMs = FIRST_RETRY_MS;
  #timer: NodeJS.Timeout | undefined;
  #servingSince = 0;
  #lastMetricsId = 0;
  readonly #metricsWaiting = new Map<number, (metrics: readonly object[]) => void>();
  /** Settled by the first start. */
  readonly #first: Promise<string | undefined>;
  #resolveFirst: (build: string | undefined) => void = () => {};
  #rejectFirst: (error: Error) => void = () => {};
  #everReady = false;
  #unanswered = 0;
  streaming = false;
  /** Clients are refused for want of open files. */
  crowded = false;

  constructor(
    private readonly components: ServerProcessComponents,
    private readonly options: ServerProcessOptions = {},
  ) {
    this.#first = new Promise((resolve, reject) => {
      this.#resolveFirst = resolve;
      this.#rejectFirst = reject;
    });
    // Looked at by `start`, which may come after it failed.
    this.#first.catch(() => {});
  }

  get serving(): boolean {
    return this.#servingSince > 0;
  }

  /** Undefined between two lives. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Lets the process load, which takes longest; `start` tells it what to serve. */
  prepare(): void {
    if (!this.#stopping) this.#spawn();
  }

  /**
   * Resolves with the package that serves once it listens, or with undefined when it is not needed. Rejects with
   * ConfigurationError when the first start cannot serve; from then on it is restarted for ever.
   */
  async start(): Promise<string | undefined> {
    const timer = setTimeout(() => {
      this.#rejectFirst(new Error(`a notification server did not listen within ${READY_TIMEOUT_MS} ms`));
    }, READY_TIMEOUT_MS);
    if (this.#child === undefined && !this.#stopping) this.#spawn();
    this.#configure();
    try {
      return await this.#first;
    } finally {
      clearTimeout(timer);
    }
  }

  send(order: NotificationServerOrder): void {
    const child = this.#child;
    // The callback takes the error of a process that is ending; its exit is handled where it is heard.
    if (child?.connected) child.send(order, () => {});
  }

  /** prom-client's JSON; empty when it does not answer within a second. */
  async metrics(): Promise<readonly object[]> {
    if (!this.serving) return [];
    const id = ++this.#lastMetricsId;
    let timer: NodeJS.Timeout | undefined;
    const answer = new Promise<readonly object[]>((resolve) => {
      this.#metricsWaiting.set(id, resolve);
      timer = setTimeout(() => resolve([]), METRICS_TIMEOUT_MS);
    });
    this.send({ type: 'metrics', id });
    try {
      return await answer;
    } finally {
      clearTimeout(timer);
      this.#metricsWaiting.delete(id);
    }
  }

  /** From now on no process is started in place of one that ends. */
  retire(): void {
    this.#stopping = true;
    clearTimeout(this.#timer);
    this.#rejectFirst(new AbortedError('the notification server was stopped before it listened'));
  }

  /** Resolves when the process is gone: by itself, or killed after 3 s. `elsewhere`: another server takes over. */
  async stop(elsewhere = false): Promise<void> {
    this.retire();
    const child = this.#child;
    if (child === undefined) return;
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    this.send({ type: 'stop', elsewhere });
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await gone;
    clearTimeout(timer);
  }

  #spawn(): void {
    const { logger } = this.components;
    const { node = '', heapMb } = this.options;
    const [command, ...leading] = nodeCommand();
    const limits = heapMb === undefined ? [] : [`--max-old-space-size=${heapMb}`];
    const child = spawn(command, [...leading, ...limits, PROGRAM, node], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    unblockSocket();
    this.#child = child;
    child.on('message', (message) => {
      this.#unanswered = 0;
      this.#hear(message as NotificationServerReport);
    });
    this.#unanswered = 0;
    const beat = setInterval(() => this.#beat(child), this.options.beatMs ?? BEAT_MS);
    let over = false;
    const ended = (why: object) => {
      if (over) return;
      over = true;
      clearInterval(beat);
      this.#ended(why);
    };
    child.on('error', (error) => {
      logger.error({ err: error }, 'notification server process failed');
      if (child.pid === undefined) ended({ err: error });
    });
    child.on('exit', (code, signal) => {
      unblockSocket();
      ended({ code, signal });
    });
  }

  #configure(): void {
    this.send({ type: 'config', config: this.components.config() });
  }

  /** An event loop that stands still ends by itself no more than it answers: it is killed, and its end starts another. */
  #beat(child: ChildProcess): void {
    const { logger, hung } = this.components;
    const bound = this.serving ? BEATS_SERVING : BEATS_STARTING;
    if (this.#unanswered === bound) {
      logger.error({ pid: child.pid, beats: bound }, 'notification server hangs, killing it');
      hung();
      child.kill('SIGKILL');
    }
    this.#unanswered++;
    if (this.#unanswered <= bound) this.send({ type: 'beat' });
  }

  #hear(report: NotificationServerReport): void {
    const { admit, release, changed } = this.components;
    switch (report.type) {
      case 'ready':
        this.#servingSince = monotonic();
        this.#everReady = true;
        this.#resolveFirst(report.build);
        changed({ ended: false });
        break;
      case 'unneeded':
        this.#stopping = true;
        this.#resolveFirst(undefined);
        break;
      case 'failed':
        this.#rejectFirst(new ConfigurationError(report.problems));
        break;
      case 'admit': {
        const granted = admit(report.requests.map(([, address]) => address));
        const answers = report.requests.map(([id], index) => [id, granted[index] === true] as const);
        this.send({ type: 'admitted', answers });
        break;
      }
      case 'release':
        release(report.addresses);
        break;
      case 'streaming':
        this.streaming = report.connected;
        break;
      case 'crowded':
        this.crowded = report.crowded;
        break;
      case 'alive':
        break;
      case 'greeting':
        this.components.greeting(report.json);
        break;
      case 'metrics':
        this.#metricsWaiting.get(report.id)?.(report.metrics);
        break;
    }
  }

  #ended(why: object): void {
    const { logger, changed, restarted } = this.components;
    if (this.#servingSince > 0 && monotonic() - this.#servingSince > STEADY_MS)
      this.#retryMs = FIRST_RETRY_MS;
    this.#child = undefined;
    this.#servingSince = 0;
    this.streaming = false;
    this.crowded = false;
    for (const resolve of this.#metricsWaiting.values()) resolve([]);
    changed({ ended: true });
    this.#rejectFirst(new Error(`a notification server ended before it listened: ${JSON.stringify(why)}`));
    if (this.#stopping || !this.#everReady) return;
    logger.error({ ...why, retryMs: this.#retryMs }, 'notification server ended, starting another');
    this.#timer = setTimeout(() => {
      restarted();
      this.#spawn();
      this.#configure();
    }, this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, LAST_RETRY_MS);
  }
}
