import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { createAnnounceMetrics } from '../../../src/main/announce/metrics.js';
import { createBanMetrics } from '../../../src/main/bans/metrics.js';
import { createPeerServiceMetrics } from '../../../src/main/grpc/metrics.js';
import { MetricsAggregate } from '../../../src/main/metrics/aggregate.js';
import { createNodeMetrics } from '../../../src/main/node/metrics/node-metrics.js';
import { createPipelineMetrics } from '../../../src/main/pipeline/metrics.js';
import { createNotificationServerMetrics } from '../../../src/workers/websocket-server/metrics.js';
import { sumOf } from '../../support/gossip.js';
import { keptLog } from '../../support/logger.js';

/** What boards ask for, as WIRE §8 has it from the Go service's metrics.go: each name with its labels. */
const ASKED = {
  publish_blocked_total: ['topic', 'fsm_state', 'stage'],
  websocket_notifications_dropped_total: ['type'],
  websocket_clients_evicted_total: [],
  gossip_kafka_publish_dropped_total: ['topic'],
  rejected_tx_publish_suppressed_total: ['reason'],
  connected_peers: [],
  ban_events_total: ['reason'],
  catchup_attempts_total: [],
  catchup_successes_total: [],
  catchup_failures_total: ['kind'],
  websocket_connections: [],
} as const;

function scene() {
  const registry = new Registry();
  const server = new Registry();
  const announce = createAnnounceMetrics(registry);
  const node = createNodeMetrics(registry);
  const pipeline = createPipelineMetrics(registry);
  createBanMetrics(registry);
  createPeerServiceMetrics(registry);
  const clients = createNotificationServerMetrics(server);
  const aggregate = new MetricsAggregate({ registry, logger: keptLog().logger });
  aggregate.addSource('notification server', async () => ({
    instance: 0,
    metrics: (await server.getMetricsAsJSON()) as unknown as object[],
  }));
  const figure = async (name: string, labels: Record<string, string> = {}) =>
    sumOf((await aggregate.scrape()).body, `teranode_p2p_${name}`, labels);
  return { announce, node, pipeline, clients, aggregate, figure };
}

test('every name that boards made for Go ask for is there from the beginning, with its labels', async () => {
  const { aggregate } = scene();
  for (const format of ['text', 'openmetrics'] as const) {
    const { body } = await aggregate.scrape(format);
    for (const [name, labels] of Object.entries(ASKED)) {
      const lines = body.split('\n').filter((line) => new RegExp(`^teranode_p2p_${name}[{ ]`).test(line));
      assert.ok(lines.length > 0, `${name} in ${format}`);
      for (const line of lines) {
        const found = [...(/{(.*)}/.exec(line)?.[1] ?? '').matchAll(/(\w+)="/g)].map(([, label]) => label);
        assert.deepEqual(found.sort(), [...labels].sort(), line);
        assert.match(line, / 0$/, line);
      }
    }
  }
});

test('what has a figure of this server’s own is the same, added up over what Go does not tell apart', async () => {
  const { announce, node, pipeline, clients, figure } = scene();
  node.peers.set(3);
  clients.clients.set(5);
  for (const reason of ['slow', 'slow_cut', 'silent', 'gap'] as const) clients.evictions.inc({ reason });
  for (const kind of ['block', 'subtree', 'bestblock']) {
    for (const outcome of ['ok', 'repeat', 'shed', 'outbox_full'] as const)
      pipeline.messages.inc({ kind, outcome });
  }
  for (const reason of ['rate', 'repeat', 'known'] as const) announce.rejectedTxLimited.inc({ reason });
  announce.rejectedTxLimited.inc({ reason: 'rate' });
  assert.equal(await figure('connected_peers'), 3);
  assert.equal(await figure('websocket_connections'), 5);
  assert.equal(await figure('websocket_clients_evicted_total'), 2);
  for (const type of ['block', 'subtree']) {
    assert.equal(await figure('websocket_notifications_dropped_total', { type }), 2, type);
  }
  assert.equal(await figure('websocket_notifications_dropped_total'), 4, 'best-block requests are not shown');
  for (const topic of ['block', 'subtree']) {
    assert.equal(await figure('gossip_kafka_publish_dropped_total', { topic }), 1, topic);
  }
  assert.equal(await figure('gossip_kafka_publish_dropped_total'), 2);
  assert.equal(await figure('rejected_tx_publish_suppressed_total', { reason: 'rate_limited' }), 2);
  assert.equal(await figure('rejected_tx_publish_suppressed_total', { reason: 'duplicate' }), 1);
  assert.equal(await figure('rejected_tx_publish_suppressed_total'), 3);
});
