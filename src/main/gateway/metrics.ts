import { Counter, Gauge, type Registry } from 'prom-client';
import { zeroedCounter } from '../../shared/metrics/zeroed-counter.js';
import { RECORD_OUTCOMES } from './intake.js';

/** Asked at each scrape, ms. */
export interface GatewayAges {
  readonly behindMs: () => number;
  readonly shortMs: () => number;
}

export function createGatewayMetrics(registry: Registry, { behindMs, shortMs }: GatewayAges) {
  const registers = [registry];
  return {
    records: zeroedCounter({
      name: 'teranode_p2p_gateway_records_total',
      help: 'Records of the notifications topic: shown, merged (another node wrote the same), or why they are no frame. What is read again at a start is not counted again.',
      labels: { outcome: RECORD_OUTCOMES },
      registers,
    }),
    offset: new Gauge({
      name: 'teranode_p2p_gateway_offset',
      help: 'Offset of the record of the notifications topic that is read next.',
      registers,
    }),
    lag: new Gauge({
      name: 'teranode_p2p_gateway_lag_records',
      help: 'Records between that and the end of the topic, as last heard.',
      registers,
    }),
    behind: new Gauge({
      name: 'teranode_p2p_gateway_behind_seconds',
      help: 'How long the end of the topic has not been reached.',
      registers,
      collect() {
        this.set(behindMs() / 1000);
      },
    }),
    short: new Gauge({
      name: 'teranode_p2p_gateway_history_short_seconds',
      help: 'So much of p2p_feed_retention the topic had no more when this process began the history with it, and is missing still.',
      registers,
      collect() {
        this.set(shortMs() / 1000);
      },
    }),
    missed: new Counter({
      name: 'teranode_p2p_gateway_missed_records_total',
      help: 'Records that the topic had no more when they were to be read.',
      registers,
    }),
    topics: new Counter({
      name: 'teranode_p2p_gateway_topics_total',
      help: 'Times the topic was another than the one that was read before: made anew, cut, or another one.',
      registers,
    }),
    remembered: new Gauge({
      name: 'teranode_p2p_gateway_announcements_remembered',
      help: 'Announcements that are recognised when another node writes them.',
      registers,
    }),
  };
}

export type GatewayMetrics = ReturnType<typeof createGatewayMetrics>;
