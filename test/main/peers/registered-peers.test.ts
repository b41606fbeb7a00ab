import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryLevel } from 'memory-level';
import { Registry } from 'prom-client';
import { createPeerMetrics } from '../../../src/main/peers/metrics.js';
import { RegisteredPeers } from '../../../src/main/peers/registered-peers.js';
import { PeerRegistry } from '../../../src/main/peers/registry.js';
import { serviceRow } from '../../../src/main/peers/service/row.js';
import { steadyOf } from '../../../src/shared/clock.js';
import { PeerRegistryInfo } from '../../../src/shared/generated/peer_registry.js';
import { keptLog } from '../../support/logger.js';
import { AUTHOR } from '../../support/sample-messages.js';

/** A peer as it is joined with what the blockchain service answered of it. */
function joinedWith(info: Partial<PeerRegistryInfo>) {
  const registry = new PeerRegistry(
    {
      level: new MemoryLevel<string, Uint8Array>({ valueEncoding: 'view' }),
      logger: keptLog().logger,
      metrics: createPeerMetrics(new Registry()),
      ownHeight: () => 100,
    },
    { maxHeightLead: 1000 },
  );
  const row = serviceRow(PeerRegistryInfo.fromPartial({ peer_id: AUTHOR, ...info }), () => false);
  const peers = new RegisteredPeers(
    {
      registry,
      node: { peers: () => [], peerId: 'ourselves' },
      list: { isPeerBanned: () => false },
      scores: { score: () => 0 },
      service: { row: () => row, rows: () => (row === undefined ? [] : [row]) },
    },
    { blacklistedHosts: [] },
  );
  return peers.get(AUTHOR) ?? assert.fail('the service knows it');
}

// Go's selector: “BlocksReceived and LastBlockTime are written by ReportValidBlock” (services/p2p/sync_coordinator.go, peerHasRecentFullBlockDelivery),
// while a row may be registered with any time.
test('the time of a block in the service’s row is a delivery only where the service has counted one', () => {
  const at = new Date('2026-05-01T12:00:00Z');
  const { record } = joinedWith({ last_block_time: at });
  assert.equal(record.lastValidBlock, 0);
  assert.equal(joinedWith({ blocks_received: 1n }).record.lastValidBlock, 0);
  const delivered = joinedWith({ last_block_time: at, blocks_received: 1n });
  assert.equal(delivered.record.lastValidBlock, steadyOf(at.getTime()));
});
