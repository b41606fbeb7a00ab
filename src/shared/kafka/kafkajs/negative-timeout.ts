/**
 * kafkajs 2.2.4 sets a timer with a negative delay after each request that was not throttled, and Node 24 warns of each
 * (`TimeoutNegativeWarning`). The delay is made the 1 ms that Node turns it into anyway.
 */

import { createRequire } from 'node:module';

interface RequestQueue {
  throttledUntil: number;
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
    const { throttledUntil } = this;
    this.throttledUntil = Math.max(throttledUntil, Date.now() + 1);
    try {
      schedule.call(this);
    } finally {
      // Left as it was, or requests would wait that millisecond.
      this.throttledUntil = throttledUntil;
    }
  };
}
