/** A notification server: frames in from the stream, WebSocket frames out, and the page beside them. */

import { wall } from '../../shared/clock.js';
import type { NotificationServerConfig, NotificationServerOrder } from '../../shared/feed/control.js';
import { FrameStreamClient } from '../../shared/feed/stream-client.js';
import { CURSOR_SCHEMES } from '../../shared/firehose/cursor-schemes.js';
import { connectionLimits, type FeedToken } from '../../shared/firehose/tokens.js';
import { frameOf, receivedAtOf } from '../../shared/journal/entry.js';
import type { Logger } from '../../shared/logging/logger.js';
import { ConnectionLedger } from '../../shared/net/connection-ledger.js';
import { serverFiles } from '../../shared/tls/files.js';
import { TlsWatch } from '../../shared/tls/watch.js';
import type { Tracers } from '../../shared/tracing/tracing.js';
import { Admission, type AdmissionQuota } from './admission.js';
import { HistoryApi } from './api/index.js';
import { ENDPOINT, NotificationApp } from './app.js';
import { Clients } from './clients.js';
import { DescriptorPolicy } from './descriptor-policy.js';
import { documentResources } from './documents/resources.js';
import { LiveFeed } from './feed/live-feed.js';
import { FeedRequests } from './feed-request.js';
import { pageResources } from './http/page.js';
import { HttpPolicy } from './http-policy.js';
import type { NotificationServerMetrics } from './metrics.js';
import { AllowedOrigins } from './origins.js';
import { loadPage } from './page-files.js';
import { TrustedProxies } from './proxies.js';
import { createSse } from './sse/index.js';
import type { EventStreams } from './sse/streams.js';
import { Tokens } from './tokens.js';
import { TracedFrames } from './traced-frames.js';
import type { Listener, Transport } from './transport/index.js';

/** WIRE §6: what a client may send at once. */
const MAX_MESSAGE_BYTES = 1024;
/** Ends what neither sends nor takes anything; pings come more often. */
const IDLE_SECONDS = 120;

export interface NotificationServerComponents {
  readonly logger: Logger;
  readonly metrics: NotificationServerMetrics;
  readonly transport: Transport;
  readonly quota: AdmissionQuota;
  /** Whether the publisher is reached. */
  readonly streaming: (connected: boolean) => void;
  /** Whether clients are refused for want of open files. */
  readonly crowded: (crowded: boolean) => void;
  /** A new own `node_status`, for processes that come later. */
  readonly greeting: (json: string) => void;
  readonly tracers: Tracers;
}

export class NotificationServer {
  readonly admission: Admission;
  readonly tokens: Tokens;
  readonly #ledger: ConnectionLedger;
  readonly #clients: Clients;
  readonly #feed: LiveFeed;
  readonly #stream: FrameStreamClient;
  readonly #streams: EventStreams;
  readonly #api: HistoryApi;
  readonly #app: NotificationApp;
  readonly #descriptors: DescriptorPolicy;
  #listener: Listener | undefined;
  #certificate: TlsWatch | undefined;
  #status: string;

  constructor(
    private readonly components: NotificationServerComponents,
    private readonly config: NotificationServerConfig,
  ) {
    const { logger, metrics } = components;
    this.#status = config.status;
    this.#ledger = new ConnectionLedger(config.limits);
    this.#ledger.copy(config.held);
    this.#ledger.setTokenLimits(connectionLimits(config.tokens));
    this.tokens = new Tokens(config.tokens);
    this.admission = new Admission(components.quota, this.#ledger);
    this.#clients = new Clients({
      clientBuffer: config.clientBuffer,
      textPing: config.textPing
        ? { baseUrl: config.baseUrl, peerId: config.peerId, generation: config.generation }
        : undefined,
      feed: () => this.#feed,
      logger,
      metrics,
    });
    const scheme = CURSOR_SCHEMES[config.cursors];
    this.#feed = new LiveFeed(
      {
        logger,
        metrics,
        live: () => this.#stream.position,
        node: () => this.#clients.greeting,
      },
      { scheme, clientBuffer: config.clientBuffer },
    );
    if (config.greeting !== '') this.#clients.setGreeting(Buffer.from(config.greeting));
    this.#descriptors = new DescriptorPolicy({
      logger,
      crowded: components.crowded,
      clients: () => this.#clients.size + this.#streams.size + this.#api.size,
    });
    const origins = new AllowedOrigins(config.allowedOrigins);
    const sse = createSse({
      feed: this.#feed,
      admission: this.admission,
      descriptors: this.#descriptors,
      origins,
      tokens: this.tokens,
      clientBuffer: config.clientBuffer,
      metrics,
      logger,
    });
    this.#streams = sse.streams;
    this.#api = new HistoryApi(
      { end: () => this.#stream.position, tokens: this.tokens, logger, metrics },
      { scheme, limits: config.limits },
    );
    this.#app = new NotificationApp({
      clients: this.#clients,
      feedRequests: new FeedRequests(
        {
          feed: this.#feed,
          renderings: this.#feed.renderings((topic, message, binary) =>
            this.#listener?.publish(topic, message, binary),
          ),
          tokens: this.tokens,
          admission: this.admission,
        },
        {
          peerId: config.peerId,
          clientBuffer: config.clientBuffer,
          maxMessageBytes: MAX_MESSAGE_BYTES,
        },
      ),
      admission: this.admission,
      descriptors: this.#descriptors,
      policy: new HttpPolicy(config.limits, config.trustedProxies),
      proxies: new TrustedProxies(config.trustedProxies),
      origins,
      feed: [sse.resource, ...this.#api.resources],
      resources: [...pageResources(loadPage(), () => this.#status), ...documentResources()],
      metrics,
      logger,
    });
    const traced = new TracedFrames({ tracers: components.tracers, clients: () => this.#clients.size });
    const bornAt = wall.date();
    let inherited = config.greeting !== '';
    this.#stream = new FrameStreamClient(
      {
        logger,
        handlers: {
          frames: (entries) => {
            traced.publishing(entries, () => {
              for (const { bytes } of entries) this.#clients.publish(frameOf(bytes));
              this.#feed.publish(entries);
            });
            const newest = entries.at(-1);
            if (newest !== undefined)
              metrics.latency.set(Math.max(0, wall.told() - receivedAtOf(newest.bytes)) / 1000);
          },
          gap: () => {
            this.#feed.gap();
            const clients = this.#clients.gap();
            logger.warn({ clients }, 'frames were missed: clients that cannot be told so are closed');
            metrics.evictions.inc({ reason: 'gap' }, clients);
          },
          ownStatus: (entry, told) => {
            const json = frameOf(entry);
            this.#clients.setGreeting(json);
            // No frame brings it: who was greeted with what this process was born with gets it so.
            if (told && inherited) this.#clients.publish(json);
            inherited = false;
            components.greeting(Buffer.from(json).toString());
          },
          journal: (directory, epoch) => {
            this.#feed.journal(directory, epoch);
            this.#api.journal(directory, epoch);
          },
          connected: components.streaming,
          traced: (traces) => traced.tell(traces),
        },
      },
      {
        socketPath: config.frameSocketPath,
        traces: components.tracers.tracer !== undefined,
        // Who was greeted meanwhile, with what this process was born with, misses nothing of what came since.
        since: () => (this.#clients.size > 0 ? bornAt : undefined),
      },
    );
  }

  /**
   * Listens, and resolves with the port. Throws ConfigurationError where the certificate is missing or bad, and rejects where
   * the port cannot be had.
   */
  async start(): Promise<number> {
    const { config, components } = this;
    if (config.tls !== undefined) {
      // Main looks at the same files, and tells what is wrong with them.
      this.#certificate = new TlsWatch(
        { refused: () => components.metrics.certificate.inc({ outcome: 'refused' }) },
        { websocket: serverFiles(config.tls) },
      );
      this.#certificate.of('websocket')?.onChange(() => this.#renew());
      this.#certificate.start();
    }
    const { tls, host, port } = config;
    this.#listener = components.transport.listener(
      { tls, endpoint: ENDPOINT, maxMessageBytes: MAX_MESSAGE_BYTES, idleSeconds: IDLE_SECONDS },
      this.#app,
    );
    this.#clients.publishThrough(this.#listener);
    const taken = await this.#listener.listen(host, port);
    this.#clients.start();
    this.#streams.start();
    this.#feed.start();
    this.#stream.start();
    this.#descriptors.start(this.#listener, config.limits.max);
    return taken;
  }

  setStatus(json: string): void {
    this.#status = json;
  }

  /** The file of tokens has changed. */
  setTokens(tokens: readonly FeedToken[]): void {
    this.tokens.set(tokens);
    this.#ledger.setTokenLimits(connectionLimits(tokens));
    this.#clients.tokensChanged((token) => this.tokens.holds(token));
    this.#streams.tokensChanged((token) => this.tokens.holds(token));
  }

  /** What another process did to the count that all share. */
  countOthers({ holder, change, visitors }: NotificationServerOrder & { type: 'others' }): void {
    if (change === 'gone') this.#ledger.releaseHolder(holder);
    for (const visitor of visitors) {
      if (change === 'taken') this.#ledger.take(holder, ...visitor);
      else this.#ledger.release(holder, ...visitor);
    }
  }

  /**
   * Ends every client, with 1001, or 1012 where another server takes over, and closes everything, in the order that uWebSockets.js needs.
   */
  stop({ elsewhere = false } = {}): void {
    this.#certificate?.stop();
    this.#descriptors.stop();
    this.#stream.stop();
    this.#listener?.stopListening();
    this.#clients.stop(elsewhere);
    this.#streams.stop();
    this.#api.stop();
    this.#feed.stop();
    this.admission.stop();
    this.#listener?.close();
    this.#listener = undefined;
  }

  #renew(): void {
    const { logger, metrics } = this.components;
    this.#listener?.renew().then(
      () => {
        metrics.certificate.inc({ outcome: 'reloaded' });
        logger.info('certificate reloaded');
      },
      (error: unknown) => {
        metrics.certificate.inc({ outcome: 'refused' });
        logger.error({ err: error }, 'new certificate refused, the old one stays');
      },
    );
  }
}
