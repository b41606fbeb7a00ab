/** Errors that a caller can tell apart by class or by `name`. */

import { withoutSecrets } from './redaction.js';

/** The settings do not make a server. Carries every problem at once, without secrets of URLs that it quotes. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
  /** One line a problem, each beginning with the setting's key. */
  readonly problems: readonly string[];

  constructor(quoting: readonly string[]) {
    const problems = quoting.map(withoutSecrets);
    super(problems.length === 1 ? problems[0] : `${problems.length} problems:\n  ${problems.join('\n  ')}`);
    this.problems = problems;
  }
}

/** A wait was given up because of an AbortSignal. */
export class AbortedError extends Error {
  override readonly name = 'AbortedError';
}

/** What was asked for is not there now and may be later: worth a retry. */
export class UnavailableError extends Error {
  override readonly name = 'UnavailableError';
}

/** The text of anything thrown. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
