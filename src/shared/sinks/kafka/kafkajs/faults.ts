/** Which of the three faults an error of kafkajs is. */

import { errorMessage } from '../../../errors.js';
import { BrokerFaultError, RecordFaultError, TopicFaultError } from '../types.js';
import { COLON } from './sockets.js';

/** Kafka's error codes, by the names that kafkajs gives them. Those in neither list are the broker's. */
const RECORD_FAULTS: ReadonlySet<string> = new Set([
  // Of a batch above max.message.bytes, and of one above segment.bytes: bisecting tells whether a single record is.
  'MESSAGE_TOO_LARGE',
  'RECORD_LIST_TOO_LARGE',
  'CORRUPT_MESSAGE',
  'INVALID_RECORD',
]);
const TOPIC_FAULTS: ReadonlySet<string> = new Set([
  'UNKNOWN_TOPIC_OR_PARTITION',
  'INVALID_TOPIC_EXCEPTION',
  'TOPIC_AUTHORIZATION_FAILED',
  'CLUSTER_AUTHORIZATION_FAILED',
  'GROUP_AUTHORIZATION_FAILED',
  'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
  'SASL_AUTHENTICATION_FAILED',
  'UNSUPPORTED_SASL_MECHANISM',
  'ILLEGAL_SASL_STATE',
  'POLICY_VIOLATION',
  'INVALID_PARTITIONS',
  'INVALID_REPLICATION_FACTOR',
  'INVALID_CONFIG',
  'SECURITY_DISABLED',
  // These say nothing of a single record: this machine's clock is off, or the topic takes no such batches. Every record
  // would be a dead letter.
  'INVALID_TIMESTAMP',
  'UNSUPPORTED_FOR_MESSAGE_FORMAT',
  'UNSUPPORTED_COMPRESSION_TYPE',
]);
const TOPIC_FAULT_NAMES: ReadonlySet<string> = new Set(['KafkaJSSASLAuthenticationError']);

/** After these a producer's sequence numbers and the broker's do not meet again, or its topic is another. */
const ENDS_IDENTITY: ReadonlySet<string> = new Set([
  'OUT_OF_ORDER_SEQUENCE_NUMBER',
  'DUPLICATE_SEQUENCE_NUMBER',
  'UNKNOWN_PRODUCER_ID',
  'INVALID_PRODUCER_EPOCH',
  'INVALID_PRODUCER_ID_MAPPING',
  'UNKNOWN_TOPIC_OR_PARTITION',
]);

const SASL_MECHANISM_FAULTS: ReadonlySet<string> = new Set([
  'UNSUPPORTED_SASL_MECHANISM',
  'ILLEGAL_SASL_STATE',
]);

interface KafkaJsError extends Error {
  readonly type?: string;
  /** `host:port` as the settings or the cluster have it. */
  readonly broker?: string;
  readonly errors?: readonly unknown[];
}

/** `error` and everything it was caused by or is made of, itself first. */
function* causes(error: unknown, depth = 0): Generator<KafkaJsError> {
  if (!(error instanceof Error) || depth > 8) return;
  yield error;
  yield* causes(error.cause, depth + 1);
  for (const part of (error as KafkaJsError).errors ?? []) yield* causes(part, depth + 1);
}

/** Kafka's name of what is behind `error`; undefined when no broker said it. */
export function faultType(error: unknown): string | undefined {
  for (const { type } of causes(error)) if (type !== undefined) return type;
  return undefined;
}

/** Whether a producer that met `error` can send nothing more as itself. */
export function endsIdentity(error: unknown): boolean {
  return ENDS_IDENTITY.has(faultType(error) ?? '');
}

/** The settings that the brokers' refusal of who this is hangs on, before its message; others name theirs themselves. */
function settingsAtFault(error: unknown): string {
  for (const { type, name, message } of causes(error)) {
    if (SASL_MECHANISM_FAULTS.has(type ?? '') || message.includes('mechanism is not supported')) {
      return 'KAFKA_SASL_MECHANISM: ';
    }
    if (type === 'SASL_AUTHENTICATION_FAILED' || name === 'KafkaJSSASLAuthenticationError') {
      return 'KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD: ';
    }
  }
  return '';
}

/**
 * What failed, and at which broker, out of the library's words around it: `Connection error: ` as often as it was handed on, and for a broker that
 * hung up or said nothing no address at all.
 */
function reasonOf(error: unknown): string {
  // The library stumbles over answers that did not come.
  if (error instanceof TypeError) return 'no broker answered';
  const message = errorMessage(error)
    .replaceAll('Connection error: ', '')
    .replace(/^connect (E[A-Z]+) .*$/, 'connect $1');
  const named = [...causes(error)].find(({ broker }) => typeof broker === 'string')?.broker ?? '';
  const host = named.replace(/:\d+$/, '').replaceAll(COLON, ':');
  const broker = host.includes(':') ? named.replace(/^.*(?=:)/, `[${host}]`) : named;
  if (message === 'Closed connection' || message === 'Connection closed by the server')
    return `${broker} closed the connection`;
  if (message === 'Connection timeout') return `${broker} does not answer`;
  return named === '' || message.includes(host) ? message : `${broker}: ${message}`;
}

/** The fault that stands for `error`, which stays its cause. `what` begins the message; Kafka's name of the error ends it. */
export function faultFrom(error: unknown, what: string): Error {
  const setting = settingsAtFault(error);
  for (const { type = '', name, message: reason } of causes(error)) {
    const message = `${what}: ${setting}${reason}${type === '' ? '' : ` (${type})`}`;
    if (RECORD_FAULTS.has(type)) return new RecordFaultError(message, { cause: error });
    if (TOPIC_FAULTS.has(type) || TOPIC_FAULT_NAMES.has(name)) {
      return new TopicFaultError(message, { cause: error });
    }
  }
  const reason = reasonOf(error);
  const type = faultType(error);
  return new BrokerFaultError(`${what}: ${setting}${reason}${type === undefined ? '' : ` (${type})`}`, {
    cause: error,
  });
}
