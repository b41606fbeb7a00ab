/** The P2P server: its parts, started in order and stopped backwards. */

import { monotonic } from '../../shared/clock.js';
import { AbortedError } from '../../shared/errors.js';
import type { DependencyHealth, HealthCheck, HealthReport } from '../../shared/health.js';
import { Lifecycle } from '../../shared/lifecycle/lifecycle.js';
import type { Logger } from '../../shared/logging/logger.js';
import { type AnnouncedUrls, announcedUrls } from '../announce/urls.js';
import { chainChecks } from '../chain/part.js';
import type { HandOverRequest } from '../control/hand-over.js';
import { HandOver } from '../hand-over/hand-over.js';
import { Tenure } from '../hand-over/tenure.js';
import { HealthServers } from '../health/servers.js';
import { refuseProblems } from '../preflight/settings.js';
import type { ServerDependencies, ServerOptions } from './dependencies.js';
import { closeAll, Foundation } from './foundation.js';
import { createParts, type ServerParts } from './parts.js';
import { RuntimeInfo } from './runtime-info.js';
import { stopParts } from './stop-parts.js';

/** Ports that were bound, also where the settings said 0; undefined for what is off. */
export interface ServerPorts {
  readonly p2p: number | undefined;
  readonly grpc: number | undefined;
  readonly http: number;
  readonly health: number | undefined;
  readonly metrics: number | undefined;
  /** Of further parts, by the names that they give. */
  readonly [name: string]: number | undefined;
}

type State = 'created' | 'initialised' | 'started' | 'stopped';

export class P2PServer {
  readonly #dependencies: ServerDependencies;
  readonly #options: ServerOptions;
  readonly #logger: Logger;
  readonly #urls: AnnouncedUrls;
  readonly #healthServers: HealthServers;
  readonly #handOver: HandOver;
  readonly #runtimeInfo: RuntimeInfo;
  readonly #foundation: Foundation;
  readonly #stopping = new AbortController();
  #parts: ServerParts | undefined;
  #lifecycle: Lifecycle | undefined;
  #state: State = 'created';
  #initialising: Promise<void> | undefined;
  #starting: Promise<void> | undefined;
  #stopped: Promise<void> | undefined;
  #released: Promise<readonly string[]> | undefined;

  /**
   * Checks the settings and builds what can be built without touching network or disk. Throws ConfigurationError with every
   * problem, each naming its setting.
   */
  static create(dependencies: ServerDependencies, options: ServerOptions = {}): P2PServer {
    refuseProblems(dependencies.settings, options.origin);
    return new P2PServer(dependencies, options, announcedUrls(dependencies.settings));
  }

  private constructor(dependencies: ServerDependencies, options: ServerOptions, urls: AnnouncedUrls) {
    this.#dependencies = dependencies;
    this.#options = options;
    this.#urls = urls;
    const { settings, loggers, directory } = dependencies;
    const { p2p_datadir_wait: waitMs, shutdown_timeout: shutdownMs } = settings;
    const logger = loggers.of('server');
    this.#logger = logger;
    this.#healthServers = new HealthServers(dependencies, {
      checks: () => this.#checks(),
      signs: () => this.#lifecycle?.vitals ?? [],
    });
    const tenure = options.tenure ?? new Tenure({ waitMs, version: options.version ?? '' });
    const holder = {
      isStopping: () => this.#state === 'stopped',
      release: () => this.#release(),
      giveUp: () => this.#foundation.giveUp(),
    };
    this.#handOver = new HandOver({ tenure, logger, holder }, { shutdownMs });
    this.#runtimeInfo = new RuntimeInfo(
      { logger: loggers.of('control'), handOver: (request) => this.#handOver.asked(request) },
      { directory: directory.path, askedByFile: waitMs > 0 },
    );
    this.#foundation = new Foundation(
      {
        dependencies,
        tenure,
        runtimeInfo: this.#runtimeInfo,
        healthServers: this.#healthServers,
        logger,
      },
      urls,
      options,
    );
  }

  /**
   * Fixes URLs, takes the lock on `DATADIR`, waiting for it up to `p2p_datadir_wait`, opens its store, answers on the health and metrics ports, loads keys, and
   * builds the parts. Where the node's key may be with the blockchain service, it waits for that until `signal`, then
   * AbortedError. Throws ConfigurationError naming the setting for what cannot be used; `stop` is still to be called.
   */
  async init(signal?: AbortSignal): Promise<void> {
    this.#advance('created', 'initialised');
    const abort = this.#stoppedBy(signal);
    this.#initialising = this.#init(abort);
    try {
      await this.#initialising;
    } catch (error) {
      throw abort.aborted ? new AbortedError('the start was given up', { cause: error }) : error;
    }
  }

  async #init(signal: AbortSignal): Promise<void> {
    const opened = await this.#foundation.open(signal);
    const running = {
      ports: () => this.ports,
      readiness: () => this.health(false),
      setLogLevel: (level: string) => this.setLogLevel(level),
    };
    const components = {
      dependencies: this.#dependencies,
      opened,
      handOver: this.#handOver,
      running,
      runtimeInfo: this.#runtimeInfo,
    };
    this.#parts = createParts(components, this.#urls, this.#options);
    this.#lifecycle = new Lifecycle(this.#parts.list, this.#logger);
  }

  #stoppedBy(signal: AbortSignal | undefined): AbortSignal {
    return signal === undefined ? this.#stopping.signal : AbortSignal.any([signal, this.#stopping.signal]);
  }

  /**
   * Starts everything in order; resolves when all are ready. Waits for the chain to leave IDLE until `signal`, then
   * AbortedError. When a part fails, what had started is stopped and the error thrown.
   */
  async start(signal?: AbortSignal): Promise<void> {
    this.#advance('initialised', 'started');
    const lifecycle = this.#running(this.#lifecycle);
    const abort = this.#stoppedBy(signal);
    const began = monotonic();
    try {
      this.#starting = lifecycle.start(abort);
      await this.#starting;
    } catch (error) {
      // Asked before the stop, which aborts what is left.
      const { aborted } = abort;
      if (this.handingOver) await this.#release();
      else await this.stop();
      throw aborted ? new AbortedError('the start was given up', { cause: error }) : error;
    }
    this.#healthServers.watch(lifecycle.metrics);
    this.#logger.info({ ms: Math.round(monotonic() - began), peer: this.peerId, ports: this.ports }, 'ready');
  }

  /** Another server is to have `DATADIR`: `handedOver` says what becomes of it, and a start that is under way is given up. */
  get handingOver(): boolean {
    return this.#handOver.handingOver;
  }

  /**
   * Resolves once `DATADIR` is another server's, which asked for it: this one serves nobody any more, and only tells of its health until `stop`. Rejects
   * where something could not be ended in time: the process is to end at once, before it gives the lock up.
   */
  get handedOver(): Promise<HandOverRequest> {
    return this.#handOver.done;
  }

  /** Stops everything, within `shutdown_timeout` and a little. Never rejects; every call waits for the same stop. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  /** Liveness looks at nothing outside the machine; readiness asks every dependency, 2 s each. */
  health(checkLiveness: boolean): Promise<HealthReport> {
    return this.#healthServers.health(checkLiveness);
  }

  /** Base58; empty before `init`. */
  get peerId(): string {
    return this.#parts?.node.peerId ?? '';
  }

  get ports(): ServerPorts {
    const listening = { p2p: undefined, grpc: undefined, http: 0, ...this.#lifecycle?.ports };
    return { ...listening, ...this.#healthServers.ports };
  }

  /** The parts, for who drives the server from within its process: tests and benchmarks. Throws before `init`. */
  get parts(): ServerParts {
    return this.#running(this.#parts);
  }

  /** What `/metrics` answers. */
  scrape(): Promise<string> {
    return this.#healthServers.scrape();
  }

  /** Changes the level of every logger in every thread and process. Throws RangeError on a name that is no level. */
  async setLogLevel(level: string): Promise<void> {
    this.#dependencies.loggers.setLevel(level);
    this.#dependencies.embedded.broker?.setLevel(level);
    await this.#lifecycle?.setLogLevel(level);
  }

  #advance(from: State, to: State): void {
    if (this.#state !== from) throw new Error(`the server is ${this.#state}, not ${from}`);
    this.#state = to;
  }

  #running<T>(initialised: T | undefined): T {
    if (initialised === undefined) throw new Error('the server is not initialised');
    return initialised;
  }

  /** What readiness asks now. */
  #checks(): readonly HealthCheck[] {
    if (this.#state === 'started' && this.#lifecycle?.isReady) return this.#lifecycle.health;
    const { blockchain } = this.#foundation;
    return [
      { resource: 'server', check: async () => this.#phase() },
      // What is closed is not asked.
      ...(this.handingOver || blockchain === undefined ? [] : chainChecks(blockchain)),
    ];
  }

  /** For readiness, while the server is not ready. */
  #phase(): DependencyHealth {
    const resource = 'server';
    const handingOver = this.#handOver.health();
    if (handingOver !== undefined) return handingOver;
    if (this.#state === 'stopped') return { resource, status: 503, error: 'stopping', message: '' };
    const waitsFor = this.#lifecycle?.current ?? this.#foundation.waitsFor;
    return { resource, status: 503, error: 'starting', message: `waits for ${waitsFor}` };
  }

  /** Ends everything but what holds the directory and what tells of health. Gives what did not end cleanly. */
  #release(): Promise<readonly string[]> {
    this.#released ??= this.#end();
    return this.#released;
  }

  async #end(): Promise<readonly string[]> {
    this.#state = 'stopped';
    this.#stopping.abort();
    const deadline = monotonic() + this.#dependencies.settings.shutdown_timeout;
    await this.#initialising?.catch(() => {});
    const unclean = await stopParts(this.#lifecycle, this.#starting, { handOver: this.#handOver, deadline });
    return [...unclean, ...(await this.#foundation.close())];
  }

  async #stop(): Promise<void> {
    const wasRunning = this.#state === 'started';
    const began = monotonic();
    if (wasRunning) this.#logger.info('stopping');
    const unclean = await this.#release();
    if (unclean.length === 0) {
      await closeAll(this.#logger, {
        control: () => this.#runtimeInfo.stop(),
        DATADIR: () => this.#dependencies.directory.close(),
      });
    } else {
      // They may still write there, so nobody else may: the system takes the lock and the socket back when the process ends.
      this.#runtimeInfo.unref();
      this.#logger.warn({ parts: unclean }, 'DATADIR stays locked until this process ends');
    }
    await closeAll(this.#logger, { probes: () => this.#healthServers.stop() });
    if (wasRunning) this.#logger.info({ ms: Math.round(monotonic() - began) }, 'stopped');
  }
}
