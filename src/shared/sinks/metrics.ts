import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { zeroedCounter } from '../metrics/zeroed-counter.js';

/**
 * The outbox and its way into Kafka. The series of `topics` are there from the beginning: a counter that is born with its
 * first event shows no increase to who looks for one.
 */
export function createOutboxMetrics(registry: Registry, topics: readonly string[] = []) {
  const registers = [registry];
  const metrics = {
    depth: new Gauge({
      name: 'teranode_p2p_outbox_depth',
      help: 'Records that wait for Kafka, by topic.',
      labelNames: ['topic'],
      registers,
    }),
    lag: new Gauge({
      name: 'teranode_p2p_kafka_lag_seconds',
      help: 'Age of the oldest record in memory that waits for Kafka, by topic.',
      labelNames: ['topic'],
      registers,
    }),
    records: zeroedCounter({
      name: 'teranode_p2p_kafka_records_total',
      help: 'Records by topic and outcome: acknowledged or dead_letter.',
      labels: { topic: topics, outcome: ['acknowledged', 'dead_letter'] },
      registers,
    }),
    faults: zeroedCounter({
      name: 'teranode_p2p_kafka_faults_total',
      help: 'Failed requests to Kafka by topic and fault: record, topic or broker.',
      labels: { topic: topics, fault: ['record', 'topic', 'broker'] },
      registers,
    }),
    drainRate: new Gauge({
      name: 'teranode_p2p_outbox_drain_records_per_second',
      help: 'Records a second at which a backlog leaves for Kafka, by topic; 0 while there is none.',
      labelNames: ['topic'],
      registers,
    }),
    damaged: zeroedCounter({
      name: 'teranode_p2p_outbox_damaged_records_total',
      help: 'Entries of the journal that could not be read back for a topic: the topic waits until their loss is accepted.',
      labels: { topic: topics },
      registers,
    }),
    requestSeconds: new Histogram({
      name: 'teranode_p2p_kafka_request_seconds',
      help: 'Time of a request to Kafka until its acknowledgement, by topic.',
      labelNames: ['topic'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
      registers,
    }),
    ackSeconds: new Histogram({
      name: 'teranode_p2p_kafka_ack_seconds',
      help: 'Time from the receipt of a message to its record’s acknowledgement; the oldest of each request.',
      labelNames: ['topic'],
      buckets: [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1, 5, 30, 300, 3600],
      registers,
    }),
    requestRecords: new Histogram({
      name: 'teranode_p2p_kafka_request_records',
      help: 'Records in one request to Kafka.',
      labelNames: ['topic'],
      buckets: [1, 4, 16, 64, 256, 1024, 4096],
      registers,
    }),
    journalBytes: new Gauge({
      name: 'teranode_p2p_journal_bytes',
      help: 'Bytes of the journal’s segments.',
      registers,
    }),
    keptBytes: new Gauge({
      name: 'teranode_p2p_journal_kept_bytes',
      help: 'Bytes kept beside the journal for what a topic has yet to get out of segments that went, by topic.',
      labelNames: ['topic'],
      registers,
    }),
    deadLetters: new Gauge({
      name: 'teranode_p2p_dead_letters',
      help: 'Records that Kafka refused, kept.',
      registers,
    }),
    deadLettersLost: new Counter({
      name: 'teranode_p2p_dead_letters_lost_total',
      help: 'Dead letters that made room for newer ones.',
      registers,
    }),
  };
  for (const topic of topics) {
    metrics.depth.set({ topic }, 0);
    metrics.lag.set({ topic }, 0);
    metrics.drainRate.set({ topic }, 0);
    metrics.keptBytes.set({ topic }, 0);
  }
  return metrics;
}

export type OutboxMetrics = ReturnType<typeof createOutboxMetrics>;

/** What a drainer tells of itself. */
export interface DrainerMeters {
  /** So many entries wait. */
  waiting(count: number): void;
  /** Seconds since the oldest entry in memory was received. */
  lag(seconds: number): void;
  done(count: number, outcome: 'acknowledged' | 'refused'): void;
  fault(fault: 'record' | 'topic' | 'broker'): void;
  /** So many positions cannot be read back. */
  damaged(positions: number): void;
  /** A request was acknowledged after `seconds`, its oldest entry `ageSeconds` after its receipt. */
  request(seconds: number, entries: number, ageSeconds: number): void;
  /** Entries a second at which a backlog leaves; 0 while there is none. */
  rate(perSecond: number): void;
}

/** The figures of a topic of the outbox. */
export function outboxMeters(metrics: OutboxMetrics, topic: string): DrainerMeters {
  return {
    waiting: (count) => metrics.depth.set({ topic }, count),
    lag: (seconds) => metrics.lag.set({ topic }, seconds),
    done: (count, outcome) =>
      metrics.records.inc({ topic, outcome: outcome === 'refused' ? 'dead_letter' : outcome }, count),
    fault: (fault) => metrics.faults.inc({ topic, fault }),
    damaged: (positions) => metrics.damaged.inc({ topic }, positions),
    request: (seconds, entries, ageSeconds) => {
      metrics.requestSeconds.observe({ topic }, seconds);
      metrics.requestRecords.observe({ topic }, entries);
      metrics.ackSeconds.observe({ topic }, ageSeconds);
    },
    rate: (perSecond) => metrics.drainRate.set({ topic }, perSecond),
  };
}

/** Tells nothing. */
export const NO_METERS: DrainerMeters = {
  waiting: () => {},
  lag: () => {},
  done: () => {},
  fault: () => {},
  damaged: () => {},
  request: () => {},
  rate: () => {},
};
