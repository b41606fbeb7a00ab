/** The P2P server: its parts, started in order and stopped backwards. */

import { setTimeout as pause } from 'node:timers/promises';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { monotonic, wall } from '../../shared/clock.js';
import { AbortedError, errorMessage } from '../../shared/errors.js';
import { RpcError, untilItAnswers } from '../../shared/grpc/call.js';
import type { DependencyHealth, HealthReport } from '../../shared/health.js';
import type { ComponentLoggers, Logger } from '../../shared/logging/logger.js';
import { onCluster } from '../../shared/settings/kafka-topics.js';
import { kafkaSecurityWarnings } from '../../shared/sinks/kafka/security-settings.js';
import { FLUSH_MS } from '../../shared/tracing/tracing.js';
import { type AnnouncedUrls, announcedUrls } from '../announce/urls.js';
import type { HandOverAnswer, HandOverRequest } from '../control/hand-over.js';
import { backUp } from '../data-directory/backup.js';
import { DirectoryWatch } from '../data-directory/watch.js';
import { loadAdminKey } from '../grpc/admin-key.js';
import { grpcExposed } from '../grpc/server.js';
import { Newcomer } from '../hand-over/newcomer.js';
import { shown, Tenure } from '../hand-over/tenure.js';
import { HealthServers } from '../health/servers.js';
import { loadOrCreateKey } from '../node/identity/keys.js';
import { type Island, islandHealth, islandsOf, islandWarning, showIslands } from '../preflight/isolation.js';
import { refuseProblems } from '../preflight/settings.js';
import type { ServerDependencies, ServerOptions } from './dependencies.js';
import { ServerParts } from './parts.js';
import { CLOSING_MS, startPlan } from './plan.js';
import { chainChecks, readinessChecks } from './readiness-checks.js';
import { RuntimeInfo } from './runtime-info.js';
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

/** What Kafka is given in a hand-over: what it has not taken, the next server sends it, and until then nobody hears. */
const HAND_OVER_KAFKA_MS = 2_000;
/** What a hand-over may take beyond `shutdown_timeout`. */
const HAND_OVER_GRACE_MS = 3_000;
/** What a start that is given up has to end: after its parts are stopped, and in a hand-over also before. */
const START_ENDS_MS = 1_000;

export class P2PServer {
  readonly #dependencies: ServerDependencies;
  readonly #options: ServerOptions;
  readonly #loggers: ComponentLoggers;
  readonly #logger: Logger;
  readonly #urls: AnnouncedUrls;
  readonly #healthServers: HealthServers;
  readonly #directoryWatch: DirectoryWatch;
  readonly #islands: readonly Island[];
  readonly #stopping = new AbortController();
  readonly #tenure: Tenure;
  readonly #runtimeInfo: RuntimeInfo;
  #parts: ServerParts | undefined;
  #stages: Stages | undefined;
  #state: State = 'created';
  /** From the last stage of the start to the beginning of the stop. */
  #ready = false;
  #initialising: Promise<void> | undefined;
  #starting: Promise<void> | undefined;
  #stopped: Promise<void> | undefined;
  #released: Promise<readonly string[]> | undefined;
  #handingOver = false;
  #isHandedOver = false;
  /** What the start waits for before its first stage. */
  #waitsFor = 'the node key';
  #gaveUp: (heir: HandOverRequest) => void = () => {};
  #failedToGiveUp: (error: Error) => void = () => {};
  /**
   * Resolves once `DATADIR` is another server's, which asked for it: this one serves nobody any more, and only tells of its health until `stop`. Rejects
   * where something could not be ended in time: the process is to end at once, before it gives the lock up.
   */
  readonly handedOver: Promise<HandOverRequest>;
  #startedAt = 0;
  /** The same by the clock that is never set. */
  #began = 0;
  #statusFeed: StatusFeed | undefined;

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
    this.#loggers = dependencies.loggers;
    this.#logger = this.#loggers.of('server');
    const { p2p_datadir_wait: waitMs } = dependencies.settings;
    this.#tenure = options.tenure ?? new Tenure({ waitMs, version: options.version ?? '' });
    this.handedOver = new Promise((resolve, reject) => {
      this.#gaveUp = resolve;
      this.#failedToGiveUp = reject;
    });
    // Whoever runs the server looks at it.
    this.handedOver.catch(() => {});
    this.#runtimeInfo = new RuntimeInfo(
      {
        logger: this.#loggers.of('control'),
        publisher: () => (this.#ready ? this.#parts?.pipeline.publisher : undefined),
        setLogLevel: (level) => this.setLogLevel(level),
        backUp: (path) => backUp(dependencies.directory.store, dependencies.settings, path),
        handOver: (request) => this.#asked(request),
      },
      { directory: dependencies.directory.path, askedByFile: waitMs > 0 },
    );
    this.#directoryWatch = new DirectoryWatch({
      directory: dependencies.directory,
      logger: this.#logger,
      registry: dependencies.registry,
    });
    this.#islands = islandsOf(dependencies.settings, options.origin);
    showIslands(dependencies.registry, this.#islands);
    const island = islandHealth(this.#islands);
    this.#healthServers = new HealthServers(dependencies, {
      checks: () =>
        this.#ready && this.#parts !== undefined
          ? [
              ...readinessChecks(dependencies, this.#parts),
              { resource: 'DATADIR', check: () => this.#directoryWatch.health() },
              ...(island === undefined ? [] : [{ resource: island.resource, check: async () => island }]),
            ]
          : [
              { resource: 'server', check: async () => this.#phase() },
              // What is closed is not asked.
              ...(this.#handingOver ? [] : chainChecks(dependencies)),
            ],
      signs: [
        { resource: 'worker pools', fault: () => this.#parts?.pipeline.failed },
        { resource: 'notification servers', fault: () => this.#notificationFault() },
      ],
    });
  }

  /**
   * Fixes URLs, takes the lock on `DATADIR`, waiting for it up to `p2p_datadir_wait`, opens stores, answers on the health and metrics ports, loads keys and bans, and
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
    const { settings, directory, embedded, blockchain, secrets } = this.#dependencies;
    const newcomer = new Newcomer(
      {
        tenure: this.#tenure,
        logger: this.#logger,
        prepare: async () => {
          await this.#healthServers.start();
          this.#waitsFor = 'the chain, before it asks for DATADIR, which another server has';
          await blockchain.waitUntilNotIdle(signal);
          this.#waitsFor = 'DATADIR, which another server has';
        },
      },
      directory.path,
      signal,
    );
    await directory.open(() => newcomer.held());
    newcomer.end();
    this.#waitsFor = 'the node key';
    await this.#runtimeInfo.start();
    await this.#directoryWatch.start();
    signal.throwIfAborted();
    await this.#healthServers.start();
    this.#dependencies.tls.start();
    secrets.start();
    for (const warning of this.#urls.warnings) this.#logger.warn(warning);
    const island = islandWarning(this.#islands);
    if (island !== undefined) this.#logger.warn({ signs: this.#islands.map(({ sign }) => sign) }, island);
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
        apiKeyFile: secrets.adminKeyFile,
        dataDirectory: directory.path,
        exposed: grpcExposed(settings),
      },
      this.#logger,
    );
    await this.#dependencies.tracing.open({
      peerId: peerIdFromPrivateKey(privateKey).toString(),
      clientName: settings.clientName,
      version: this.#options.version ?? '',
    });
    const identity = { privateKey, adminKey, urls: this.#urls };
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
      this.#starting = this.#stages.start(abort);
      await this.#starting;
    } catch (error) {
      // Asked before the stop, which aborts what is left.
      const { aborted } = abort;
      if (this.#handingOver) await this.#release();
      else await this.stop();
      throw aborted ? new AbortedError('the start was given up', { cause: error }) : error;
    }
    this.#logger.info({ ms: Math.round(monotonic() - began), peer: this.peerId, ports: this.ports }, 'ready');
  }

  /** Another server is to have `DATADIR`: `handedOver` says what becomes of it, and a start that is under way is given up. */
  get handingOver(): boolean {
    return this.#handingOver;
  }

  /**
   * Stops everything, within `shutdown_timeout` and a little. Never rejects; every call waits for the same stop. Where a part could not be ended in that time,
   * `DATADIR` stays locked until the process ends.
   */
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
    const parts = this.#parts;
    return {
      p2p: parts?.node.port,
      grpc: parts?.grpc.port,
      http: parts?.notifications.port ?? 0,
      ...this.#healthServers.ports,
    };
  }

  /** The parts, for who drives the server from within its process: tests and benchmarks. Throws before `init`. */
  get parts(): ServerParts {
    return this.#running();
  }

  /** What `/metrics` answers. */
  scrape(): Promise<string> {
    return this.#healthServers.scrape();
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
    const { brokerSocketPath } = this.#dependencies;
    const kafkaUntil = (deadline: number) =>
      Math.min(deadline - CLOSING_MS, this.#handingOver ? monotonic() + HAND_OVER_KAFKA_MS : Infinity);
    return [
      ...startPlan(this.#dependencies, parts, this.#logger, { kafkaUntil }),
      {
        name: 'status',
        start: async () => {
          this.#ready = true;
          this.#healthServers.watch(parts);
          const { p2p = 0, http, ...others } = this.ports;
          this.#runtimeInfo.announce({
            startedAt: this.#startedAt,
            peerId: this.peerId,
            ...(brokerSocketPath === undefined ? {} : { brokerSocket: brokerSocketPath }),
            ports: { p2p, http, ...definedOf(others) },
          });
          this.#tellStatus(parts);
        },
        stop: async () => {
          this.#runtimeInfo.withdraw();
          await this.#statusFeed?.stop();
        },
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
    const { heir } = this.#tenure;
    if (this.#handingOver && heir !== undefined) {
      const error = `${this.#isHandedOver ? 'handed' : 'is handing'} over DATADIR to ${shown(heir.name)}`;
      return { resource: 'server', status: 503, error, message: 'serves nobody, waits to be ended' };
    }
    const error = this.#state === 'stopped' ? 'stopping' : 'starting';
    const waitsFor = this.#stages?.current ?? this.#waitsFor;
    return {
      resource: 'server',
      status: 503,
      error,
      message: error === 'starting' ? `waits for ${waitsFor}` : '',
    };
  }

  /** What another process asked over the control socket. The answer is on its way before anything is stopped. */
  #asked(request: unknown): HandOverAnswer {
    const answer = this.#tenure.judge(request, { stopping: this.#state === 'stopped' });
    const { heir } = this.#tenure;
    if (heir !== undefined && !this.#handingOver) {
      this.#handingOver = true;
      setImmediate(() => this.#handOver(heir));
    }
    return answer;
  }

  #handOver(heir: HandOverRequest): void {
    const { settings, directory } = this.#dependencies;
    const began = monotonic();
    const about = { to: shown(heir.name), version: shown(heir.version) };
    this.#logger.info(about, 'handing DATADIR over to another server');
    this.#parts?.notifications.handOver();
    const late = setTimeout(
      () => this.#failedToGiveUp(new Error('the hand-over of DATADIR took too long')),
      settings.shutdown_timeout + HAND_OVER_GRACE_MS,
    );
    this.#release()
      .then(async (unclean) => {
        // It may still be on the network, with the key that the other one has.
        if (unclean.length > 0)
          throw new Error(`did not stop before DATADIR was to be handed over: ${unclean.join(', ')}`);
        await this.#runtimeInfo.stop();
        await directory.close();
        this.#logger.info({ ...about, ms: Math.round(monotonic() - began) }, 'DATADIR is handed over');
        this.#isHandedOver = true;
        this.#gaveUp(heir);
      })
      .catch((error: unknown) =>
        this.#failedToGiveUp(error instanceof Error ? error : new Error(errorMessage(error))),
      )
      .finally(() => clearTimeout(late));
  }

  /** Ends everything but what holds the directory and what tells of health. Gives what did not end cleanly. */
  #release(): Promise<readonly string[]> {
    this.#released ??= this.#end();
    return this.#released;
  }

  async #end(): Promise<readonly string[]> {
    this.#state = 'stopped';
    this.#ready = false;
    this.#stopping.abort();
    const { settings, embedded, tls, secrets, tracing } = this.#dependencies;
    const deadline = monotonic() + settings.shutdown_timeout;
    await this.#initialising?.catch(() => {});
    let starting = this.#starting !== undefined;
    const started = this.#starting
      ?.catch(() => {})
      .then(() => {
        starting = false;
      });
    // A stage that is just starting may, once it has, go on for ever. A process that ends takes it along.
    if (this.#handingOver) await Promise.race([started, pause(START_ENDS_MS, undefined, { ref: false })]);
    const unclean = (await this.#stages?.stop(deadline)) ?? [];
    if (starting) await Promise.race([started, pause(START_ENDS_MS, undefined, { ref: false })]);
    const unended = starting ? ['start'] : [];
    const unclosed = await this.#close({
      bans: () => this.#parts?.bans.stop(),
      'peer registry': () => this.#parts?.registry.stop(),
      chain: () => embedded.chain?.close(),
      traces: () => tracing.close(FLUSH_MS),
      'TLS files': () => tls.stop(),
      secrets: () => secrets.stop(),
      'directory watch': () => this.#directoryWatch.stop(),
    });
    return [...unclean, ...unended, ...unclosed];
  }

  /** Gives the names of those that failed. */
  async #close(parts: Readonly<Record<string, () => unknown>>): Promise<readonly string[]> {
    const failed: string[] = [];
    for (const [name, close] of Object.entries(parts)) {
      try {
        await close();
      } catch (error) {
        failed.push(name);
        this.#logger.warn({ part: name, reason: errorMessage(error) }, 'did not close cleanly');
      }
    }
    return failed;
  }

  async #stop(): Promise<void> {
    const running = this.#state === 'started';
    const began = monotonic();
    if (running) this.#logger.info('stopping');
    const unclean = await this.#release();
    if (unclean.length === 0) {
      await this.#close({
        control: () => this.#runtimeInfo.stop(),
        DATADIR: () => this.#dependencies.directory.close(),
      });
    } else {
      // They may still write there, so nobody else may: the system takes the lock and the socket back when the process ends.
      this.#runtimeInfo.unref();
      this.#logger.warn({ parts: unclean }, 'DATADIR stays locked until this process ends');
    }
    await this.#close({ probes: () => this.#healthServers.stop() });
    if (running) this.#logger.info({ ms: Math.round(monotonic() - began) }, 'stopped');
  }
}

function definedOf<T extends object>(object: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: NonNullable<T[K]>;
  };
}
