/** A notification server: frames in from the stream, WebSocket frames out, and the page beside them. */

import { wall } from '../../shared/clock.js';
import { ConnectionLedger } from '../../shared/connection-ledger.js';
import type { NotificationServerConfig, NotificationServerOrder } from '../../shared/frames/control.js';
import { FrameStreamClient } from '../../shared/frames/stream-client.js';
import type { Logger } from '../../shared/logging.js';
import { checkTlsFiles } from '../../shared/tls-files.js';
import { Admission, type AdmissionDesk } from './admission.js';
import { type AppParts, NotificationApp } from './app.js';
import { CertificateWatch } from './certificate.js';
import { CLOSE, Clients } from './clients.js';
import type { NotificationServerMetrics } from './metrics.js';
import { AllowedOrigins } from './origins.js';
import { loadPage } from './page-files.js';
import type { LoadedUws } from './uws.js';

/** Former apps that may still have clients after certificates changed; above it the oldest one's are ended. */
const MAX_RETIRED = 4;
const RETIRED_LOOK_MS = 10_000;

export interface NotificationServerComponents {
  readonly logger: Logger;
  readonly metrics: NotificationServerMetrics;
  readonly uws: LoadedUws;
  readonly desk: AdmissionDesk;
  /** Whether the publisher is reached. */
  readonly streaming: (connected: boolean) => void;
  /** A new own `node_status`, for processes that come later. */
  readonly greeting: (json: string) => void;
}

export class NotificationServer {
  readonly admission: Admission;
  readonly #ledger: ConnectionLedger;
  readonly #clients: Clients;
  readonly #stream: FrameStreamClient;
  readonly #parts: AppParts;
  #app: NotificationApp | undefined;
  #retired: NotificationApp[] = [];
  #certificate: CertificateWatch | undefined;
  #timer: NodeJS.Timeout | undefined;
  #status: string;
  #port = 0;

  constructor(
    private readonly components: NotificationServerComponents,
    private readonly config: NotificationServerConfig,
  ) {
    const { logger, metrics } = components;
    this.#status = config.status;
    this.#ledger = new ConnectionLedger(config.limits);
    for (const [holder, source, count] of config.held) this.#ledger.take(holder, source, count);
    this.admission = new Admission(components.desk, this.#ledger);
    this.#clients = new Clients({
      clientBuffer: config.clientBuffer,
      textPing: config.textPing
        ? { baseUrl: config.baseUrl, peerId: config.peerId, generation: config.generation }
        : undefined,
      logger,
      metrics,
    });
    if (config.greeting !== '') this.#clients.setGreeting(Buffer.from(config.greeting));
    this.#parts = {
      clients: this.#clients,
      admission: this.admission,
      origins: new AllowedOrigins(config.allowedOrigins),
      page: loadPage(),
      metrics,
      status: () => this.#status,
    };
    let inherited = config.greeting !== '';
    this.#stream = new FrameStreamClient(
      {
        logger,
        handlers: {
          frames: (frames) => {
            for (const frame of frames) this.#clients.publish(frame.json);
            const newest = frames.at(-1);
            if (newest !== undefined)
              metrics.latency.set(Math.max(0, wall.told() - newest.receivedAt) / 1000);
          },
          gap: () => {
            logger.warn({ clients: this.#clients.size }, 'frames were missed: clients are closed');
            metrics.evictions.inc({ reason: 'gap' }, this.#clients.size);
            this.#clients.endAll(CLOSE.restart, 'frames were missed');
          },
          ownStatus: (frame, told) => {
            this.#clients.setGreeting(frame.json);
            // No frame brings it: who was greeted with what this process was born with gets it so.
            if (told && inherited) this.#clients.publish(frame.json);
            inherited = false;
            components.greeting(Buffer.from(frame.json).toString());
          },
          connected: components.streaming,
        },
      },
      { socketPath: config.frameSocketPath },
    );
  }

  /**
   * Listens, and resolves with the port. Throws ConfigurationError where the certificate is missing or bad, and rejects where
   * the port cannot be had.
   */
  async start(): Promise<number> {
    const { config, components } = this;
    if (config.tls !== undefined) {
      checkTlsFiles(config.tls);
      const watch = new CertificateWatch(
        {
          logger: components.logger,
          changed: () => this.#renew(),
          refused: () => components.metrics.certificate.inc({ outcome: 'refused' }),
        },
        config.tls,
      );
      this.#certificate = watch;
      await watch.start();
    }
    this.#app = new NotificationApp(components.uws, this.#parts, config.tls);
    this.#port = await this.#app.listen(config.host, config.port);
    this.#clients.start();
    this.#stream.start();
    this.#timer = setInterval(() => this.#sweep(), RETIRED_LOOK_MS);
    return this.#port;
  }

  setStatus(json: string): void {
    this.#status = json;
  }

  /** What another process did to the count that all share. */
  countOthers({ holder, change, addresses }: NotificationServerOrder & { type: 'others' }): void {
    if (change === 'gone') this.#ledger.releaseHolder(holder);
    for (const address of addresses) {
      if (change === 'taken') this.#ledger.take(holder, address);
      else this.#ledger.release(holder, address);
    }
  }

  /** Ends every client with 1001 and closes everything, in the order that uWebSockets.js needs. */
  stop(): void {
    clearInterval(this.#timer);
    this.#certificate?.stop();
    this.#stream.stop();
    this.#app?.stopListening();
    this.#clients.stop();
    this.admission.stop();
    for (const app of [...this.#retired, ...(this.#app === undefined ? [] : [this.#app])]) app.close();
    this.#retired = [];
    this.#app = undefined;
  }

  /** The certificate changed: a new app listens beside the old one, which keeps its clients and gets no more. */
  #renew(): void {
    const { logger, metrics, uws } = this.components;
    const former = this.#app;
    let app: NotificationApp;
    try {
      app = new NotificationApp(uws, this.#parts, this.config.tls);
    } catch (error) {
      logger.error({ err: error }, 'new certificate refused, the old one stays');
      metrics.certificate.inc({ outcome: 'refused' });
      return;
    }
    app.listen(this.config.host, this.#port).then(
      () => {
        this.#app = app;
        if (former !== undefined) {
          former.stopListening();
          this.#retired.push(former);
        }
        this.#sweep();
        metrics.certificate.inc({ outcome: 'reloaded' });
        logger.info('certificate reloaded');
      },
      (error: unknown) => {
        app.close();
        metrics.certificate.inc({ outcome: 'refused' });
        logger.error({ err: error }, 'new certificate refused, the old one stays');
      },
    );
  }

  #sweep(): void {
    const oldest = this.#retired.length > MAX_RETIRED ? this.#retired[0] : undefined;
    oldest?.endClients(CLOSE.restart, 'certificate changed');
    this.#retired = this.#retired.filter((app) => {
      if (app.clients > 0) return true;
      app.close();
      return false;
    });
  }
}
