/** What a monitor sees of a server to which nothing has happened yet. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NotificationsTopic, startGateway } from '../support/gateway.js';
import { serverSettings, startServer } from '../support/server.js';
import { waitFor } from '../support/wait.js';

/** Labelled by what only the settings or others name: there is nothing to begin with. */
const OPEN: Readonly<Record<string, string>> = {
  teranode_p2p_tls_reloads_total: 'a series for each use of TLS, and none is configured here',
};

/** Counters of ours in a scrape, each with the number of its series. */
function countersOf(scrape: string): ReadonlyMap<string, number> {
  const names = [...scrape.matchAll(/^# TYPE (teranode_p2p_\S+) counter$/gm)].map(([, name = '']) => name);
  return new Map(
    names.map((name) => [
      name,
      scrape.split('\n').filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`)).length,
    ]),
  );
}

test('every counter has its series before its first event', async (context) => {
  // Without a neighbour nothing happens to it: what a counter shows is what it began with.
  const { server } = await startServer(
    context,
    serverSettings(context, {
      kafka_invalidBlocksConfig: 'memory://embedded/invalid-blocks',
      kafka_invalidSubtreesConfig: 'memory://embedded/invalid-subtrees',
      p2p_notification_servers: 1,
    }),
  );
  // Those of other threads and processes come with their first answer.
  const scrape = await waitFor(
    async () => {
      const text = await server.scrape();
      const elsewhere = ['teranode_p2p_publisher_frames_total', 'teranode_p2p_websocket_frames_total'];
      return elsewhere.every((name) => text.includes(`# TYPE ${name} `)) ? text : undefined;
    },
    { what: 'the figures of the publisher and of the notification server' },
  );
  const counters = countersOf(scrape);
  assert.ok(counters.size > 50, `${counters.size} counters`);
  const silent = [...counters].flatMap(([name, series]) => (series === 0 ? [name] : []));
  assert.deepEqual(silent, Object.keys(OPEN));
  // Of several labels, every combination.
  const refused = /^teranode_p2p_node_connections_refused_total\{(.*)\} 0$/gm;
  const combinations = [...scrape.matchAll(refused)].map(([, labels]) => labels);
  for (const direction of ['inbound', 'outbound']) {
    for (const reason of ['banned_peer', 'private_address', 'handshake_silent', 'connection_places'])
      assert.ok(
        combinations.includes(`direction="${direction}",reason="${reason}"`),
        `${direction} ${reason}`,
      );
  }
});

test('every counter of a gateway has its series before its first event', async (context) => {
  const { gateway } = await startGateway(context, await NotificationsTopic.start(context));
  const scrape = await waitFor(
    async () => {
      const text = await gateway.scrape();
      return text.includes('# TYPE teranode_p2p_websocket_frames_total ') ? text : undefined;
    },
    { what: 'the figures of the notification server' },
  );
  const counters = countersOf(scrape);
  assert.ok(counters.has('teranode_p2p_gateway_records_total'), [...counters.keys()].join(' '));
  const silent = [...counters].flatMap(([name, series]) => (series === 0 ? [name] : []));
  assert.deepEqual(silent, Object.keys(OPEN));
});
