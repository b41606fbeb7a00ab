/** The P2P server: its parts, started in order and stopped backwards. */

import { monotonic, wall } from '../shared/clock.js';
import { AbortedError, errorMessage } from '../shared/errors.js';
import { RpcError, untilItAnswers } from '../shared/grpc/call.js';
import type { DependencyHealth, HealthReport } from '../shared/health.js';
import { kafkaSecurityWarnings, onCluster } from '../shared/kafka/security-settings.js';
import type { ComponentLoggers, Logger } from '../shared/logging.js';
import type { MessageKind } from '../shared/messages/kind.js';
import { type AnnouncedUrls, announcedUrls } from './announce/urls.js';
import type { ServerDependencies, ServerOptions } from './dependencies.js';
import { DirectoryWatch } from './directory-watch.js';
import { loadAdminKey } from './grpc/admin-key.js';
import { grpcExposed } from './grpc/server.js';
import { loadOrCreateKey } from './node/keys.js';
import { ServerParts } from './parts.js';
import { startPlan } from './plan.js';
import { Presence } from './presence.js';
import { Probes } from './probes.js';
import { chainChecks, readinessChecks } from './readiness-checks.js';
import { refuseProblems } from './settings-problems.js';
import { type Stage, Stages } from './stages.js';
import { StatusFeed, statusReport } from './status.js';

/** Ports that were bound, also where the settings said 0; undefined for what is off. */
export interface ServerPorts {
  readonly p2p: number | undefined;
  readonly grpc: number | undefined;
  readonly http: number;
  readonly health: number | undefined;
  readonly metrics: number | undefined;
}

type State = 'created' | 'initialised' | 'started' | 'stopped';

export class P2PServer {
  readonly #dependencies: ServerDependencies;
  readonly #options: ServerOptions;
  readonly #loggers: ComponentLoggers;
  readonly #logger: Logger;
  readonly #urls: AnnouncedUrls;
  readonly #probes: Probes;
  readonly #directoryWatch: DirectoryWatch;
  readonly #stopping = new AbortController();
  #parts: ServerParts | undefined;
  #stages: Stages | undefined;
  #state: State = 'created';
  /** From the last stage of the start to the beginning of the stop. */
  #ready = false;
  #initialising: Promise<void> | undefined;
  #stopped: Promise<void> | undefined;
  #startedAt = 0;
  /** The same by the clock that is never set. */
  #began = 0;
  #statusFeed: StatusFeed | undefined;

  /**
   * Checks the settings and builds what can be built without touching network or disk. Throws ConfigurationError with every
   * problem, each naming its setting.
   */
  static create(dependencies: ServerDependencies, options: ServerOptions = {}): P2PServer {
    refuseProblems(dependencies.settings);
    return new P2PServer(dependencies, options, announcedUrls(dependencies.settings));
  }

  private constructor(dependencies: ServerDependencies, options: ServerOptions, urls: AnnouncedUrls) {
    this.#dependencies = dependencies;
    this.#options = options;
    this.#urls = urls;
    this.#loggers = dependencies.loggers;
    this.#logger = this.#loggers.of('server');
    this.#directoryWatch = new DirectoryWatch({
      directory: dependencies.directory,
      logger: this.#logger,
      registry: dependencies.registry,
    });
    this.#probes = new Probes(dependencies, {
      checks: () =>
        this.#ready && this.#parts !== undefined
          ? [
              ...readinessChecks(dependencies, this.#parts),
              { resource: 'DATADIR', check: () => this.#directoryWatch.health() },
            ]
          : [{ resource: 'server', check: async () => this.#phase() }, ...chainChecks(dependencies)],
      signs: [
        { resource: 'worker pools', fault: () => this.#parts?.pipeline.failed },
        { resource: 'notification servers', fault: () => this.#notificationFault() },
      ],
    });
  }

  /**
   * Fixes URLs, takes the lock on `DATADIR`, opens stores, answers on the health and metrics ports, loads keys and bans, and
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
    const { settings, directory, embedded, blockchain } = this.#dependencies;
    await directory.open();
    await this.#directoryWatch.start();
    signal.throwIfAborted();
    await this.#probes.start();
    this.#dependencies.tls.start();
    for (const warning of this.#urls.warnings) this.#logger.warn(warning);
    if (onCluster(settings)) {
      for (const warning of kafkaSecurityWarnings(settings)) this.#logger.warn(warning);
    }
    await embedded.chain?.open();
    const patience = { signal, logger: this.#logger, final: (error: unknown) => error instanceof RpcError };
    const privateKey = await loadOrCreateKey(settings, this.#logger, {
      getState: (key) => untilItAnswers(() => blockchain.getState(key, signal), patience),
    });
    const adminKey = await loadAdminKey(
      {
        apiKey: settings.grpc_admin_api_key,
        dataDirectory: directory.path,
        exposed: grpcExposed(settings),
      },
      this.#logger,
    );
    const kinds = await loadKinds(this.#options.kindsModule);
    const identity = { privateKey, adminKey, urls: this.#urls, kinds };
    signal.throwIfAborted();
    this.#parts = new ServerParts(this.#dependencies, this.#options, identity, this.#loggers);
    await this.#parts.bans.open();
    await this.#parts.registry.open();
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
    const abort = this.#stoppedBy(signal);
    this.#startedAt = wall.told();
    const began = monotonic();
    this.#began = began;
    this.#stages = new Stages(this.#plan(this.#running()), this.#logger);
    try {
      await this.#stages.start(abort);
    } catch (error) {
      // Asked before the stop, which aborts what is left.
      const { aborted } = abort;
      await this.stop();
      throw aborted ? new AbortedError('the start was given up', { cause: error }) : error;
    }
    this.#logger.info({ ms: Math.round(monotonic() - began), peer: this.peerId, ports: this.ports }, 'ready');
  }

  /** Stops everything, within `shutdown_timeout` and a little. Never rejects; every call waits for the same stop. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  /** Liveness looks at nothing outside the machine; readiness asks every dependency, 2 s each. */
  health(checkLiveness: boolean): Promise<HealthReport> {
    return this.#probes.health(checkLiveness);
  }

  /** Base58; empty before `init`. */
  get peerId(): string {
    return this.#parts?.node.peerId ?? '';
  }

  get ports(): ServerPorts {
    const parts = this.#parts;
    return {
      p2p: parts?.node.port,
      grpc: parts?.grpc.port,
      http: parts?.notifications.port ?? 0,
      ...this.#probes.ports,
    };
  }

  /** The parts, for who drives the server from within its process: tests and benchmarks. Throws before `init`. */
  get parts(): ServerParts {
    return this.#running();
  }

  /** What `/metrics` answers. */
  scrape(): Promise<string> {
    return this.#probes.scrape();
  }

  /** Changes the level of every logger in every thread and process. Throws RangeError on a name that is no level. */
  async setLogLevel(level: string): Promise<void> {
    this.#loggers.setLevel(level);
    this.#dependencies.embedded.broker?.setLevel(level);
    this.#parts?.notifications.setLevel(level);
    await this.#parts?.pipeline.publisher.setLevel(level);
  }

  #advance(from: State, to: State): void {
    if (this.#state !== from) throw new Error(`the server is ${this.#state}, not ${from}`);
    this.#state = to;
  }

  #running(): ServerParts {
    if (this.#parts === undefined) throw new Error('the server is not initialised');
    return this.#parts;
  }

  #plan(parts: ServerParts): Stage[] {
    const { directory, brokerSocketPath } = this.#dependencies;
    const presence = new Presence(
      {
        logger: this.#loggers.of('control'),
        publisher: parts.pipeline.publisher,
        setLogLevel: (level) => this.setLogLevel(level),
      },
      directory.path,
    );
    return [
      ...startPlan(this.#dependencies, parts, this.#logger),
      {
        name: 'control',
        start: async () => {
          const { p2p = 0, http, ...others } = this.ports;
          await presence.start({
            startedAt: this.#startedAt,
            peerId: this.peerId,
            ...(brokerSocketPath === undefined ? {} : { brokerSocket: brokerSocketPath }),
            ports: { p2p, http, ...definedOf(others) },
          });
        },
        stop: () => presence.stop(),
      },
      {
        name: 'status',
        start: async () => {
          this.#ready = true;
          this.#probes.watch(parts);
          this.#tellStatus(parts);
        },
        stop: async () => this.#statusFeed?.stop(),
      },
    ];
  }

  /** Makes `/api/status` anew for as long as the server runs. */
  #tellStatus(parts: ServerParts): void {
    const { notifications } = parts;
    const sources = {
      dependencies: this.#dependencies,
      options: this.#options,
      startedAt: this.#startedAt,
      parts,
    };
    this.#statusFeed = new StatusFeed({
      logger: this.#logger,
      health: () => this.health(false),
      report: (health) => statusReport({ ...sources, uptimeMs: monotonic() - this.#began, health }),
      tell: (json) => notifications.setStatus(json),
      watched: () => notifications.connections > 0,
    });
    this.#statusFeed.start();
  }

  #notificationFault(): string | undefined {
    if (!this.#ready || this.#parts === undefined) return undefined;
    return this.#parts.notifications.serving === 0 ? 'no notification server serves' : undefined;
  }

  /** For readiness, while the server is not ready. */
  #phase(): DependencyHealth {
    const error = this.#state === 'stopped' ? 'stopping' : 'starting';
    const waitsFor = this.#stages?.current ?? 'the node key';
    return {
      resource: 'server',
      status: 503,
      error,
      message: error === 'starting' ? `waits for ${waitsFor}` : '',
    };
  }

  async #stop(): Promise<void> {
    const running = this.#state === 'started';
    this.#state = 'stopped';
    this.#ready = false;
    this.#stopping.abort();
    const { settings, directory, embedded } = this.#dependencies;
    const began = monotonic();
    if (running) this.#logger.info('stopping');
    await this.#initialising?.catch(() => {});
    await this.#stages?.stop(began + settings.shutdown_timeout);
    for (const close of [
      () => this.#parts?.bans.stop(),
      () => this.#parts?.registry.stop(),
      () => embedded.chain?.close(),
      () => this.#dependencies.tls.stop(),
      () => this.#directoryWatch.stop(),
      () => directory.close(),
      () => this.#probes.stop(),
    ]) {
      try {
        await close();
      } catch (error) {
        this.#logger.warn({ reason: errorMessage(error) }, 'did not close cleanly');
      }
    }
    if (running) this.#logger.info({ ms: Math.round(monotonic() - began) }, 'stopped');
  }
}

async function loadKinds(module: string | undefined): Promise<readonly MessageKind[] | undefined> {
  if (module === undefined) return undefined;
  return ((await import(module)) as { MESSAGE_KINDS: readonly MessageKind[] }).MESSAGE_KINDS;
}

function definedOf<T extends object>(object: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: NonNullable<T[K]>;
  };
}
