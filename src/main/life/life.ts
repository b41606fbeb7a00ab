/** What a server and a gateway are from `init` to `stop`: parts, started in order and stopped backwards, what they stand on, and who looks at them. */

import { monotonic } from '../../shared/clock.js';
import { AbortedError } from '../../shared/errors.js';
import type { DependencyHealth, HealthCheck, HealthReport } from '../../shared/health.js';
import { Lifecycle } from '../../shared/lifecycle/lifecycle.js';
import type { Logger } from '../../shared/logging/logger.js';
import { onCluster } from '../../shared/settings/kafka-topics.js';
import { kafkaSecurityWarnings } from '../../shared/sinks/kafka/security-settings.js';
import { FLUSH_MS } from '../../shared/tracing/tracing.js';
import type { HandOverRequest } from '../control/hand-over.js';
import { HandOver } from '../hand-over/hand-over.js';
import type { HoldingServer } from '../hand-over/lives.js';
import { Newcomer } from '../hand-over/newcomer.js';
import { Tenure } from '../hand-over/tenure.js';
import { HealthServers } from '../health/servers.js';
import { closeAll } from './close-all.js';
import type { LifeDependencies } from './dependencies.js';
import type { Foundation } from './foundation.js';
import { RuntimeInfo } from './runtime-info.js';
import type { Running } from './status-part.js';
import { stopParts } from './stop-parts.js';

export interface LifeOptions {
  /** What this process knows of holders of `DATADIR`, where it outlives the server. */
  readonly tenure?: Tenure;
  /** Told in node_status and status where the setting is empty. */
  readonly version?: string;
}

/** Ports that were bound, also where the settings said 0; undefined for what is off. */
export interface LifePorts {
  readonly http: number;
  readonly health: number | undefined;
  readonly metrics: number | undefined;
  /** Of further parts, by the names that they give. */
  readonly [name: string]: number | undefined;
}

type State = 'created' | 'initialised' | 'started' | 'stopped';

export class Life implements HoldingServer, Running {
  readonly #dependencies: LifeDependencies;
  readonly #foundation: Foundation;
  readonly #version: string;
  readonly #tenure: Tenure;
  readonly #logger: Logger;
  readonly #healthServers: HealthServers;
  readonly #handOver: HandOver;
  readonly #runtimeInfo: RuntimeInfo;
  readonly #stopping = new AbortController();
  #lifecycle: Lifecycle | undefined;
  #state: State = 'created';
  #initialising: Promise<void> | undefined;
  #starting: Promise<void> | undefined;
  #stopped: Promise<void> | undefined;
  #released: Promise<readonly string[]> | undefined;

  /** Touches neither network nor disk. */
  protected constructor(
    dependencies: LifeDependencies,
    foundation: Foundation,
    { tenure, version = '' }: LifeOptions,
  ) {
    const { settings, loggers, directory } = dependencies;
    const { p2p_datadir_wait: waitMs, shutdown_timeout: shutdownMs } = settings;
    this.#dependencies = dependencies;
    this.#foundation = foundation;
    this.#version = version;
    this.#tenure = tenure ?? new Tenure({ waitMs, version });
    this.#logger = loggers.of(foundation.name);
    this.#healthServers = new HealthServers(dependencies, {
      checks: () => this.#checks(),
      signs: () => this.#lifecycle?.vitals ?? [],
    });
    const holder = {
      isStopping: () => this.#state === 'stopped',
      release: () => this.#release(),
      giveUp: async () => {
        await this.#runtimeInfo.stop();
        await directory.close();
      },
    };
    this.#handOver = new HandOver({ tenure: this.#tenure, logger: this.#logger, holder }, { shutdownMs });
    this.#runtimeInfo = new RuntimeInfo(
      { logger: loggers.of('control'), handOver: (request) => this.#handOver.asked(request) },
      { directory: directory.path, askedByFile: waitMs > 0 },
    );
  }

  /**
   * Takes the lock on `DATADIR`, waiting for it up to `p2p_datadir_wait`, opens its store, answers on the health and metrics ports, opens what the parts
   * stand on, and builds them. What is waited for is given up with `signal`, then AbortedError. Throws ConfigurationError naming the setting for what cannot
   * be used; `stop` is still to be called.
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
    const { settings, directory, tls, secrets, tracing } = this.#dependencies;
    const foundation = this.#foundation;
    const [logger, tenure] = [this.#logger, this.#tenure];
    // They are to answer while the directory is waited for.
    const prepare = async (): Promise<void> => {
      await this.#healthServers.start();
      await foundation.prepare?.(signal);
    };
    const newcomer = new Newcomer({ tenure, logger, prepare }, directory.path, signal);
    await directory.open(() => newcomer.held());
    newcomer.end();
    await this.#runtimeInfo.start();
    signal.throwIfAborted();
    await this.#healthServers.start();
    tls.start();
    secrets.start();
    for (const warning of foundation.warnings ?? []) logger.warn(warning);
    if (onCluster(settings)) {
      for (const warning of kafkaSecurityWarnings(settings)) logger.warn(warning);
    }
    const peerId = await foundation.open(signal);
    const service = { peerId, clientName: settings.clientName, version: this.#version };
    await tracing.open(service);
    signal.throwIfAborted();
    const parts = foundation.build({
      handOver: this.#handOver,
      running: this,
      runtimeInfo: this.#runtimeInfo,
      tracing: tracing.orderOf(service),
    });
    this.#lifecycle = new Lifecycle(parts, logger);
  }

  #stoppedBy(signal: AbortSignal | undefined): AbortSignal {
    return signal === undefined ? this.#stopping.signal : AbortSignal.any([signal, this.#stopping.signal]);
  }

  /**
   * Starts everything in order; resolves when all are ready. What is waited for is given up with `signal`, then AbortedError. When a part fails, what had
   * started is stopped and the error thrown.
   */
  async start(signal?: AbortSignal): Promise<void> {
    this.#advance('initialised', 'started');
    const lifecycle = this.#lifecycle;
    if (lifecycle === undefined) throw new Error(`the ${this.#foundation.name} is not initialised`);
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
    const { peerId: peer } = this.#foundation;
    this.#logger.info({ ms: Math.round(monotonic() - began), peer, ports: this.ports }, 'ready');
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

  get ports(): LifePorts {
    return { http: 0, ...this.#lifecycle?.ports, ...this.#healthServers.ports };
  }

  /** What `/metrics` answers. */
  scrape(): Promise<string> {
    return this.#healthServers.scrape();
  }

  /** Changes the level of every logger in every thread and process. Throws RangeError on a name that is no level. */
  async setLogLevel(level: string): Promise<void> {
    this.#dependencies.loggers.setLevel(level);
    await this.#lifecycle?.setLogLevel(level);
  }

  #advance(from: State, to: State): void {
    if (this.#state !== from) throw new Error(`the ${this.#foundation.name} is ${this.#state}, not ${from}`);
    this.#state = to;
  }

  /** What readiness asks now. */
  #checks(): readonly HealthCheck[] {
    if (this.#state === 'started' && this.#lifecycle?.isReady) return this.#lifecycle.health;
    const { health = [] } = this.#foundation;
    return [
      { resource: 'server', check: async () => this.#phase() },
      // What is closed is not asked.
      ...(this.handingOver ? [] : health),
    ];
  }

  /** For readiness, while it is not ready. */
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
    const { settings, tracing, tls, secrets } = this.#dependencies;
    const deadline = monotonic() + settings.shutdown_timeout;
    await this.#initialising?.catch(() => {});
    const unclean = await stopParts(this.#lifecycle, this.#starting, { handOver: this.#handOver, deadline });
    const unclosed = await closeAll(this.#logger, {
      ...this.#foundation.closing,
      traces: () => tracing.close(FLUSH_MS),
      'TLS files': () => tls.stop(),
      secrets: () => secrets.stop(),
    });
    return [...unclean, ...unclosed];
  }

  async #stop(): Promise<void> {
    const isTold = this.#state === 'started' || this.#foundation.tellsEveryStop === true;
    const began = monotonic();
    if (isTold) this.#logger.info('stopping');
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
    if (isTold) this.#logger.info({ ms: Math.round(monotonic() - began) }, 'stopped');
  }
}
