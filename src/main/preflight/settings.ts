/** Everything that is wrong with settings, before anything is built on them. */

import { ConfigurationError, errorMessage } from '../../shared/errors.js';
import { channelProblems } from '../../shared/grpc/channel.js';
import { adminKeyFileProblems } from '../../shared/secrets/secrets.js';
import { checkSettings } from '../../shared/settings/checks.js';
import { onCluster } from '../../shared/settings/kafka-topics.js';
import type { SettingsOrigin } from '../../shared/settings/load.js';
import type { SettingKey, Settings } from '../../shared/settings/table.js';
import { compressionProblem } from '../../shared/sinks/kafka/kafkajs/compression.js';
import { kafkaSecurityProblems } from '../../shared/sinks/kafka/security-settings.js';
import { announcedUrls } from '../announce/urls.js';
import { miningProblem } from '../chain/embedded-chain.js';
import { grpcServerProblems } from '../grpc/server.js';
import { notificationProblems } from '../websocket/index.js';
import { islandProblems } from './isolation.js';

const NEIGHBOURS = [
  'blockchain_grpcAddress',
  'blockvalidation_grpcAddress',
  'blockassembly_grpcAddress',
] as const satisfies readonly SettingKey[];

/**
 * One line for each problem, beginning with its key; what several checks find wrong with one value is told once. `unread`:
 * keys whose values could not be read, so that `settings` has their defaults, of which nothing is to be concluded; `origin`: where they were found.
 */
export function settingsProblems(
  settings: Settings,
  unread: ReadonlySet<string> = new Set(),
  origin?: SettingsOrigin,
): readonly string[] {
  const told = new Told();
  told.add(checkSettings(settings, unread));
  // What the parts would throw when they are built or started, asked of all of them at once.
  for (const problems of [
    notificationProblems(settings),
    grpcServerProblems(settings),
    thrown('asset_httpAddress', () => announcedUrls(settings)),
    onCluster(settings) ? kafkaSecurityProblems(settings) : [],
    compressionProblems(settings),
    NEIGHBOURS.some((key) => settings[key] !== undefined || unread.has(key)) ? channelProblems(settings) : [],
    adminKeyFileProblems(settings),
    embeddedProblems(settings, unread),
    unread.size === 0 ? islandProblems(settings, origin) : [],
  ]) {
    told.add(problems);
  }
  return told.problems;
}

/** Throws ConfigurationError with every problem. */
export function refuseProblems(settings: Settings, origin?: SettingsOrigin): void {
  const problems = settingsProblems(settings, new Set(), origin);
  if (problems.length > 0) throw new ConfigurationError(problems);
}

/** Problems of several checks: a later one says nothing of a value that an earlier one has spoken of. */
class Told {
  readonly problems: string[] = [];

  add(lines: readonly string[]): void {
    const before = this.problems.map(subjectOf);
    for (const line of lines) {
      const { key, value } = subjectOf(line);
      const same = before.some(
        (one) => one.key === key && (one.value === value || one.value === undefined || value === undefined),
      );
      if (!same) this.problems.push(line);
    }
  }
}

/** The key of a problem and, where it goes on with one in quotes, the value or the entry of a list that it is about. */
function subjectOf(problem: string): { readonly key: string; readonly value: string | undefined } {
  const [, key = '', value] = /^([^:]*)(?:: ("(?:[^"\\]|\\.)*"))?/.exec(problem) ?? [];
  return { key, value };
}

/** What `check` throws, as lines; that of an error that names no key begins with `key`. */
function thrown(key: SettingKey, check: () => unknown): readonly string[] {
  try {
    check();
    return [];
  } catch (error) {
    return error instanceof ConfigurationError ? error.problems : [`${key}: ${errorMessage(error)}`];
  }
}

function compressionProblems({ p2p_kafka_compression }: Settings): readonly string[] {
  const problem = compressionProblem(p2p_kafka_compression);
  return problem === undefined ? [] : [`p2p_kafka_compression: ${problem}`];
}

function embeddedProblems(settings: Settings, unread: ReadonlySet<string>): readonly string[] {
  const problems: string[] = [];
  const mining = settings.blockchain_grpcAddress === undefined ? miningProblem(settings) : undefined;
  if (mining !== undefined && !unread.has('network')) problems.push(mining);
  if (settings.p2p_embedded_rejected_tx_interval > 0 && settings.kafka_rejectedTxConfig === undefined) {
    problems.push('p2p_embedded_rejected_tx_interval: needs kafka_rejectedTxConfig');
  }
  return problems;
}
