/** When this node says its status: at its start, at intervals, and soon after what is in it has changed. */

import { nodeStatus } from '../../shared/messages/index.js';
import type { AnnouncementPublisher } from './announcement-publisher.js';
import type { Status } from './status.js';

export interface StatusScheduleComponents {
  readonly status: Pick<Status, 'current'>;
  readonly publisher: AnnouncementPublisher;
}

export interface StatusScheduleOptions {
  /** Milliseconds from one status to the next while nothing changes. */
  readonly intervalMs: number;
  /** Milliseconds between two statuses that changes call for. */
  readonly spacingMs: number;
}

export class StatusSchedule {
  readonly #components: StatusScheduleComponents;
  readonly #options: StatusScheduleOptions;
  #timer: NodeJS.Timeout | undefined;
  #publishing: Promise<void> | undefined;
  #isWanted = false;
  #isStopped = false;
  #last = Number.NEGATIVE_INFINITY;

  constructor(components: StatusScheduleComponents, options: StatusScheduleOptions) {
    this.#components = components;
    this.#options = options;
  }

  /** Says the first; resolves when it has been said. Never rejects. */
  start(): Promise<void> {
    return this.#publish();
  }

  /** Resolves when the one that is being said has been. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    await this.#publishing;
  }

  /** Something has changed. No two statuses are too close: in a catch-up every block is a new best. */
  soon(): void {
    this.#isWanted = true;
    if (this.#publishing !== undefined) return;
    this.#later(Math.max(0, this.#last + this.#options.spacingMs - performance.now()));
  }

  #later(wait: number): void {
    clearTimeout(this.#timer);
    if (this.#isStopped) return;
    this.#timer = setTimeout(() => {
      this.#publish().catch(() => {});
    }, wait);
  }

  /** One at a time. Never rejects. */
  #publish(): Promise<void> {
    if (this.#publishing !== undefined) return this.#publishing;
    const { status, publisher } = this.#components;
    this.#last = performance.now();
    this.#isWanted = false;
    this.#publishing = status
      .current()
      .then((current) => publisher.publish(nodeStatus, current))
      .then(() => {
        this.#publishing = undefined;
        // What came while this one was said is in the next.
        if (this.#isWanted) this.soon();
        else this.#later(this.#options.intervalMs);
      });
    return this.#publishing;
  }
}
