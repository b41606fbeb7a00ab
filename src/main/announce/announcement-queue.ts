/** Notifications of the chain on their way to the network: in order, one at a time, bounded. */

import { QUEUES } from '../../shared/queues.js';

/** Waiting at the most: a chain that tells more than the network is told in minutes has no news in it. */
const MAX_WAITING = QUEUES.announcements.bounds.notifications;

export interface QueuedAnnouncement {
  readonly kind: 'block' | 'subtree' | 'mining_on';
  /** Announces it. Whatever it rejects with has been counted. */
  readonly announce: () => Promise<void>;
}

export interface AnnouncementQueueListener {
  waiting(count: number): void;
  shed(kind: QueuedAnnouncement['kind']): void;
}

export class AnnouncementQueue {
  readonly #listener: AnnouncementQueueListener;
  readonly #bound: number;
  #waiting: QueuedAnnouncement[] = [];
  #working: Promise<void> | undefined;
  #stopped = false;

  constructor(listener: AnnouncementQueueListener, bound = MAX_WAITING) {
    this.#listener = listener;
    this.#bound = bound;
  }

  /** When full, the oldest subtree goes, or where there is none the oldest of all. */
  push(announcement: QueuedAnnouncement): void {
    if (this.#stopped) return;
    if (this.#waiting.length >= this.#bound) {
      const subtree = this.#waiting.findIndex(({ kind }) => kind === 'subtree');
      const [gone] = this.#waiting.splice(Math.max(0, subtree), 1);
      if (gone !== undefined) this.#listener.shed(gone.kind);
    }
    this.#waiting.push(announcement);
    this.#listener.waiting(this.#waiting.length);
    this.#working ??= this.#work();
  }

  /** Resolves when nothing waits and nothing is under way. */
  async idle(): Promise<void> {
    while (this.#working !== undefined) await this.#working;
  }

  /** Drops what waits; resolves when what is under way is done. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#waiting = [];
    await this.#working;
  }

  async #work(): Promise<void> {
    for (;;) {
      const batch = this.#waiting;
      if (batch.length === 0) break;
      const next = batch.shift();
      await next?.announce().catch(() => {});
      this.#listener.waiting(this.#waiting.length);
    }
    this.#working = undefined;
  }
}
