/** The URLs that name a Kafka topic in the settings (WIRE §3), parsed. */

import { ConfigurationError } from '../../errors.js';

/** One topic, as its setting describes it. Times in milliseconds, sizes in bytes. */
export interface KafkaTopicUrl {
  /** Key of the setting, for errors and logs. */
  readonly setting: string;
  /** `memory` is the embedded broker. */
  readonly scheme: 'kafka' | 'memory';
  /** `host:port`; empty for `memory`. */
  readonly brokers: readonly string[];
  readonly topic: string;
  readonly partitions: number;
  readonly replication: number;
  /** -1 keeps records for ever, as in Kafka. */
  readonly retentionMs: number;
  readonly segmentBytes: number;
  readonly flushBytes: number;
  readonly flushMessages: number;
  readonly flushFrequencyMs: number;
  readonly consumerRatio: number;
  /** Where a new group starts: the oldest offset or the newest. `offsetReset` wins over `replay`. */
  readonly fromOldest: boolean;
  readonly maxProcessingTimeMs: number | undefined;
  readonly sessionTimeoutMs: number | undefined;
  readonly heartbeatIntervalMs: number | undefined;
  readonly rebalanceTimeoutMs: number | undefined;
  /** Parameters that nothing here reads: worth a warning. */
  readonly unknownParameters: readonly string[];
}

/** Kafka's own rule for topic names. */
const TOPIC_NAME = /^[a-zA-Z0-9._-]{1,249}$/;
const DEFAULT_PORT = 9092;
const DURATION_UNITS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/**
 * Parses the value of `setting`. Throws ConfigurationError with every problem in it, each line beginning with the
 * setting's key.
 */
export function parseKafkaUrl(setting: string, text: string): KafkaTopicUrl {
  const problems: string[] = [];
  const problem = (message: string): void => {
    problems.push(`${setting}: ${message}`);
  };
  const parts = /^([a-z]+):\/\/([^/?#]*)\/?([^?#]*)(?:\?([^#]*))?$/i.exec(text.trim());
  if (parts === null) {
    throw new ConfigurationError([
      `${setting}: ${quoted(text)} is no Kafka URL; expected kafka://host:9092/<topic>?partitions=1 or memory://embedded/<topic>`,
    ]);
  }
  const [, rawScheme = '', authority = '', rawTopic = '', query = ''] = parts;
  const scheme = rawScheme.toLowerCase();
  if (scheme !== 'kafka' && scheme !== 'memory') {
    problem(`scheme "${scheme}" is unknown; expected kafka or memory`);
  }
  if (text.includes('@')) problem('credentials in the URL are not supported');
  const brokers = scheme === 'kafka' ? parseBrokers(authority, problem) : [];
  if (!TOPIC_NAME.test(rawTopic) || rawTopic === '.' || rawTopic === '..') {
    problem(
      rawTopic === ''
        ? 'the topic after the host is missing'
        : `topic ${quoted(rawTopic, text)} must be 1 to 249 letters, digits, dots, underscores or hyphens`,
    );
  }

  const parameters = new Parameters(query, problem);
  const replay = parameters.integer('replay', 1, 0, 1);
  const offsetReset = parameters.choice('offsetReset', ['latest', 'earliest']);
  const url: KafkaTopicUrl = {
    setting,
    scheme: scheme === 'memory' ? 'memory' : 'kafka',
    brokers,
    topic: rawTopic,
    partitions: parameters.integer('partitions', 1, 1, 10_000),
    replication: parameters.integer('replication', 1, 1, 100),
    retentionMs: parameters.integer('retention', 600_000, -1),
    segmentBytes: parameters.integer('segment_bytes', 1_073_741_824, 14),
    flushBytes: parameters.integer('flush_bytes', 1_048_576, 1),
    flushMessages: parameters.integer('flush_messages', 50_000, 1),
    flushFrequencyMs: parameters.duration('flush_frequency', 10_000),
    consumerRatio: parameters.integer('consumer_ratio', 1, 1),
    fromOldest: offsetReset === undefined ? replay === 1 : offsetReset === 'earliest',
    maxProcessingTimeMs: parameters.milliseconds('maxProcessingTime'),
    sessionTimeoutMs: parameters.milliseconds('sessionTimeout'),
    heartbeatIntervalMs: parameters.milliseconds('heartbeatInterval'),
    rebalanceTimeoutMs: parameters.milliseconds('rebalanceTimeout'),
    unknownParameters: parameters.unread(),
  };
  if (problems.length > 0) throw new ConfigurationError(problems);
  return url;
}

/** `text` for an error, unless `whole` may hold credentials: those stand before an `@`, and no URL of ours has one. */
function quoted(text: string, whole = text): string {
  return whole.includes('@') ? 'what it holds' : JSON.stringify(text);
}

function parseBrokers(authority: string, problem: (message: string) => void): readonly string[] {
  const hosts = authority.split(',').map((host) => host.trim());
  // Not quoted: what is no host may be half of somebody's credentials.
  if (authority === '') {
    problem('at least one broker is needed, as in kafka://host:9092/topic');
    return [];
  }
  return hosts.map((text, index) => {
    const parts = /^(\[[0-9a-fA-F:.]+\]|[^:[\]@\s]+)(?::(\d{1,5}))?$/.exec(text);
    const port = Number(parts?.[2] ?? DEFAULT_PORT);
    if (parts === null || port < 1 || port > 65_535) problem(`broker ${index + 1} is not host:port`);
    return `${parts?.[1] ?? text}:${port}`;
  });
}

/** The query of the URL; remembers what was read. */
class Parameters {
  readonly #values: URLSearchParams;
  readonly #problem: (message: string) => void;
  readonly #read = new Set<string>();

  constructor(query: string, problem: (message: string) => void) {
    this.#values = new URLSearchParams(query);
    this.#problem = problem;
  }

  #text(name: string): string {
    this.#read.add(name);
    return this.#values.get(name) ?? '';
  }

  integer(name: string, absent: number, min: number, max = Number.MAX_SAFE_INTEGER): number {
    const text = this.#text(name);
    if (text === '') return absent;
    const value = Number(text);
    if (!/^-?\d+$/.test(text) || value < min || value > max) {
      const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
      this.#problem(`${name}="${text}" must be a whole number ${range}`);
      return absent;
    }
    return value;
  }

  milliseconds(name: string): number | undefined {
    const value = this.integer(name, 0, 1);
    return value === 0 ? undefined : value;
  }

  choice<C extends string>(name: string, choices: readonly C[]): C | undefined {
    const text = this.#text(name);
    if (text === '') return undefined;
    const found = choices.find((choice) => choice === text);
    if (found === undefined) this.#problem(`${name}="${text}" must be one of ${choices.join(', ')}`);
    return found;
  }

  duration(name: string, absent: number): number {
    const text = this.#text(name);
    if (text === '') return absent;
    const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)];
    if (parts.length === 0 || parts.map((part) => part[0]).join('') !== text) {
      this.#problem(`${name}="${text}" must be a duration such as 500ms, 10s or 1m30s`);
      return absent;
    }
    return parts.reduce(
      (sum, [, amount, unit]) => sum + Number(amount) * (DURATION_UNITS[unit ?? ''] ?? 0),
      0,
    );
  }

  unread(): readonly string[] {
    return [...new Set(this.#values.keys())].filter((name) => !this.#read.has(name));
  }
}
