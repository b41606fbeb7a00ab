/** Refused connections: each is counted, and the log has a line a minute at the most of newcomers that were kept out. */

import type { Logger } from '../../../shared/logging/logger.js';
import type { PeripheryMetrics, RefusalReason } from '../metrics/periphery-metrics.js';

/** Somebody wants more than its share. The others happen on any quiet day: scanners connect and say nothing. */
const TOLD: ReadonlySet<RefusalReason> = new Set<RefusalReason>([
  'address_rate',
  'address_connections',
  'connection_places',
  'handshake_share',
  'handshake_places',
]);
const LOG_EVERY_MS = 60_000;

export interface RefusalsComponents {
  readonly logger: Logger;
  readonly metrics: Pick<PeripheryMetrics, 'connectionsRefused'>;
}

export class Refusals {
  readonly #components: RefusalsComponents;
  /** Inbound ones since the last line. */
  readonly #untold = new Map<RefusalReason, number>();
  #told = Number.NEGATIVE_INFINITY;

  constructor(components: RefusalsComponents) {
    this.#components = components;
  }

  count(direction: 'inbound' | 'outbound', reason: RefusalReason, fields: Record<string, string>): void {
    const { logger, metrics } = this.#components;
    metrics.connectionsRefused.inc({ direction, reason });
    logger.debug({ direction, reason, ...fields }, 'connection refused');
    if (direction === 'outbound') return;
    this.#untold.set(reason, (this.#untold.get(reason) ?? 0) + 1);
    const now = performance.now();
    if (!TOLD.has(reason) || now - this.#told < LOG_EVERY_MS) return;
    this.#told = now;
    logger.warn(
      { closed: Object.fromEntries(this.#untold), last: fields },
      'closing inbound connections beyond their share',
    );
    this.#untold.clear();
  }
}
