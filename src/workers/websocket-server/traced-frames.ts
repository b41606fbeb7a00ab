/** Frames that are traced, on their way to the clients. */

import { monotonic } from '../../shared/clock.js';
import type { Traces } from '../../shared/feed/stream.js';
import { frameOf, type JournalledEntry } from '../../shared/journal/entry.js';
import { messagingValues } from '../../shared/tracing/messaging.js';
import type { Tracers } from '../../shared/tracing/tracing.js';
import type { TraceParent } from '../../shared/tracing/types.js';
import { ENDPOINT } from './app.js';

/** Frames to come that are remembered: what is told comes at once. */
const MAX_TOLD = 10_000;

export class TracedFrames {
  readonly #tracers: Tracers;
  readonly #clients: () => number;
  /** By sequence number, ascending. */
  readonly #told = new Map<number, TraceParent>();

  constructor({ tracers, clients }: { readonly tracers: Tracers; readonly clients: () => number }) {
    this.#tracers = tracers;
    this.#clients = clients;
  }

  tell(traces: Traces['traces']): void {
    for (const [seq, parent] of traces) this.#told.set(seq, parent);
    for (const seq of this.#told.keys()) {
      if (this.#told.size <= MAX_TOLD) return;
      this.#told.delete(seq);
    }
  }

  /** Has `publish` hand on `entries`, and tells of those that are traced. */
  publishing(entries: readonly JournalledEntry[], publish: () => void): void {
    if (this.#told.size === 0) {
      publish();
      return;
    }
    const at = monotonic();
    publish();
    const ended = monotonic();
    for (const { seq, bytes } of entries) {
      const parent = this.#told.get(seq);
      if (parent === undefined) continue;
      this.#told.delete(seq);
      this.#tracers.tracer
        ?.start(`send ${ENDPOINT}`, {
          kind: 'producer',
          parent,
          at,
          values: {
            ...messagingValues('websocket', 'send', ENDPOINT),
            'messaging.message.body.size': frameOf(bytes).length,
            'teranode.p2p.clients': this.#clients(),
          },
        })
        ?.end(ended);
    }
  }
}
