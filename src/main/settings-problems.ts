/** Everything that is wrong with settings, before anything is built on them. */

import { ConfigurationError } from '../shared/errors.js';
import { kafkaSecurityProblems, onCluster } from '../shared/kafka/security-settings.js';
import { checkSettings } from '../shared/settings/checks.js';
import type { Settings } from '../shared/settings/table.js';
import { announcedUrls } from './announce/urls.js';
import { notificationProblems } from './notifications/index.js';

/** One line for each problem, beginning with its key; what several checks find wrong with one key is told once. */
export function settingsProblems(settings: Settings): readonly string[] {
  const problems = [...checkSettings(settings)];
  const named = new Set(problems.map(keyOf));
  problems.push(
    ...[
      ...notificationProblems(settings),
      ...urlProblems(settings),
      ...(onCluster(settings) ? kafkaSecurityProblems(settings) : []),
    ].filter((line) => !named.has(keyOf(line))),
  );
  return problems;
}

/** Throws ConfigurationError with every problem. */
export function refuseProblems(settings: Settings): void {
  const problems = settingsProblems(settings);
  if (problems.length > 0) throw new ConfigurationError(problems);
}

function urlProblems(settings: Settings): readonly string[] {
  try {
    announcedUrls(settings);
    return [];
  } catch (error) {
    if (error instanceof ConfigurationError) return error.problems;
    throw error;
  }
}

function keyOf(problem: string): string {
  return problem.split(':', 1)[0] ?? '';
}
