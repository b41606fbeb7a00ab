import type { DrainerMeters } from '../../shared/sinks/metrics.js';
import type { Sink } from '../../shared/sinks/types.js';

/** One sink of one topic. */
export interface Outlet {
  /** In metrics, log lines and on the command line. */
  readonly topic: string;
  /** Id of the topic whose records it takes; 0 where it takes frames. */
  readonly id: number;
  /** Where the sink is and what setting says so, for readiness. */
  readonly place: string;
  readonly sink: (epoch: string) => Sink;
  /** Where it takes frames and no records: it is owed none, so what is lost to it is counted here. */
  readonly frames?: DrainerMeters & { lost(frames: number): void };
}
