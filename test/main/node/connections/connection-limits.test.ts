import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  ConnectionTrimmer,
  connectionMarks,
} from '../../../../src/main/node/connections/connection-limits.js';
import { createHost, peripheryParts } from '../../../support/host.js';
import { settingsOf } from '../../../support/settings.js';
import { waitFor } from '../../../support/wait.js';

describe('connection limits', () => {
  it('are Go’s marks, with a ceiling above them for newcomers', () => {
    const marks = connectionMarks(settingsOf(), 3);
    assert.equal(marks.low, 25);
    assert.equal(marks.high, 35);
    assert.ok(marks.ceiling > marks.high + 3);
    assert.equal(connectionMarks(settingsOf({ p2p_max_connections: 1 }), 0).low, 1);
  });

  it('close the least valued above the high mark down to the low one, and spare the protected and the young', async (context) => {
    const host = await createHost(context);
    const parts = peripheryParts();
    const guests = await Promise.all(Array.from({ length: 6 }, () => createHost(context, { listen: [] })));
    for (const guest of guests) await guest.dial(host.getMultiaddrs());
    await waitFor(() => host.getConnections().length === 6, { what: 'six guests' });
    const [configured, valued] = guests.map(({ peerId }) => peerId);
    await host.peerStore.merge(valued!, { tags: { good: { value: 50 } } });
    const trimmer = (graceMs: number) =>
      new ConnectionTrimmer(
        { libp2p: host, logger: parts.log.logger, metrics: parts.metrics },
        {
          marks: { low: 2, high: 4, ceiling: 100 },
          isProtected: (peer) => peer === configured!.toString(),
          graceMs,
        },
      );
    assert.equal(await trimmer(60_000).trim(), 0);
    // Five count: three go, and of the two that stay one is the valued one.
    assert.equal(await trimmer(0).trim(), 3);
    await waitFor(() => host.getConnections().length === 3, { what: 'three to be left' });
    const left = host.getPeers().map(String);
    assert.ok(left.includes(configured!.toString()) && left.includes(valued!.toString()));
    assert.equal(await trimmer(0).trim(), 0);
    assert.equal(await parts.value('teranode_p2p_node_connections_trimmed_total'), 3);
  });

  it('do not let a crowd of newcomers push out those who were there', async (context) => {
    const host = await createHost(context);
    const parts = peripheryParts();
    const guests = await Promise.all(Array.from({ length: 6 }, () => createHost(context, { listen: [] })));
    const [first, second, ...crowd] = guests;
    for (const guest of [first, second]) await guest!.dial(host.getMultiaddrs());
    await waitFor(() => host.getConnections().length === 2, { what: 'the first two' });
    for (const { timeline } of host.getConnections()) timeline.open -= 3_600_000;
    for (const guest of crowd) await guest.dial(host.getMultiaddrs());
    await waitFor(() => host.getConnections().length === 6, { what: 'the crowd' });
    const trimmer = new ConnectionTrimmer(
      { libp2p: host, logger: parts.log.logger, metrics: parts.metrics },
      {
        marks: { low: 2, high: 4, ceiling: 100 },
        isProtected: () => false,
        graceMs: 1_800_000,
      },
    );
    assert.equal(await trimmer.trim(), 0);
    const left = host.getPeers().map(String);
    for (const guest of [first, second]) assert.ok(left.includes(guest!.peerId.toString()));
  });

  it('count peers, not connections, and keep eight connections of a peer', async (context) => {
    const host = await createHost(context);
    const parts = peripheryParts();
    const guests = await Promise.all(Array.from({ length: 4 }, () => createHost(context, { listen: [] })));
    for (const guest of guests) {
      for (let count = 0; count < 3; count++) await guest.dial(host.getMultiaddrs(), { force: true });
    }
    await waitFor(() => host.getConnections().length === 12, { what: 'twelve connections' });
    const trimmer = (high: number) =>
      new ConnectionTrimmer(
        { libp2p: host, logger: parts.log.logger, metrics: parts.metrics },
        { marks: { low: 3, high, ceiling: 100 }, isProtected: () => false, graceMs: 0 },
      );
    assert.equal(await trimmer(4).trim(), 0);
    assert.equal(host.getConnections().length, 12);
    // One peer too many: it goes with all that it has, and the rest keep theirs.
    assert.equal(await trimmer(3).trim(), 1);
    await waitFor(() => host.getConnections().length === 9, { what: 'three connections to be closed' });
    assert.equal(host.getPeers().length, 3);
    const [left] = guests.filter(({ peerId }) => host.getConnections(peerId).length > 0);
    for (let count = 3; count < 11; count++) await left!.dial(host.getMultiaddrs(), { force: true });
    await waitFor(() => host.getConnections(left!.peerId).length === 11, { what: 'eleven of one peer' });
    await trimmer(4).trim();
    await waitFor(() => host.getConnections(left!.peerId).length === 8, { what: 'eight of it' });
  });

  it('do not count allow-listed addresses', async (context) => {
    const host = await createHost(context);
    const parts = peripheryParts();
    const guest = await createHost(context, { listen: [] });
    await guest.dial(host.getMultiaddrs());
    await waitFor(() => host.getConnections().length === 1, { what: 'the guest' });
    const trimmer = new ConnectionTrimmer(
      { libp2p: host, logger: parts.log.logger, metrics: parts.metrics },
      {
        marks: { low: 0, high: 0, ceiling: 1 },
        isProtected: () => false,
        allowedAddresses: ['127.0.0.0/8'],
        graceMs: 0,
      },
    );
    assert.equal(await trimmer.trim(), 0);
    assert.equal(host.getConnections().length, 1);
  });
});
