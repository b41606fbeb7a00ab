/** The one logger: JSON lines on standard output from every thread and process, each component with a child of its own. */

import { type Logger, pino } from 'pino';
import { wall } from '../clock.js';
import { REDACTED, withoutSecrets } from '../redaction.js';
import { LogSink } from './log-sink.js';

export type { Logger };

/** Values under these names never reach a log line. */
const SECRET_PATHS = [
  'p2p_private_key',
  'p2p_shared_key',
  'grpc_admin_api_key',
  'blockchain_store',
  'KAFKA_SASL_PASSWORD',
  'apiKey',
  'password',
].flatMap((name) => [name, `*.${name}`]);

export interface LoggerOptions {
  /** trace, debug, info, warn, error, fatal or silent. */
  readonly level: string;
  /** On every line: which node of several this is, the same in all its processes and threads; left out where it has no name. */
  readonly node?: string | undefined;
  /** On every line: the part that speaks. Whoever leaves it out gives it with each line, or through {@link ComponentLoggers}. */
  readonly component?: string;
}

/**
 * A logger that writes to standard output at once, so that a line written just before a crash is there, and that no state of
 * standard output stops or ends. Threads write to
 * the same descriptor; a line is one write. What URLs carry in the way of secrets is left out of every line.
 */
export function createLogger({ level, node = '', component }: LoggerOptions): Logger {
  const named = node === '' ? {} : { node };
  return pino(
    {
      level,
      base: component === undefined ? named : { ...named, component },
      timestamp: () => `,"time":"${new Date(wall.shown()).toISOString()}"`,
      redact: { paths: SECRET_PATHS, censor: REDACTED },
      hooks: { streamWrite: withoutSecrets },
    },
    new LogSink(1, { ...named, component: component ?? 'log' }),
  );
}

/** A logger and a child for each component, whose levels change together at run time. */
export class ComponentLoggers {
  readonly #root: Logger;
  readonly #children: Logger[] = [];

  constructor(root: Logger) {
    this.#root = root;
  }

  /** The child of `component`; every line of it says so. */
  of(component: string): Logger {
    const child = this.#root.child({ component });
    this.#children.push(child);
    return child;
  }

  get level(): string {
    return this.#root.level;
  }

  /** From now on. Throws RangeError on a name that is no level. */
  setLevel(level: string): void {
    if (level !== 'silent' && !(level in this.#root.levels.values))
      throw new RangeError(`no log level ${level}`);
    for (const logger of [this.#root, ...this.#children]) logger.level = level;
  }
}
