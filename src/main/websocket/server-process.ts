/**
 * One notification server's process, kept alive: started again with backoff whenever it ends unasked, and ended when it no
 * longer answers.
 */

import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import pTimeout from 'p-timeout';
import { AbortedError, ConfigurationError } from '../../shared/errors.js';
import type {
  NotificationServerConfig,
  NotificationServerOrder,
  NotificationServerReport,
  PlaceAnswer,
} from '../../shared/feed/control.js';
import { Correlator } from '../../shared/ipc/correlator.js';
import { goneWithin } from '../../shared/ipc/ending.js';
import { spawnNode } from '../../shared/ipc/node-command.js';
import { Supervisor, type SupervisorOptions } from '../../shared/ipc/supervisor.js';
import { unblockSocket } from '../../shared/logging/log-sink.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { Visitor } from '../../shared/net/connection-ledger.js';

const RESTART: SupervisorOptions = { backoff: { firstMs: 100, maxMs: 10_000 }, steadyMs: 30_000 };
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
  /** One answer each. */
  readonly admit: (visitors: readonly Visitor[]) => readonly PlaceAnswer[];
  readonly release: (visitors: readonly Visitor[]) => void;
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
  /**
   * Milliseconds between two beats, ten of which may go unanswered.
   * @default 1_000
   */
  readonly beatMs?: number;
}

export class ServerProcess {
  #child: ChildProcess | undefined;
  readonly #supervisor: Supervisor;
  #serving = false;
  /** How the last one ended, for the log. */
  #end: object = {};
  readonly #metrics = new Correlator<readonly object[]>();
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
    this.#supervisor = new Supervisor(
      {
        begin: () => {
          components.restarted();
          this.#spawn();
          this.#configure();
        },
        onEnd: ({ retryInMs: retryMs }) =>
          components.logger.error({ ...this.#end, retryMs }, 'notification server ended, starting another'),
      },
      RESTART,
    );
  }

  get serving(): boolean {
    return this.#serving;
  }

  /** Undefined between two lives. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Lets the process load, which takes longest; `start` tells it what to serve. */
  prepare(): void {
    if (!this.#supervisor.stopped) this.#spawn();
  }

  /**
   * Resolves with the package that serves once it listens, or with undefined when it is not needed. Rejects with
   * ConfigurationError when the first start cannot serve; from then on it is restarted for ever.
   */
  async start(): Promise<string | undefined> {
    if (this.#child === undefined && !this.#supervisor.stopped) this.#spawn();
    this.#configure();
    return pTimeout(this.#first, {
      milliseconds: READY_TIMEOUT_MS,
      message: `a notification server did not listen within ${READY_TIMEOUT_MS} ms`,
    });
  }

  send(order: NotificationServerOrder): void {
    const child = this.#child;
    // The callback takes the error of a process that is ending; its exit is handled where it is heard.
    if (child?.connected) child.send(order, () => {});
  }

  /** prom-client's JSON; empty when it does not answer within a second. */
  async metrics(): Promise<readonly object[]> {
    if (!this.serving) return [];
    return this.#metrics
      .ask((id) => this.send({ type: 'metrics', id }), { timeoutMs: METRICS_TIMEOUT_MS })
      .catch(() => []);
  }

  /** From now on no process is started in place of one that ends. */
  retire(): void {
    void this.#supervisor.stop();
    this.#rejectFirst(new AbortedError('the notification server was stopped before it listened'));
  }

  /** Resolves when the process is gone: by itself, or killed after 3 s. `elsewhere`: another server takes over. */
  async stop(elsewhere = false): Promise<void> {
    this.retire();
    const child = this.#child;
    if (child === undefined) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    this.send({ type: 'stop', elsewhere });
    await goneWithin(gone, STOP_TIMEOUT_MS, () => child.kill('SIGKILL'));
  }

  #spawn(): void {
    const { logger } = this.components;
    const { node = '', heapMb } = this.options;
    const child = spawnNode(PROGRAM, {
      args: [node],
      heapMb,
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
        this.#serving = true;
        this.#supervisor.serves();
        this.#everReady = true;
        this.#resolveFirst(report.build);
        changed({ ended: false });
        break;
      case 'unneeded':
        void this.#supervisor.stop();
        this.#resolveFirst(undefined);
        break;
      case 'failed':
        this.#rejectFirst(new ConfigurationError(report.problems));
        break;
      case 'admit': {
        const places = admit(report.requests.map(([, address, token]) => [address, token]));
        const answers = report.requests.map(
          ([id], index) => [id, places[index] ?? 'too_many_connections'] as const,
        );
        this.send({ type: 'admitted', answers });
        break;
      }
      case 'release':
        release(report.visitors);
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
        this.#metrics.answer(report.id, report.metrics);
        break;
    }
  }

  #ended(why: object): void {
    this.#end = why;
    this.#child = undefined;
    this.#serving = false;
    this.streaming = false;
    this.crowded = false;
    const told = JSON.stringify(why);
    this.#metrics.refuseAll(new Error(`the notification server ended: ${told}`));
    this.components.changed({ ended: true });
    this.#rejectFirst(new Error(`a notification server ended before it listened: ${told}`));
    if (this.#everReady) this.#supervisor.ended(told);
  }
}
