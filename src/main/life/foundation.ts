/** In what a server and a gateway differ. */

import type { HealthCheck } from '../../shared/health.js';
import type { Part } from '../../shared/lifecycle/part.js';
import type { TracingOrder } from '../../shared/tracing/types.js';
import type { HandOver } from '../hand-over/hand-over.js';
import type { RuntimeInfo } from './runtime-info.js';
import type { Running } from './status-part.js';

/** What the parts are built with, whatever they are parts of. */
export interface LifeComponents {
  readonly handOver: HandOver;
  readonly running: Running;
  readonly runtimeInfo: RuntimeInfo;
  /** What other threads and processes are told of tracing. */
  readonly tracing: TracingOrder | undefined;
}

/** What the parts stand on, and which there are: opened before they are built, closed after the last of them has ended. */
export interface Foundation {
  /** As the log names it. */
  readonly name: 'server' | 'gateway';
  /** What is waited for until the parts are built, for readiness. */
  readonly waitsFor: string;
  /** For the log, of settings that are taken and may not be meant. */
  readonly warnings?: readonly string[];
  /** Base58, of a node once it is known, for the log. */
  readonly peerId?: string;
  /** Whether the log tells also of the end of what was never started. */
  readonly tellsEveryStop?: boolean;
  /** Another server has `DATADIR`: resolves when this one could use it. */
  prepare?(signal: AbortSignal): Promise<void>;
  /** `DATADIR` is open. Gives the ID of the node, Base58. What it throws is what `init` throws; then `closing` is still to be called. */
  open(signal: AbortSignal): Promise<string>;
  /** Builds the parts, in the order of their start. Nothing runs yet. */
  build(components: LifeComponents): readonly Part[];
  /** Asked for readiness until the parts have started. */
  readonly health?: readonly HealthCheck[];
  /** What is to be closed, by name, in this order. */
  readonly closing?: Readonly<Record<string, () => unknown>>;
}
