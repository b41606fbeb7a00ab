/** The tokens of `p2p_feed_tokens_file`, as they are now. */

import { Gauge, type Registry } from 'prom-client';
import { ConfigurationError } from '../../shared/errors.js';
import { type FeedToken, parseTokens } from '../../shared/firehose/tokens.js';
import type { DependencyHealth } from '../../shared/health.js';
import type { Logger } from '../../shared/logging/logger.js';
import { SecretFile } from '../../shared/secrets/secret-file.js';

const SETTING = 'p2p_feed_tokens_file';

/** What is wrong with the file; nothing where none is set. */
export function feedTokenProblems(path: string): readonly string[] {
  if (path === '') return [];
  try {
    new SecretFile({ parse: parseTokens }, { setting: SETTING, path });
    return [];
  } catch (error) {
    if (error instanceof ConfigurationError) return error.problems;
    throw error;
  }
}

export interface FeedTokensComponents {
  readonly logger: Logger;
  readonly registry: Registry;
}

export class FeedTokens {
  readonly #file: SecretFile<readonly FeedToken[]>;

  /** Reads the file. Throws ConfigurationError naming the setting where it cannot be used. */
  constructor({ logger, registry }: FeedTokensComponents, path: string) {
    const file = new SecretFile({ parse: parseTokens, logger }, { setting: SETTING, path });
    this.#file = file;
    new Gauge({
      name: 'teranode_p2p_feed_tokens',
      help: 'Tokens that are in use for the feed.',
      registers: [registry],
      collect() {
        this.set(file.current.length);
      },
    });
    new Gauge({
      name: 'teranode_p2p_feed_tokens_refused',
      help: '1 while the file of tokens is gone or wrong, so that those that were in it stay in use.',
      registers: [registry],
      collect() {
        this.set(file.refused === undefined ? 0 : 1);
      },
    });
  }

  get current(): readonly FeedToken[] {
    return this.#file.current;
  }

  onChange(listener: (tokens: readonly FeedToken[]) => void): void {
    this.#file.onChange(listener);
  }

  start(): void {
    this.#file.start();
  }

  stop(): void {
    this.#file.stop();
  }

  /** For readiness: a file that is wrong is a warning, for those who have a token go on. */
  health(): DependencyHealth {
    const { refused } = this.#file;
    const message = refused === undefined ? `${this.current.length} in use` : `warning: ${refused}`;
    return { resource: 'feed tokens', status: 200, message };
  }
}
