/** The notification servers: processes on one port, supervised, with one count of connections. */

import { ConfigurationError, UnavailableError } from '../../shared/errors.js';
import type {
  NotificationServerConfig,
  NotificationServerOrder,
  PlaceAnswer,
} from '../../shared/feed/control.js';
import type { CursorsOf } from '../../shared/firehose/cursor-schemes.js';
import { connectionLimits } from '../../shared/firehose/tokens.js';
import type { DependencyHealth, HealthChecked } from '../../shared/health.js';
import type { Logger } from '../../shared/logging/logger.js';
import { ConnectionLedger, type ConnectionLimits, type Visitor } from '../../shared/net/connection-ledger.js';
import type { ListenAddress } from '../../shared/net/listen-address.js';
import type { Settings } from '../../shared/settings/table.js';
import { serverFiles, type TlsFileSet, type TlsFiles, tlsFileProblems } from '../../shared/tls/files.js';
import type { TracingOrder } from '../../shared/tracing/types.js';
import { type FeedTokens, feedTokenProblems } from './feed-tokens.js';
import type { NotificationsMetrics } from './metrics.js';
import { probePort } from './probe.js';
import { ServerProcess, type ServerProcessComponents } from './server-process.js';

export { createNotificationsMetrics } from './metrics.js';

const LISTEN_SETTING = 'p2p_httpListenAddress';

type NotificationSettings = Pick<
  Settings,
  | 'p2p_notification_servers'
  | 'p2p_httpListenAddress'
  | 'p2p_websocket_max_connections'
  | 'p2p_websocket_max_connections_per_source'
  | 'p2p_generation'
  | 'clientName'
  | 'p2p_heap_notification_server'
  | 'p2p_websocket_trusted_source_cidrs'
  | 'p2p_websocket_trusted_proxies'
  | 'p2p_websocket_allowed_origins'
  | 'p2p_websocket_text_ping'
  | 'p2p_websocket_client_buffer'
  | 'p2p_websocket_transport'
  | 'p2p_feed_tokens_file'
  | 'securityLevelHTTP'
  | 'server_certFile'
  | 'server_keyFile'
>;

export interface NotificationServersComponents {
  readonly settings: NotificationSettings;
  readonly logger: Logger;
  readonly metrics: NotificationsMetrics;
  /** Undefined: nobody needs a token. */
  readonly tokens?: FeedTokens | undefined;
}

export interface NotificationServersOptions {
  /** Where the publisher serves frames. */
  readonly frameSocketPath: string;
  /** Base58, for the text ping. */
  readonly peerId: string;
  /** This node's data hub URL, for the text ping; empty: left out. */
  readonly baseUrl: string;
  /**
   * Whose journal it is that the frames are of.
   * @default 'node'
   */
  readonly cursors?: CursorsOf;
  /** Undefined: nothing is traced. */
  readonly tracing?: TracingOrder | undefined;
  /**
   * Milliseconds between two beats, ten of which a process may leave unanswered.
   * @default 1_000
   */
  readonly beatMs?: number;
}

/** What is wrong with the files of HTTPS and of tokens, each line beginning with its setting. */
export function notificationProblems(settings: NotificationSettings): readonly string[] {
  return [
    ...tlsFileProblems(notificationFiles(settings)),
    ...feedTokenProblems(settings.p2p_feed_tokens_file),
  ];
}

/** The files of HTTPS, where it is on. */
export function notificationFiles(settings: NotificationSettings): TlsFileSet | undefined {
  const tls = tlsOf(settings);
  return tls === undefined ? undefined : serverFiles(tls);
}

function tlsOf(settings: NotificationSettings): TlsFiles | undefined {
  return settings.securityLevelHTTP === 1
    ? { certFile: settings.server_certFile, keyFile: settings.server_keyFile }
    : undefined;
}

export class NotificationServers implements HealthChecked {
  readonly #address: ListenAddress;
  readonly #limits: ConnectionLimits;
  readonly #ledger: ConnectionLedger;
  #processes: ServerProcess[] = [];
  #status = '';
  #greeting = '';
  #level: string;
  #port = 0;
  #build = '';
  #elsewhere = false;

  /** Throws ConfigurationError on the problems of {@link notificationProblems}. */
  constructor(
    private readonly components: NotificationServersComponents,
    private readonly options: NotificationServersOptions,
  ) {
    const { settings, logger } = components;
    const problems = notificationProblems(settings);
    if (problems.length > 0) throw new ConfigurationError(problems);
    this.#address = settings.p2p_httpListenAddress;
    this.#level = logger.level;
    this.#limits = {
      max: settings.p2p_websocket_max_connections,
      perSource: settings.p2p_websocket_max_connections_per_source,
      trusted: settings.p2p_websocket_trusted_source_cidrs,
    };
    this.#ledger = new ConnectionLedger(this.#limits);
    const { tokens } = components;
    this.#ledger.setTokenLimits(connectionLimits(tokens?.current));
    tokens?.onChange((current) => {
      this.#ledger.setTokenLimits(connectionLimits(current));
      for (const each of this.#processes) each.send({ type: 'tokens', tokens: current });
    });
  }

  /** The port listened on; 0 before `start`. */
  get port(): number {
    return this.#port;
  }

  /** Processes that listen now. */
  get serving(): number {
    return this.#processes.filter((each) => each.serving).length;
  }

  /** Connections counted over all processes. */
  get connections(): number {
    return this.#ledger.total;
  }

  /** Process ids of those that live. */
  get pids(): readonly number[] {
    return this.#processes.flatMap((each) => each.pid ?? []);
  }

  /** Lets the processes load while others start. They serve nobody before `start`, and are ended by `stop`. */
  prepare(): void {
    const { settings } = this.components;
    this.#processes = Array.from({ length: settings.p2p_notification_servers }, (_, index) =>
      this.#process(index),
    );
    for (const each of this.#processes) each.prepare();
  }

  /** Resolves when every process listens. Throws ConfigurationError, naming setting and port, where one cannot. */
  async start(): Promise<void> {
    if (this.#processes.length === 0) this.prepare();
    try {
      this.#port = await probePort(this.#address, LISTEN_SETTING);
      const started = await Promise.all(this.#processes.map((each) => each.start()));
      this.#processes = this.#processes.filter((_, index) => started[index] !== undefined);
      this.#listens(started[0] ?? '', started.length);
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Another server takes over: `stop` tells clients to connect again. */
  handOver(): void {
    this.#elsewhere = true;
  }

  /** From now on no process is started, whatever becomes of those that run: `stop` follows. */
  retire(): void {
    for (const each of this.#processes) each.retire();
  }

  /** Clients are ended with 1001, or 1012 where another server takes over. Resolves when every process is gone. */
  async stop(): Promise<void> {
    await Promise.all(this.#processes.map((each) => each.stop(this.#elsewhere)));
    this.#processes = [];
    this.components.metrics.serving.set(0);
  }

  /** What `/api/status` answers from now on: JSON of a NodeStatusReport. */
  setStatus(json: string): void {
    this.#status = json;
    for (const each of this.#processes) each.send({ type: 'status', json });
  }

  setLevel(level: string): void {
    this.#level = level;
    for (const each of this.#processes) each.send({ type: 'level', level });
  }

  /** A source of prom-client's JSON for each process; one that does not answer within a second rejects. */
  get metricSources(): readonly (() => Promise<{ instance: number; metrics: readonly object[] }>)[] {
    return this.#processes.map((each, index) => async () => {
      const metrics = await each.metrics();
      if (each.pid === undefined || metrics.length === 0) {
        throw new UnavailableError(`notification server ${index + 1} does not answer`);
      }
      return { instance: each.pid, metrics };
    });
  }

  async health(): Promise<DependencyHealth> {
    const all = this.#processes.length;
    const streaming = this.#processes.filter((each) => each.serving && each.streaming).length;
    const resource = 'notification servers';
    const message = `${this.serving} of ${all} serve, ${streaming} hear the publisher, ${this.connections} clients, through ${this.#build}`;
    if (this.serving === 0) return { resource, status: 503, error: 'no notification server serves', message };
    if (streaming === 0) return { resource, status: 503, error: 'the publisher is not reached', message };
    const crowded = this.#processes.filter((each) => each.crowded).length;
    if (crowded > 0) {
      const error = `clients are refused in ${crowded}: open files run out, raise the limit (ulimit -n)`;
      return { resource, status: 503, error, message };
    }
    return { resource, status: 200, message };
  }

  #listens(build: string, wanted: number): void {
    const { logger, metrics } = this.components;
    const processes = this.#processes.length;
    this.#build = build;
    metrics.transport.set({ build }, 1);
    logger.info({ port: this.#port, processes, build }, 'notification servers listen');
    if (processes < wanted)
      logger.warn({ wanted }, 'one notification server serves: processes cannot share a port here');
  }

  #process(index: number): ServerProcess {
    const { logger, metrics } = this.components;
    const holder = `notification server ${index + 1}`;
    const counted = (change: 'taken' | 'released' | 'gone', visitors: readonly Visitor[]) => {
      metrics.connections.set(this.#ledger.total);
      const order: NotificationServerOrder = { type: 'others', holder, change, visitors };
      for (const [other, process] of this.#processes.entries()) if (other !== index) process.send(order);
    };
    const components: ServerProcessComponents = {
      logger,
      config: () => this.#config(index),
      admit: (visitors) => {
        const answers = visitors.map((visitor) => this.#admit(holder, visitor));
        const granted = visitors.filter((_, each) => answers[each] === 'granted');
        metrics.refused.inc(visitors.length - granted.length);
        if (granted.length > 0) counted('taken', granted);
        return answers;
      },
      release: (visitors) => {
        for (const visitor of visitors) this.#ledger.release(holder, ...visitor);
        counted('released', visitors);
      },
      changed: ({ ended }) => {
        if (ended) this.#ledger.releaseHolder(holder);
        if (ended) counted('gone', []);
        metrics.serving.set(this.serving);
      },
      greeting: (json) => {
        this.#greeting = json;
      },
      restarted: () => metrics.restarts.inc(),
      hung: () => metrics.hangs.inc(),
    };
    return new ServerProcess(components, {
      ...this.options,
      node: this.components.settings.clientName,
      heapMb: this.components.settings.p2p_heap_notification_server,
    });
  }

  #admit(holder: string, [address, token]: Visitor): PlaceAnswer {
    if (this.#ledger.admit(holder, address, token)) return 'granted';
    return this.#ledger.tokenHasRoom(token) ? 'too_many_connections' : 'token_in_use';
  }

  #config(index: number): NotificationServerConfig {
    const { settings } = this.components;
    return {
      host: this.#address.host ?? '',
      port: this.#port,
      tls: tlsOf(settings),
      frameSocketPath: this.options.frameSocketPath,
      cursors: this.options.cursors ?? 'node',
      trustedProxies: settings.p2p_websocket_trusted_proxies,
      allowedOrigins: settings.p2p_websocket_allowed_origins,
      clientBuffer: settings.p2p_websocket_client_buffer,
      textPing: settings.p2p_websocket_text_ping,
      baseUrl: this.options.baseUrl,
      peerId: this.options.peerId,
      generation: settings.p2p_generation,
      logLevel: this.#level,
      transport: settings.p2p_websocket_transport,
      index,
      status: this.#status,
      greeting: this.#greeting,
      limits: this.#limits,
      tokens: this.components.tokens?.current,
      tracing: this.options.tracing,
      held: this.#ledger.held(),
    };
  }
}
