/** A new client's first frame, the node's own status, comes from a cache: whatever stands still behind it. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { BlockchainService } from '../support/blockchain-service.js';
import { asPeer } from '../support/branded.js';
import { minedChain } from '../support/headers.js';
import { type Listener, listen, refusal } from '../support/notifications.js';
import { openFeed, serverSettings, startServer } from '../support/server.js';
import { launchServer } from '../support/server-process.js';
import { waitFor, within } from '../support/wait.js';

/** Below every deadline of a call that a first frame could hang on (5 s), above what a busy machine makes of a moment. */
const AT_ONCE_MS = 4_000;

const firstFrame = (context: TestContext, url: string, ms: number): Promise<Listener> =>
  within(listen(context, url), ms, 'the first frame');

/** While main stands still nothing ends but by a notification server itself. */
const STILL_MS = 20_000;

test('main stands still: clients are greeted, limits hold, and all goes on when main does', async (context) => {
  const run = launchServer(context, {
    set: {
      p2p_notification_servers: '1',
      p2p_node_status_interval: '300ms',
      // One source a twentieth.
      p2p_websocket_max_connections: '100',
      p2p_websocket_trusted_source_cidrs: 'none',
    },
  });
  const { ports, peerId } = await run.ready();
  const url = `ws://127.0.0.1:${ports.http}/p2p-ws`;
  const early = await listen(context, url);
  run.child.kill('SIGSTOP');
  const late: Listener[] = [];
  for (let count = 0; count < 4; count++) late.push(await firstFrame(context, url, STILL_MS));
  for (const { frames } of late) {
    assert.deepEqual([frames[0]?.type, frames[0]?.peer_id], ['node_status', peerId]);
  }
  assert.equal(await refusal(url), 503, 'the sixth from one source');
  // A client that is gone before main answers keeps no place.
  const left = late.pop();
  left?.socket.close();
  await waitFor(() => left?.code !== undefined, { what: 'a client to leave' });
  late.push(await firstFrame(context, url, STILL_MS));
  run.child.kill('SIGCONT');
  const newest = (listener: Listener) => Number(listener.frames.at(-1)?.uptime ?? 0);
  const before = Math.max(...[early, ...late].map(newest));
  await waitFor(() => [early, ...late].every((each) => newest(each) > before), {
    what: 'newer statuses for all',
    timeoutMs: 20_000,
  });
  assert.deepEqual(
    [early, ...late].map(({ code }) => code),
    Array(5).fill(undefined),
  );
  assert.equal(await refusal(url), 503, 'main counts all five');
  early.socket.close();
  await waitFor(() => listen(context, url).catch(() => undefined), { what: 'a place that was given back' });
});

test('the chain and block assembly take calls and do not answer: clients are greeted, statuses go on', async (context) => {
  const service = new BlockchainService();
  await service.start();
  context.after(() => service.stop());
  const hash = service.add(minedChain(1)[0] as Uint8Array, { height: 3 });
  const { server } = await startServer(
    context,
    serverSettings(context, {
      blockchain_grpcAddress: service.address,
      // A service that knows no such call, and is as slow.
      blockassembly_grpcAddress: service.address,
      p2p_node_status_interval: 300,
    }),
  );
  const url = `ws://127.0.0.1:${server.ports.http}/p2p-ws`;
  const early = await listen(context, url);
  await waitFor(() => early.frames.some((frame) => frame.best_block_hash === hash), { what: 'the tip' });
  service.delayMs = 60_000;
  const heard = early.frames.length;
  const late = await firstFrame(context, url, AT_ONCE_MS);
  assert.equal(late.frames[0]?.type, 'node_status');
  await waitFor(() => early.frames.length >= heard + 5, { what: 'five more statuses', timeoutMs: 20_000 });
  const last = early.frames.filter(({ type }) => type === 'node_status').at(-1);
  assert.deepEqual([last?.best_block_hash, last?.best_height], [hash, 3]);
});

test('a chain that does not answer from the start keeps nobody from the first frame', async (context) => {
  const service = new BlockchainService();
  await service.start();
  context.after(() => service.stop());
  service.add(minedChain(1)[0] as Uint8Array, { height: 3 });
  const starting = startServer(context, serverSettings(context, { blockchain_grpcAddress: service.address }));
  // The start itself waits for the state to leave IDLE; from then on nothing does.
  await waitFor(() => (service.calls.get('fsm') ?? 0) > 0, { what: 'the question for the state' });
  service.delayMs = 60_000;
  const { server } = await starting;
  const feed = await openFeed(context, server);
  const status = await feed.next(({ type }) => type === 'node_status', 'the first frame', AT_ONCE_MS);
  assert.equal(feed.frames[0], status);
  assert.equal(status.peer_id, server.peerId);
});

test('a data hub with an unknown reference in its URL: clients are greeted, peers do not score it', async (context) => {
  const one = await startServer(
    context,
    serverSettings(context, { asset_httpAddress: 'http://127.0.0.1:8090/${X}/api' }),
  );
  const other = await startServer(context, serverSettings(context, { p2p_static_peers: [one.address] }));
  const status = (frame: { readonly type: string }) => frame.type === 'node_status';
  const greeted = await (await openFeed(context, one.server)).next(status, 'the greeting');
  assert.equal(greeted.base_url, 'http://127.0.0.1:8090/$%7BX%7D/api');
  const told = await (await openFeed(context, other.server)).next(
    (frame) => status(frame) && frame.peer_id === one.server.peerId,
    'the status at a peer',
    20_000,
  );
  assert.equal(told.base_url, greeted.base_url);
  assert.equal(other.server.parts.scores.score(asPeer(one.server.peerId)), 0);
});
