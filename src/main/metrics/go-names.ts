/**
 * Figures under the names by which boards made for Teranode's Go service ask for them, taken from this server's own at each scrape, so that the two cannot
 * differ. What Go counts where this server has no figure of its own is counted under Go's name alone: publish_blocked_total, ban_events_total and
 * the three of catchup_.
 */

import { MESSAGE_KINDS } from '../../shared/messages/index.js';
import type { MetricSnapshot, MetricValue } from './snapshot.js';

type Labels = MetricValue['labels'];

export interface GoName {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  /** This server's figure. */
  readonly of: string;
  /**
   * A series of it as the labels of Go's; undefined for one that Go does not count. Those with the same labels are added up.
   * @default one of each
   */
  readonly labels?: (own: Labels) => Labels | undefined;
}

const SHOWN = new Set<unknown>(
  MESSAGE_KINDS.filter(({ frame }) => frame !== undefined).map(({ name }) => name),
);
const RECORDED = new Set<unknown>(
  MESSAGE_KINDS.filter(({ record }) => record !== undefined).map(({ name }) => name),
);
/** Messages that gave way for want of room: before they were looked at, or since the outbox takes no more. */
const NO_ROOM = new Set<unknown>(['shed', 'outbox_full', 'store_failed']);
const NO_ROOM_IN_OUTBOX = new Set<unknown>(['outbox_full', 'store_failed']);
const TOO_SLOW = new Set<unknown>(['slow', 'slow_cut']);

const GO_NAMES: readonly GoName[] = [
  {
    name: 'teranode_p2p_connected_peers',
    type: 'gauge',
    help: 'Connected peers, under the name of the Go service.',
    of: 'teranode_p2p_node_peers',
  },
  {
    name: 'teranode_p2p_websocket_connections',
    type: 'gauge',
    help: 'WebSocket clients connected, under the name of the Go service.',
    of: 'teranode_p2p_websocket_clients',
  },
  {
    name: 'teranode_p2p_websocket_clients_evicted_total',
    type: 'counter',
    help: 'WebSocket clients closed because they were too slow, under the name of the Go service.',
    of: 'teranode_p2p_websocket_evictions_total',
    labels: ({ reason }) => (TOO_SLOW.has(reason) ? {} : undefined),
  },
  {
    name: 'teranode_p2p_websocket_notifications_dropped_total',
    type: 'counter',
    help: 'Messages that no WebSocket client is shown because there was no room for them, by kind, under the name of the Go service.',
    of: 'teranode_p2p_messages_total',
    labels: ({ kind, outcome }) =>
      NO_ROOM.has(outcome) && SHOWN.has(kind) ? { type: String(kind) } : undefined,
  },
  {
    name: 'teranode_p2p_gossip_kafka_publish_dropped_total',
    type: 'counter',
    help: 'Announcements that do not get into Kafka because the outbox took no more, by topic, under the name of the Go service.',
    of: 'teranode_p2p_messages_total',
    labels: ({ kind, outcome }) =>
      NO_ROOM_IN_OUTBOX.has(outcome) && RECORDED.has(kind) ? { topic: String(kind) } : undefined,
  },
  {
    name: 'teranode_p2p_rejected_tx_publish_suppressed_total',
    type: 'counter',
    help: 'Rejected transactions not announced, by reason: rate_limited or duplicate, under the name of the Go service.',
    of: 'teranode_p2p_announce_rejected_tx_limited_total',
    labels: ({ reason }) => {
      const told = { rate: 'rate_limited', repeat: 'duplicate' }[String(reason)];
      return told === undefined ? undefined : { reason: told };
    },
  },
];

/** `metrics` and, of those that are there, the same under Go's names. */
export function withGoNames(
  metrics: readonly MetricSnapshot[],
  names: readonly GoName[] = GO_NAMES,
): readonly MetricSnapshot[] {
  const byName = new Map(metrics.map((metric) => [metric.name, metric]));
  return [
    ...metrics,
    ...names.flatMap(({ of, labels = (own) => own, ...told }) => {
      const own = byName.get(of);
      return own === undefined ? [] : [{ ...told, aggregator: 'sum', values: summed(own.values, labels) }];
    }),
  ];
}

function summed(values: readonly MetricValue[], labelsOf: NonNullable<GoName['labels']>): MetricValue[] {
  const sums = new Map<string, MetricValue>();
  for (const { labels: own, value } of values) {
    const labels = labelsOf(own);
    if (labels === undefined) continue;
    const key = JSON.stringify(labels);
    sums.set(key, { labels, value: (sums.get(key)?.value ?? 0) + value });
  }
  return [...sums.values()];
}
