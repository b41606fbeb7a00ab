/** What notification servers read of a gateway: the journal of the present stretch, and the stream of what comes. */

import { join } from 'node:path';
import type { Registry } from 'prom-client';
import { createFrameStreamMetrics, type FrameStreamMetrics } from '../../shared/feed/metrics.js';
import { FrameStreamServer } from '../../shared/feed/stream-server.js';
import type { RecordPlace } from '../../shared/firehose/gateway-entry.js';
import type { DependencyHealth } from '../../shared/health.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { ShownRecord } from './intake.js';
import { Stretch, type StretchOptions } from './stretch.js';

/** For so long the journal of a former topic is kept for those who read it: they have to hear of the next one first. */
const LET_GO_MS = 60_000;

export interface GatewayFeedOptions extends StretchOptions {
  /** Path of the stream's local socket. */
  readonly socketPath: string;
}

export class GatewayFeed {
  readonly #logger: Logger;
  readonly #metrics: FrameStreamMetrics;
  readonly #options: GatewayFeedOptions;
  #stretch: Stretch | undefined;
  #server: FrameStreamServer | undefined;
  /** Of the topic before, still to be deleted. */
  #former: Stretch | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    { logger, registry }: { readonly logger: Logger; readonly registry: Registry },
    options: GatewayFeedOptions,
  ) {
    this.#logger = logger;
    this.#metrics = createFrameStreamMetrics(registry);
    this.#options = options;
  }

  /** Opens what an earlier run left, and serves it. Throws JournalUnusableError. */
  async open(): Promise<void> {
    this.#stretch = Stretch.open(this.#logger, this.#options);
    await this.#serve(this.#stretch);
  }

  /** Of the journal, absolute; before it is open, of one that there never is. */
  get directory(): string {
    return this.#stretch?.directory ?? join(this.#options.path, 'gateway-0');
  }

  /** The last record that was shown; undefined where none was. */
  get last(): RecordPlace | undefined {
    return this.#open.last;
  }

  /** Another topic begins: history begins anew, in another epoch, of which readers are told when they connect again. What they read meanwhile is kept for a while. */
  async beginAnew(): Promise<void> {
    await this.#server?.stop();
    this.#server = undefined;
    try {
      const former = this.#open;
      this.#stretch = former.next(this.#logger);
      this.#removeFormer();
      this.#former = former;
      this.#timer = setTimeout(() => this.#removeFormer(), LET_GO_MS);
    } finally {
      await this.serve();
    }
  }

  /** Has its readers served, where they are not. Rejects where the socket cannot be made. */
  async serve(): Promise<void> {
    if (this.#server === undefined) await this.#serve(this.#open);
  }

  /** Stores records, in order, and hands them to whoever reads. Throws JournalFailingError: then `last` says how far it came. */
  append(records: readonly ShownRecord[]): void {
    this.#open.append(records, (entries) => this.#server?.append(entries));
  }

  /** `records` of the topic will never be read: whoever reads on past them is told of a gap. */
  skip(records: number): void {
    this.#open.skip(records);
  }

  async close(): Promise<void> {
    await this.#server?.stop();
    this.#stretch?.close();
    this.#removeFormer();
  }

  health(): DependencyHealth {
    const resource = 'journal';
    const { journal } = this.#open;
    journal.mend();
    const { failure, pressure, bytes } = journal;
    const message = `${journal.end - journal.oldest.position} entries, ${bytes} bytes`;
    if (failure !== undefined) return { resource, status: 503, error: failure.message, message };
    return {
      resource,
      status: 200,
      message: pressure === undefined ? message : `${message}; a full disk has shortened the history`,
    };
  }

  #removeFormer(): void {
    clearTimeout(this.#timer);
    try {
      this.#former?.remove();
    } catch (error) {
      this.#logger.error({ err: error }, 'the history of a former topic is left: the next start deletes it');
    }
    this.#former = undefined;
  }

  get #open(): Stretch {
    if (this.#stretch === undefined) throw new Error('the journal is not open');
    return this.#stretch;
  }

  async #serve(stretch: Stretch): Promise<void> {
    const { journal, directory } = stretch;
    const server = new FrameStreamServer({
      socketPath: this.#options.socketPath,
      journal: {
        directory,
        epoch: journal.epoch,
        get end() {
          return journal.end;
        },
        get nextSeq() {
          return journal.nextSeq;
        },
      },
      logger: this.#logger,
      metrics: this.#metrics,
    });
    await server.start(stretch.greeting());
    this.#server = server;
  }
}
