/** A logger that keeps its lines, so that a test can look at what was said. */

import { type Logger, pino } from 'pino';

export interface KeptLog {
  readonly logger: Logger;
  /** The lines so far, parsed. */
  readonly lines: Record<string, unknown>[];
}

/** A logger at trace level into memory. */
export function keptLog(): KeptLog {
  const lines: Record<string, unknown>[] = [];
  const logger = pino(
    { level: 'trace', base: {} },
    { write: (line: string) => lines.push(JSON.parse(line)) },
  );
  return { logger, lines };
}
