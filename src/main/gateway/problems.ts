/** What is wrong with the settings of a gateway, which reads few of them. */

import { ConfigurationError } from '../../shared/errors.js';
import { clashingPorts } from '../../shared/settings/checks.js';
import type { Settings } from '../../shared/settings/table.js';
import { kafkaSecurityProblems } from '../../shared/sinks/kafka/security-settings.js';
import { notificationProblems } from '../websocket/index.js';

/** Addresses that a gateway listens on, and a server besides its others. */
export const GATEWAY_PORTS = [
  'p2p_httpListenAddress',
  'health_check_httpListenAddress',
  'profilerAddr',
] as const;

/** One line for each problem, beginning with its key. `unread`: keys whose values could not be read, of which nothing is to be concluded. */
export function gatewayProblems(
  settings: Settings,
  unread: ReadonlySet<string> = new Set(),
): readonly string[] {
  return [
    ...topicProblems(settings, unread),
    ...clashingPorts(settings, unread, GATEWAY_PORTS),
    ...notificationProblems(settings),
    ...kafkaSecurityProblems(settings),
  ];
}

/** Throws ConfigurationError with every problem. */
export function refuseGatewayProblems(settings: Settings): void {
  const problems = gatewayProblems(settings);
  if (problems.length > 0) throw new ConfigurationError(problems);
}

function topicProblems(settings: Settings, unread: ReadonlySet<string>): readonly string[] {
  const key = 'kafka_notificationsConfig';
  if (unread.has(key)) return [];
  const url = settings[key];
  if (url === undefined) return [`${key}: must not be empty: a gateway is fed by this topic`];
  if (url.scheme === 'memory')
    return [`${key}: must be a kafka:// URL: the embedded broker is a server's own, and a gateway has none`];
  return [];
}
