/** A kafkajs client for the brokers of one URL: TLS, timeouts, retries, and its log turned into ours. */

import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import kafkajs, { type Kafka, type LogEntry, type RetryOptions } from 'kafkajs';
import { ConfigurationError, errorMessage } from '../../errors.js';
import type { Logger } from '../../logging.js';
import type { Settings } from '../../settings/table.js';
import type { KafkaTopicUrl } from '../url.js';
import { correctNegativeTimeouts } from './negative-timeout.js';

/** The settings that the driver reads. */
export type KafkaTlsSettings = Pick<
  Settings,
  | 'KAFKA_ENABLE_TLS'
  | 'KAFKA_TLS_SKIP_VERIFY'
  | 'KAFKA_TLS_CA_FILE'
  | 'KAFKA_TLS_CERT_FILE'
  | 'KAFKA_TLS_KEY_FILE'
>;

/** 100, 200, 400, 500, 500 ms: less than 2 s together. What needs longer waits in the outbox, where it is seen. */
export const RETRY: RetryOptions = {
  initialRetryTime: 100,
  multiplier: 2,
  factor: 0,
  maxRetryTime: 500,
  retries: 5,
};
const CONNECTION_TIMEOUT_MS = 2000;
/** A broker may wait for its replicas; a request given up too early is sent twice. */
export const REQUEST_TIMEOUT_MS = 10_000;

/** Throws ConfigurationError when a TLS file is missing or unreadable. */
export function createKafkaClient(url: KafkaTopicUrl, tls: KafkaTlsSettings, logger: Logger): Kafka {
  correctNegativeTimeouts();
  const ssl = tlsOptions(tls);
  return new kafkajs.Kafka({
    clientId: 'teranode-p2p',
    brokers: [...url.brokers],
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    retry: RETRY,
    logLevel: kafkajs.logLevel.INFO,
    logCreator: () => (entry) => log(logger, entry),
    ...(ssl === undefined ? {} : { ssl }),
  });
}

/** A line at each attempt to reach a broker, several a second while one is away: who waits for it says so once. */
const CHATTY = new Set(['Connection', 'BrokerPool']);

/**
 * One line each of kafkajs. Its errors are warnings here: whoever called it gets a fault and says what follows. Its
 * information is for those who look closely.
 */
function log(
  logger: Logger,
  { namespace, level, log: { message, timestamp: _, ...fields } }: LogEntry,
): void {
  const { logger: _name, ...rest } = fields;
  const bindings = { kafkajs: namespace, ...rest };
  const loud = level === kafkajs.logLevel.ERROR || level === kafkajs.logLevel.WARN;
  if (loud && !CHATTY.has(namespace)) logger.warn(bindings, message);
  else logger.debug(bindings, message);
}

function tlsOptions(settings: KafkaTlsSettings): ConnectionOptions | undefined {
  if (!settings.KAFKA_ENABLE_TLS) return undefined;
  const problems: string[] = [];
  const read = (key: 'KAFKA_TLS_CA_FILE' | 'KAFKA_TLS_CERT_FILE' | 'KAFKA_TLS_KEY_FILE') => {
    const path = settings[key];
    if (path === '') return undefined;
    try {
      return readFileSync(path);
    } catch (error) {
      problems.push(`${key}: cannot be read: ${errorMessage(error)}`);
      return undefined;
    }
  };
  const ca = read('KAFKA_TLS_CA_FILE');
  const cert = read('KAFKA_TLS_CERT_FILE');
  const key = read('KAFKA_TLS_KEY_FILE');
  if ((settings.KAFKA_TLS_CERT_FILE === '') !== (settings.KAFKA_TLS_KEY_FILE === '')) {
    const missing = settings.KAFKA_TLS_CERT_FILE === '' ? 'KAFKA_TLS_CERT_FILE' : 'KAFKA_TLS_KEY_FILE';
    problems.push(`${missing}: client certificate and key are needed together or not at all`);
  }
  if (problems.length > 0) throw new ConfigurationError(problems);
  return {
    rejectUnauthorized: !settings.KAFKA_TLS_SKIP_VERIFY,
    ...(ca === undefined ? {} : { ca: [ca] }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
}
