/** A gateway: notification servers alone, fed by the notifications topic. No libp2p, no outbox, no identity. */

import { monotonic } from '../../shared/clock.js';
import { AbortedError } from '../../shared/errors.js';
import type { DependencyHealth, HealthCheck, HealthReport } from '../../shared/health.js';
import { Lifecycle } from '../../shared/lifecycle/lifecycle.js';
import type { Logger } from '../../shared/logging/logger.js';
import { kafkaSecurityWarnings } from '../../shared/sinks/kafka/security-settings.js';
import { FLUSH_MS } from '../../shared/tracing/tracing.js';
import type { HandOverRequest } from '../control/hand-over.js';
import { HandOver } from '../hand-over/hand-over.js';
import type { HoldingServer } from '../hand-over/lives.js';
import { Newcomer } from '../hand-over/newcomer.js';
import { Tenure } from '../hand-over/tenure.js';
import { HealthServers } from '../health/servers.js';
import { closeAll } from '../server/foundation.js';
import { RuntimeInfo } from '../server/runtime-info.js';
import { stopParts } from '../server/stop-parts.js';
import type { GatewayDependencies } from './dependencies.js';
import { createGatewayParts } from './parts.js';
import { refuseGatewayProblems } from './problems.js';

export interface GatewayOptions {
  /** What this process knows of holders of `DATADIR`, where it outlives the gateway. */
  readonly tenure?: Tenure;
  /** Told where the setting is empty. */
  readonly version?: string;
}

/** Ports that were bound, also where the settings said 0; undefined for what is off. */
export interface GatewayPorts {
  readonly http: number;
  readonly health: number | undefined;
  readonly metrics: number | undefined;
  readonly [name: string]: number | undefined;
}

export class Gateway implements HoldingServer {
  readonly #dependencies: GatewayDependencies;
  readonly #version: string;
  readonly #tenure: Tenure;
  readonly #logger: Logger;
  readonly #healthServers: HealthServers;
  readonly #handOver: HandOver;
  readonly #runtimeInfo: RuntimeInfo;
  readonly #stopping = new AbortController();
  #lifecycle: Lifecycle | undefined;
  #initialising: Promise<void> | undefined;
  #starting: Promise<void> | undefined;
  #stopped: Promise<void> | undefined;
  #released: Promise<readonly string[]> | undefined;

  /** Touches neither network nor disk. Throws ConfigurationError with every problem of the settings that a gateway reads. */
  static create(dependencies: GatewayDependencies, options: GatewayOptions = {}): Gateway {
    refuseGatewayProblems(dependencies.settings);
    return new Gateway(dependencies, options);
  }

  private constructor(dependencies: GatewayDependencies, { tenure, version = '' }: GatewayOptions) {
    const { settings, loggers, directory } = dependencies;
    const { p2p_datadir_wait: waitMs, shutdown_timeout: shutdownMs } = settings;
    this.#dependencies = dependencies;
    this.#version = version;
    this.#tenure = tenure ?? new Tenure({ waitMs, version });
    this.#logger = loggers.of('gateway');
    this.#healthServers = new HealthServers(dependencies, {
      checks: () => this.#checks(),
      signs: () => this.#lifecycle?.vitals ?? [],
    });
    const holder = {
      isStopping: () => this.#stopping.signal.aborted,
      release: () => this.#release(),
      giveUp: () => this.#giveUp(),
    };
    this.#handOver = new HandOver({ tenure: this.#tenure, logger: this.#logger, holder }, { shutdownMs });
    this.#runtimeInfo = new RuntimeInfo(
      { logger: loggers.of('control'), handOver: (request) => this.#handOver.asked(request) },
      { directory: directory.path, askedByFile: waitMs > 0 },
    );
  }

  /** Takes the lock on `DATADIR`, waiting for it up to `p2p_datadir_wait`, and answers on the health and metrics ports. Throws ConfigurationError. */
  async init(): Promise<void> {
    const { signal } = this.#stopping;
    this.#initialising = this.#init(signal);
    try {
      await this.#initialising;
    } catch (error) {
      throw signal.aborted ? new AbortedError('the start was given up', { cause: error }) : error;
    }
  }

  async #init(signal: AbortSignal): Promise<void> {
    const { settings, directory, tls, secrets, tracing } = this.#dependencies;
    const logger = this.#logger;
    const prepare = () => this.#healthServers.start();
    const newcomer = new Newcomer({ tenure: this.#tenure, logger, prepare }, directory.path, signal);
    await directory.open(() => newcomer.held());
    newcomer.end();
    await this.#runtimeInfo.start();
    signal.throwIfAborted();
    await this.#healthServers.start();
    tls.start();
    secrets.start();
    for (const warning of kafkaSecurityWarnings(settings)) logger.warn(warning);
    const { clientName, p2p_gateway_node: peerId } = settings;
    await tracing.open({ peerId, clientName, version: this.#version });
    signal.throwIfAborted();
    const components = {
      dependencies: this.#dependencies,
      handOver: this.#handOver,
      runtimeInfo: this.#runtimeInfo,
      running: {
        ports: () => this.ports,
        readiness: () => this.health(false),
        setLogLevel: (level: string) => this.setLogLevel(level),
      },
    };
    this.#lifecycle = new Lifecycle(createGatewayParts(components, { version: this.#version }), logger);
  }

  /** Resolves when clients are served: the topic was read to its end, or cannot be reached. Rejects with what a part failed of; what had started is stopped. */
  async start(): Promise<void> {
    const { signal } = this.#stopping;
    const lifecycle = this.#lifecycle;
    if (lifecycle === undefined) throw new Error('the gateway is not initialised');
    const began = monotonic();
    try {
      this.#starting = lifecycle.start(signal);
      await this.#starting;
    } catch (error) {
      // Asked before the stop, which aborts what is left.
      const { aborted } = signal;
      if (this.handingOver) await this.#release();
      else await this.stop();
      throw aborted ? new AbortedError('the start was given up', { cause: error }) : error;
    }
    this.#healthServers.watch(lifecycle.metrics);
    this.#logger.info({ ms: Math.round(monotonic() - began), ports: this.ports }, 'ready');
  }

  get handingOver(): boolean {
    return this.#handOver.handingOver;
  }

  /** As of a server: resolves once `DATADIR` is another's, and rejects where something could not be ended in time. */
  get handedOver(): Promise<HandOverRequest> {
    return this.#handOver.done;
  }

  /** Stops everything, within `shutdown_timeout` and a little. Never rejects; every call waits for the same stop. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  health(checkLiveness: boolean): Promise<HealthReport> {
    return this.#healthServers.health(checkLiveness);
  }

  get ports(): GatewayPorts {
    return { http: 0, ...this.#lifecycle?.ports, ...this.#healthServers.ports };
  }

  /** What `/metrics` answers. */
  scrape(): Promise<string> {
    return this.#healthServers.scrape();
  }

  /** Changes the level of every logger in every process. Throws RangeError on a name that is no level. */
  async setLogLevel(level: string): Promise<void> {
    this.#dependencies.loggers.setLevel(level);
    await this.#lifecycle?.setLogLevel(level);
  }

  #checks(): readonly HealthCheck[] {
    if (this.#lifecycle?.isReady) return this.#lifecycle.health;
    return [{ resource: 'server', check: async () => this.#phase() }];
  }

  /** For readiness, while it is not ready. */
  #phase(): DependencyHealth {
    const resource = 'server';
    const handingOver = this.#handOver.health();
    if (handingOver !== undefined) return handingOver;
    if (this.#stopping.signal.aborted) return { resource, status: 503, error: 'stopping', message: '' };
    const waitsFor = this.#lifecycle?.current ?? 'DATADIR, which another server has';
    return { resource, status: 503, error: 'starting', message: `waits for ${waitsFor}` };
  }

  /** Ends everything but what holds the directory and what tells of health. Gives what did not end cleanly. */
  #release(): Promise<readonly string[]> {
    this.#released ??= this.#end();
    return this.#released;
  }

  async #end(): Promise<readonly string[]> {
    this.#stopping.abort();
    const { settings, tracing, tls, secrets } = this.#dependencies;
    const deadline = monotonic() + settings.shutdown_timeout;
    await this.#initialising?.catch(() => {});
    const unclean = await stopParts(this.#lifecycle, this.#starting, { handOver: this.#handOver, deadline });
    const unclosed = await closeAll(this.#logger, {
      traces: () => tracing.close(FLUSH_MS),
      'TLS files': () => tls.stop(),
      secrets: () => secrets.stop(),
    });
    return [...unclean, ...unclosed];
  }

  async #giveUp(): Promise<void> {
    await this.#runtimeInfo.stop();
    await this.#dependencies.directory.close();
  }

  async #stop(): Promise<void> {
    const logger = this.#logger;
    logger.info('stopping');
    const unclean = await this.#release();
    if (unclean.length === 0) await closeAll(logger, { DATADIR: () => this.#giveUp() });
    else {
      // They may still write there, so nobody else may: the system takes the lock and the socket back when the process ends.
      this.#runtimeInfo.unref();
      logger.warn({ parts: unclean }, 'DATADIR stays locked until this process ends');
    }
    await closeAll(logger, { probes: () => this.#healthServers.stop() });
    logger.info('stopped');
  }
}
