/** What the chain told before a server's stop is in its feed, whatever stops when. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NotificationType } from '../../src/shared/generated/model.js';
import { BlockchainService } from '../support/blockchain-service.js';
import { minedChain } from '../support/headers.js';
import { eventsOf, pageOf } from '../support/history-pages.js';
import { chainOf, openFeed, serverSettings, startServer } from '../support/server.js';
import { waitFor, within } from '../support/wait.js';

test('of a chain that mines until the stop, the history has every block', async (context) => {
  const settings = serverSettings(context, { p2p_embedded_mining_interval: 5 });
  const mining = await startServer(context, settings);
  await waitFor(async () => (await chainOf(mining).getBestBlockHeader()).height > 3, { what: 'four blocks' });
  await mining.server.stop();

  const next = await startServer(context, { ...settings, p2p_embedded_mining_interval: 0 });
  const tip = await chainOf(next).getBestBlockHeader();
  const http = `http://127.0.0.1:${next.server.ports.http}`;
  for (const kind of ['block', 'mining_on']) {
    const [last] = eventsOf([await pageOf(http, `kinds=${kind}&order=desc&limit=1`)]);
    assert.deepEqual([last?.height, last?.hash], [tip.height, tip.hash], kind);
  }
});

test('a block whose header the service is still asked for at the stop is announced, and MiningOn after it', async (context) => {
  const service = new BlockchainService();
  const [header, found] = minedChain(2) as [Uint8Array, Uint8Array];
  service.add(header, { height: 1 });
  await service.start();
  context.after(() => service.stop());
  const { server } = await startServer(
    context,
    serverSettings(context, { blockchain_grpcAddress: service.address }),
  );
  const feed = await openFeed(context, server);
  await waitFor(() => service.streams.size > 0 && server.parts.chain.best, { what: 'the subscription' });
  service.delayMs = 200;
  const hash = service.add(found, { height: 2 });
  service.notify(NotificationType.Block, hash);
  await waitFor(() => (service.calls.get('header') ?? 0) > 0, { what: 'the question', everyMs: 1 });
  await within(server.stop(), 20_000, 'the stop');
  for (const type of ['block', 'mining_on'])
    await feed.next((frame) => frame.type === type && frame.hash === hash, type);
  assert.equal(service.streams.size, 0);
});
