/** What readiness tells of the outbox. */

import type { DependencyHealth } from '../../shared/health.js';
import type { Journal } from '../../shared/journal/journal.js';

export interface OutboxState {
  /** Topics, and how many records each can still take. */
  readonly capacities: ReadonlyMap<string, number>;
  /** Records of each topic at the most. */
  readonly max: number;
  /** The part of a topic's capacity that is not for strangers. */
  readonly kept: number;
  readonly journal: Pick<Journal, 'failure' | 'pressure'>;
  /** Why what a topic has yet to get cannot be kept beside the journal. */
  readonly unkept: string | undefined;
  /** Cursors that no setting names. */
  readonly strays: readonly string[];
}

export function outboxHealth(state: OutboxState): DependencyHealth {
  const { capacities, max, kept, journal, unkept, strays } = state;
  const resource = 'outbox';
  const depths = [...capacities].map(([topic, capacity]) => `${max - capacity} ${topic}`).join(', ');
  const { failure, pressure } = journal;
  const notes = [
    ...(pressure === undefined
      ? []
      : [`a full disk cut the journal’s history at ${new Date(pressure).toISOString()}`]),
    ...(unkept === undefined
      ? []
      : [`the journal grows, for what a topic has yet to get cannot be kept beside it: ${unkept}`]),
    ...strays.map((name) => `no setting names ${name}: \`teranode-p2p outbox forget ${name}\``),
  ];
  const message = [`${depths} wait for Kafka, at most ${max} each`, ...notes].join('; ');
  if (failure !== undefined) return { resource, status: 503, error: failure.message, message };
  const upTo = (bound: number) =>
    [...capacities].filter(([, capacity]) => capacity <= bound).map(([topic]) => topic);
  const full = upTo(0);
  if (full.length > 0) {
    const error = `full: p2p_outbox_max is reached by ${full.join(' and ')}`;
    return { resource, status: 503, error, message };
  }
  const nearly = upTo(kept);
  if (nearly.length > 0) {
    const error = `full for strangers: the last tenth of p2p_outbox_max is left for ${nearly.join(' and ')}`;
    return { resource, status: 503, error, message };
  }
  return { resource, status: 200, message };
}
