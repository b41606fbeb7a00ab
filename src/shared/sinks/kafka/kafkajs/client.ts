/** A kafkajs client for the brokers of one URL: TLS, SASL, timeouts, retries, and its log turned into ours. */

import type { ConnectionOptions } from 'node:tls';
import type { Kafka, LogEntry, RetryOptions, SASLOptions } from 'kafkajs';
import type { Logger } from '../../../logging/logger.js';
import type { Secrets } from '../../../secrets/secrets.js';
import type { KafkaTopicUrl } from '../../../settings/values/kafka-topic.js';
import type { Pem } from '../../../tls/files.js';
import type { WatchedPem } from '../../../tls/watch.js';
import {
  type KafkaSasl,
  type KafkaSecuritySettings,
  type KafkaTls,
  readKafkaSecurity,
} from '../security-settings.js';
import { compressionCodecs } from './compression.js';
import { boundFetchedBatches } from './fetched-batches.js';
import { kafkajs } from './library.js';
import { correctNegativeTimeouts } from './negative-timeout.js';
import { keepSessions } from './session-length.js';
import { namingSockets, seedOf } from './sockets.js';

/** 100, 200, 400, 500, 500 ms: less than 2 s together. What needs longer waits in the outbox, where it is seen. */
export const RETRY: RetryOptions = {
  initialRetryTime: 100,
  multiplier: 2,
  factor: 0,
  maxRetryTime: 500,
  retries: 5,
};
/**
 * A producer's: 100 and 200 ms, enough for a leader that moved. The library tries again inside of what it tries again, and
 * three times three attempts on a broker that refuses take 2 s, after which the outbox has it and readiness says so.
 */
export const PRODUCER_RETRY: RetryOptions = { ...RETRY, retries: 2 };
const CONNECTION_TIMEOUT_MS = 2000;
/** A broker may wait for its replicas; a request given up too early is sent twice. */
export const REQUEST_TIMEOUT_MS = 10_000;

/**
 * Each connection takes the files of `watched`, and the password of `secrets`, as they are then; without them they are read once. Throws ConfigurationError when a file of
 * TLS or SASL is missing or unusable, or credentials are not whole.
 */
export function createKafkaClient(
  url: KafkaTopicUrl,
  settings: KafkaSecuritySettings,
  logger: Logger,
  {
    retry = RETRY,
    watched,
    secrets,
  }: {
    readonly retry?: RetryOptions;
    readonly watched?: WatchedPem | undefined;
    readonly secrets?: Pick<Secrets, 'kafkaPassword'> | undefined;
  } = {},
): Kafka {
  correctNegativeTimeouts();
  boundFetchedBatches();
  keepSessions();
  // The library knows gzip alone, and what it knows is one table for all its clients.
  const { CompressionCodecs, Kafka, logLevel } = kafkajs();
  Object.assign(CompressionCodecs, compressionCodecs());
  const { tls, sasl } = readKafkaSecurity(settings);
  return new Kafka({
    clientId: 'teranode-p2p',
    brokers: url.brokers.map(seedOf),
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    retry,
    logLevel: logLevel.INFO,
    logCreator: () => (entry) => log(logger, entry),
    socketFactory: namingSockets({
      setting: url.setting,
      sasl: sasl !== undefined,
      tls: watched && (() => filesOf(watched.current)),
    }),
    ...(tls === undefined ? {} : { ssl: tlsOptions(tls) }),
    ...(sasl === undefined ? {} : { sasl: saslOptions(sasl, secrets) }),
  });
}

/**
 * A line at each attempt to reach a broker, to send or to be a member, several a second while one is away or refuses: who waits
 * says so once.
 */
const CHATTY = new Set(['Connection', 'BrokerPool', 'Producer', 'Consumer', 'Runner']);

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
  const { ERROR, WARN } = kafkajs().logLevel;
  const loud = level === ERROR || level === WARN;
  if (loud && !CHATTY.has(namespace) && !namespace.startsWith('SaslAuthenticator'))
    logger.warn(bindings, message);
  else logger.debug(bindings, message);
}

function tlsOptions({ verify, ca, cert, key }: KafkaTls): ConnectionOptions {
  return {
    rejectUnauthorized: verify,
    ...filesOf({ ca, cert, key }),
  };
}

function filesOf({ ca, cert, key }: Pem): ConnectionOptions {
  return {
    ...(ca === undefined ? {} : { ca: [ca] }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
}

const MECHANISMS = {
  PLAIN: 'plain',
  'SCRAM-SHA-256': 'scram-sha-256',
  'SCRAM-SHA-512': 'scram-sha-512',
} as const;

/** The library hands the object on as it is, and reads the password of it whenever a connection authenticates. */
function saslOptions(
  { mechanism, username, password }: KafkaSasl,
  secrets: Pick<Secrets, 'kafkaPassword'> | undefined,
): SASLOptions {
  return {
    mechanism: MECHANISMS[mechanism],
    username,
    get password() {
      return secrets?.kafkaPassword ?? password;
    },
  } as SASLOptions;
}
