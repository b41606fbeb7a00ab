/** A part of the server: what there is to say of it stands in one place, and adding one is an entry in the list of parts. */

import type { HealthCheck, VitalSign } from '../health.js';
import type { MetricSource } from '../metrics/source.js';

export interface Part {
  /** For the log and, while it starts, for readiness. Another for each part. */
  readonly name: string;
  /** Resolves when the part does its work. A long wait gives up with the signal. */
  start?(signal: AbortSignal): void | Promise<void>;
  /** When every part has started. */
  ready?(): void;
  /** When the stop begins, before any part is ended: what must not happen any more from then on. */
  beforeStop?(): void;
  /** Ends the part by `deadline` (monotonic). Called also where `start` failed half-way, and never where it was not called. */
  stop?(deadline: number): void | Promise<void>;
  /** Asked for readiness, once every part has started. */
  readonly health?: readonly HealthCheck[];
  /** Asked for liveness, from the moment the parts are built. */
  readonly vitals?: readonly VitalSign[];
  /** Told when every part has started, for the scrapes from then on. What is in main's own registry needs no source. */
  metrics?(): readonly MetricSource[];
  /** Changes the level of the loggers in its threads and processes, also of those to come. */
  setLogLevel?(level: string): void | Promise<void>;
  /** The TCP ports that it listens on now, by name, also where the settings said 0. */
  ports?(): Readonly<Record<string, number | undefined>>;
}
