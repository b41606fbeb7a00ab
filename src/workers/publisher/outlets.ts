/** The sinks of the topics that the settings name, traced where tracing is on. */

import { hasFrame, type JournalledEntry } from '../../shared/journal/entry.js';
import type { Journal } from '../../shared/journal/journal.js';
import type { Logger } from '../../shared/logging/logger.js';
import { ANNOUNCED_TOPICS, type KafkaTopicKey, notifications } from '../../shared/messages/topics.js';
import type { PublisherConfig } from '../../shared/pipeline/worker-config.js';
import type { Secrets } from '../../shared/secrets/secrets.js';
import type { KafkaTopicUrl } from '../../shared/settings/values/kafka-topic.js';
import { frameForm } from '../../shared/sinks/kafka/frame-record.js';
import { createProducer } from '../../shared/sinks/kafka/index.js';
import { isRecordOf, KafkaSink } from '../../shared/sinks/kafka/sink.js';
import { type DrainerMeters, NO_METERS } from '../../shared/sinks/metrics.js';
import { TracedSink } from '../../shared/sinks/traced.js';
import type { Sink } from '../../shared/sinks/types.js';
import type { WatchedPem } from '../../shared/tls/watch.js';
import type { Tracers } from '../../shared/tracing/tracing.js';
import type { SpanValues, TraceParent } from '../../shared/tracing/types.js';
import type { PublisherMetrics } from './metrics.js';

/** One sink of one topic. */
export interface Outlet {
  /** In metrics, log lines and on the command line. */
  readonly topic: string;
  /** Id of the topic whose records it takes; 0 where it takes frames. */
  readonly id: number;
  /** Where the sink is and what setting says so, for readiness. */
  readonly place: string;
  /** `journal` is open. */
  readonly sink: (journal: Pick<Journal, 'epoch' | 'end'>) => Sink;
  /** Where it takes frames and no records: it is owed none, so what is lost to it is counted here. */
  readonly frames?: DrainerMeters & { lost(frames: number): void };
}

export interface OutletsComponents {
  readonly logger: Logger;
  readonly metrics: PublisherMetrics;
  readonly tls: WatchedPem | undefined;
  readonly secrets: Secrets;
  readonly tracers: Tracers;
}

type Takes = (entry: Uint8Array) => boolean;

export class Outlets {
  readonly all: readonly Outlet[];
  readonly #tracers: Tracers;
  readonly #config: PublisherConfig;
  /** Where tracing is on: each sink, and what it takes. */
  readonly #traced: { readonly takes: Takes; readonly sink: TracedSink }[] = [];

  /** Throws ConfigurationError when a Kafka setting is wrong. */
  constructor({ logger, metrics, tls, secrets, tracers }: OutletsComponents, config: PublisherConfig) {
    const { settings, brokerSocketPath } = config;
    this.#tracers = tracers;
    this.#config = config;
    const producer = (key: KafkaTopicKey) =>
      createProducer(settings, key, { logger, brokerSocketPath, tls, secrets });
    const outlets = ANNOUNCED_TOPICS.map(({ id, name: topic, setting: { key } }): Outlet => {
      const sink = new KafkaSink(producer(key));
      return {
        topic,
        id,
        place: placeOf(settings[key]),
        sink: (journal) => this.#sink(sink, { key, journal, takes: isRecordOf(id) }),
      };
    });
    const { name: topic, setting } = notifications;
    const { key } = setting;
    if (settings[key] !== undefined) {
      const sink = producer(key);
      outlets.push({
        topic,
        id: 0,
        place: placeOf(settings[key]),
        sink: (journal) =>
          this.#sink(new KafkaSink(sink, frameForm(journal.epoch)), { key, journal, takes: hasFrame }),
        frames: notificationMeters({ logger, metrics }),
      });
    }
    this.all = outlets;
  }

  /** `sink`, or where tracing is on one that traces. */
  #sink(
    sink: KafkaSink,
    of: {
      readonly key: KafkaTopicKey;
      readonly journal: Pick<Journal, 'epoch' | 'end'>;
      readonly takes: Takes;
    },
  ): Sink {
    const { tracing, settings } = this.#config;
    if (tracing === undefined) return sink;
    const { key, journal, takes } = of;
    const { epoch, end: from } = journal;
    const { scheme: system, topic } = settings[key] as KafkaTopicUrl;
    const context = tracing.config.kafkaContext;
    const traced = new TracedSink({ sink, tracers: this.#tracers }, { system, topic, context, epoch, from });
    this.#traced.push({ takes, sink: traced });
    return traced;
  }

  /** `entry`, which was just stored, is traced, below `parent`. */
  follow({ position, bytes }: JournalledEntry, parent: TraceParent, values: SpanValues): void {
    for (const { takes, sink } of this.#traced) if (takes(bytes)) sink.follow(position, parent, values);
  }
}

/** The figures of the notifications topic. */
function notificationMeters({
  logger,
  metrics,
}: Pick<OutletsComponents, 'logger' | 'metrics'>): NonNullable<Outlet['frames']> {
  return {
    ...NO_METERS,
    done: (count, outcome) => {
      if (outcome === 'acknowledged') metrics.notified.inc({ outcome }, count);
    },
    lost: (frames) => {
      metrics.notified.inc({ outcome: 'lost' }, frames);
      logger.error({ frames }, 'frames did not reach the notifications topic');
    },
  };
}

/** Where the topic of a setting is, for a person. */
function placeOf(topic: KafkaTopicUrl | undefined): string {
  if (topic === undefined) return '';
  const { scheme, brokers, setting } = topic;
  return `${scheme === 'memory' ? 'embedded broker' : brokers.join(',')} (${setting})`;
}
