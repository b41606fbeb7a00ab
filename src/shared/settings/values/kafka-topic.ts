/** Rows whose values are Kafka topics, each named by a URL (WIRE §3). */

import type { KafkaTopicSetting } from '../../messages/topic-setting.js';
import { type Setting, ValueError } from '../setting.js';
import { needed, optional } from './basic.js';
import { parseGoDuration } from './duration.js';

/** One topic, as its setting describes it. Times in milliseconds, sizes in bytes. */
export interface KafkaTopicUrl {
  /** As it was written. */
  readonly text: string;
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

/** A row for each setting that names a Kafka topic, under its key. Undefined: there is no such topic. */
export const kafkaTopics = <K extends string>(
  settings: readonly KafkaTopicSetting<K>[],
): { readonly [P in K]: Setting<KafkaTopicUrl | undefined> } =>
  Object.fromEntries(settings.map((setting) => [setting.key, kafkaTopic(setting)])) as {
    readonly [P in K]: Setting<KafkaTopicUrl | undefined>;
  };

function kafkaTopic(setting: KafkaTopicSetting): Setting<KafkaTopicUrl | undefined> {
  const { key, default: value, doc } = setting;
  if (setting.optional === true) return optional(value, doc, (text) => parseKafkaUrl(key, text));
  return needed(value, doc, (text) => {
    if (text === '') throw new ValueError('must not be empty; memory:// is the embedded broker');
    return parseKafkaUrl(key, text);
  }) as Setting<KafkaTopicUrl | undefined>;
}

/** Parses the value of `setting`. Throws ValueError with every problem in it. */
export function parseKafkaUrl(setting: string, text: string): KafkaTopicUrl {
  const problems: string[] = [];
  const problem = (message: string): void => {
    problems.push(message);
  };
  const parts = /^([a-z]+):\/\/([^/?#]*)\/?([^?#]*)(?:\?([^#]*))?$/i.exec(text.trim());
  if (parts === null) {
    throw new ValueError(
      `${quoted(text)} is no Kafka URL; expected kafka://host:9092/<topic>?partitions=1 or memory://embedded/<topic>`,
    );
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
  // Of Teranode's own client, which has knobs that this one does not.
  parameters.integer('flush_bytes', 1_048_576, 1);
  parameters.integer('flush_messages', 50_000, 1);
  parameters.duration('flush_frequency');
  parameters.integer('consumer_ratio', 1, 1);
  const url: KafkaTopicUrl = {
    text,
    setting,
    scheme: scheme === 'memory' ? 'memory' : 'kafka',
    brokers,
    topic: rawTopic,
    partitions: parameters.integer('partitions', 1, 1, 10_000),
    replication: parameters.integer('replication', 1, 1, 100),
    retentionMs: parameters.integer('retention', 600_000, -1),
    segmentBytes: parameters.integer('segment_bytes', 1_073_741_824, 14),
    fromOldest: offsetReset === undefined ? replay === 1 : offsetReset === 'earliest',
    maxProcessingTimeMs: parameters.milliseconds('maxProcessingTime'),
    sessionTimeoutMs: parameters.milliseconds('sessionTimeout'),
    heartbeatIntervalMs: parameters.milliseconds('heartbeatInterval'),
    rebalanceTimeoutMs: parameters.milliseconds('rebalanceTimeout'),
    unknownParameters: parameters.unread(),
  };
  if (problems.length > 0) throw new ValueError(...problems);
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

  /** Of which only that it is one is of interest. */
  duration(name: string): void {
    const text = this.#text(name);
    if (text === '') return;
    try {
      if (parseGoDuration(text) >= 0) return;
    } catch {
      // Said below.
    }
    this.#problem(`${name}="${text}" must be a duration such as 500ms, 10s or 1m30s`);
  }

  unread(): readonly string[] {
    return [...new Set(this.#values.keys())].filter((name) => !this.#read.has(name));
  }
}
