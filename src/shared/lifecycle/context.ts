/** What every part of the server may use. */

import type { Registry } from 'prom-client';
import type { ComponentLoggers } from '../logging/logger.js';
import type { Settings } from '../settings/table.js';
import type { Tracing } from '../tracing/tracing.js';

export interface PartContext {
  /** Loaded and checked (`loadSettings`). */
  readonly settings: Settings;
  /** Their levels change together. */
  readonly loggers: ComponentLoggers;
  /** Of the main process; the figures of the others are added at each scrape. */
  readonly registry: Registry;
  /** Of the main process. */
  readonly tracing: Tracing;
}
