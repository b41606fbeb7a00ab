/** Notifications of an embedded chain to its subscribers, in order. */

import { UnavailableError } from '../../shared/errors.js';
import type { ChainNotification } from './types.js';

/** Notifications waiting for one subscriber at the most: one that is further behind is cut and subscribes again. */
const MAX_WAITING = 10_000;

interface Subscriber {
  push(notification: ChainNotification): void;
  end(error: Error): void;
}

export class NotificationFeed {
  readonly #subscribers = new Set<Subscriber>();

  push(notification: ChainNotification): void {
    for (const subscriber of this.#subscribers) subscriber.push(notification);
  }

  /** Ends every subscription with `error`, after what waits. */
  end(error: Error): void {
    for (const subscriber of [...this.#subscribers]) subscriber.end(error);
  }

  /** `opening`, then everything pushed from this call on, until the signal. Throws what ended the feed. */
  subscribe(opening: ChainNotification, signal: AbortSignal): AsyncIterable<ChainNotification> {
    const waiting: ChainNotification[] = [opening];
    const subscribers = this.#subscribers;
    let failure: Error | undefined;
    let wake = (): void => {};
    const subscriber: Subscriber = {
      push(notification) {
        if (waiting.length >= MAX_WAITING) subscriber.end(new UnavailableError('fell behind the chain'));
        else waiting.push(notification);
        wake();
      },
      end(error) {
        failure ??= error;
        subscribers.delete(subscriber);
        wake();
      },
    };
    const abort = (): void => {
      waiting.length = 0;
      subscribers.delete(subscriber);
      wake();
    };
    if (!signal.aborted) {
      subscribers.add(subscriber);
      signal.addEventListener('abort', abort, { once: true });
    }
    return (async function* () {
      try {
        while (!signal.aborted) {
          const next = waiting.shift();
          if (next !== undefined) yield next;
          else if (failure !== undefined) throw failure;
          else
            await new Promise<void>((resolve) => {
              wake = resolve;
            });
        }
      } finally {
        subscribers.delete(subscriber);
        signal.removeEventListener('abort', abort);
      }
    })();
  }
}
