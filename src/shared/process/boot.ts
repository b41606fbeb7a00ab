/** Which run of the machine this is. */

import { readFileSync } from 'node:fs';
import { uptime } from 'node:os';
import { wall } from '../clock.js';

/** The same text until the machine starts anew. */
export function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    // No Linux. A clock that is set looks like a start: that costs an epoch at the most.
    return `minute ${Math.round((wall.boot() / 1000 - uptime()) / 60)}`;
  }
}
