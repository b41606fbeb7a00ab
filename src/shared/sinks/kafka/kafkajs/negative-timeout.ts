/**
 * kafkajs 2.2.4 sets a timer with a negative delay after each request that was not throttled, and Node 24 warns of each
 * (`TimeoutNegativeWarning`). The delay is made the 1 ms that Node turns it into anyway. The timer sets itself again for as long as
 * the connection lives, a thousand times a second and connection; it is only set while a request waits for its turn.
 */

import { createRequire } from 'node:module';
import { libraryTime } from '../../../clock.js';

interface RequestQueue {
  throttledUntil: number;
  readonly pending: readonly unknown[];
  scheduleCheckPendingRequests(): void;
}

const corrected = Symbol('delay is never negative');

/** Corrects the library once in this thread, however often it is called. */
export function correctNegativeTimeouts(): void {
  const require = createRequire(import.meta.url);
  const { prototype } = require('kafkajs/src/network/requestQueue') as {
    prototype: RequestQueue & { [corrected]?: true };
  };
  if (prototype[corrected] === true) return;
  prototype[corrected] = true;
  const schedule = prototype.scheduleCheckPendingRequests;
  prototype.scheduleCheckPendingRequests = function (this: RequestQueue): void {
    if (this.pending.length === 0) return;
    const { throttledUntil } = this;
    this.throttledUntil = Math.max(throttledUntil, libraryTime() + 1);
    try {
      schedule.call(this);
    } finally {
      // Left as it was, or requests would wait that millisecond.
      this.throttledUntil = throttledUntil;
    }
  };
}
