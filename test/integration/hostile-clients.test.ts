/** Clients of a whole server that do it no good: over gRPC without the key, over WebSocket with garbage, silence and haste. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { status as Status } from '@grpc/grpc-js';
import { RpcError } from '../../src/shared/grpc/call.js';
import { PeerServiceClient } from '../../src/shared/grpc/peer-service-client.js';
import { hashOf, joinPeer, numberOf, subtreeData, sumOf, topicOf } from '../support/gossip.js';
import { kindNamed } from '../support/kinds.js';
import { listen, rawUpgrade } from '../support/notifications.js';
import { openFeed, serverSettings, startServer, type TestServer } from '../support/server.js';
import { waitFor } from '../support/wait.js';

const SUBTREE = kindNamed('subtree');

function clientOf(context: TestContext, { server }: TestServer, adminKey?: string): PeerServiceClient {
  const client = new PeerServiceClient(
    `127.0.0.1:${server.ports.grpc}`,
    adminKey === undefined ? {} : { adminKey },
  );
  context.after(() => client.close());
  return client;
}

const refusedWith = (code: Status) => (error: unknown) => error instanceof RpcError && error.code === code;

test('gRPC: no key, a wrong key, a bad address and a time past change nothing; the kept key bans at once', async (context) => {
  const server = await startServer(context, serverSettings(context, { p2p_notification_servers: 1 }));
  const path = join(server.settings.DATADIR, 'admin.key');
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const peer = await joinPeer(context, server, {
    topics: [topicOf(server, SUBTREE)],
    localAddress: '127.0.0.2',
  });
  const id = peer.id;
  const past = BigInt(Math.floor(Date.now() / 1000) - 60);

  for (const client of [clientOf(context, server), clientOf(context, server, 'wrong'.repeat(8))]) {
    for (const call of [
      () => client.banPeer(id),
      () => client.unbanPeer(id),
      () => client.clearBanned(),
      () => client.addBanScore(id, 'spam'),
      () => client.connectPeer(peer.address),
      () => client.disconnectPeer(id),
    ]) {
      await assert.rejects(call(), (error) =>
        [Status.UNAUTHENTICATED, Status.PERMISSION_DENIED].includes((error as RpcError).code),
      );
    }
    assert.deepEqual(await client.listBanned(), []);
    assert.equal((await client.getPeers()).length, 1);
  }

  const operator = clientOf(context, server, readFileSync(path, 'utf8').trim());
  for (const subject of ['', 'nobody', '300.1.1.1', '10.0.0.0/99', 'x'.repeat(10_000)])
    await assert.rejects(
      operator.banPeer(subject),
      refusedWith(Status.INVALID_ARGUMENT),
      subject.slice(0, 20),
    );
  await assert.rejects(operator.banPeer('203.0.113.7', past), refusedWith(Status.INVALID_ARGUMENT));
  await assert.rejects(operator.addBanScore('nobody', 'spam'), refusedWith(Status.INVALID_ARGUMENT));
  await assert.rejects(operator.connectPeer('127.0.0.1:1'), refusedWith(Status.INVALID_ARGUMENT));
  assert.deepEqual(await operator.listBanned(), []);

  // Loopback peers are never banned automatically, whatever their score.
  for (let i = 0; i < 5; i++) await operator.addBanScore(id, 'spam');
  assert.equal(await operator.isBanned(id), false);
  assert.equal(peer.libp2p.getConnections().length, 1);
  // Somebody who is not here, and whose address nobody vouches for, is.
  const stranger = '12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp';
  await operator.addBanScore(stranger, 'spam');
  assert.equal(await operator.isBanned(stranger), false);
  await operator.addBanScore(stranger, 'spam');
  await waitFor(() => operator.isBanned(stranger), { what: 'the ban at the threshold' });

  // An operator's ban knows no exemption, and does not wait.
  assert.equal(await operator.banPeer(id), true);
  await waitFor(() => peer.libp2p.getConnections().length === 0, { what: 'the connection to be closed' });
  await peer.dial(server.address).catch(() => {});
  await waitFor(async () => (await operator.getPeers()).length === 0, { what: 'the door to be shut' });
  assert.ok((await operator.listBanned()).includes(id));
  await waitFor(async () => (await server.server.health(false)).status === 200, { what: 'readiness' });
});

/** Asks for an upgrade and is gone in the same breath. */
async function vanish(port: number): Promise<void> {
  await new Promise<void>((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const done = () => {
      socket.destroy();
      resolve();
    };
    socket.on('error', done);
    socket.setTimeout(5_000, done);
    socket.once('connect', () => {
      socket.write(
        `GET /p2p-ws HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
          `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`,
        done,
      );
    });
  });
}

test('WebSocket: one that never reads, one with garbage, one with 1 MiB and 2,000 that vanish cost others nothing', async (context) => {
  const settings = serverSettings(context, {
    p2p_websocket_trusted_source_cidrs: ['127.0.0.0/8'],
    p2p_websocket_client_buffer: 65_536,
    p2p_node_status_interval: 3_600_000,
    p2p_checkers: 1,
  });
  const server = await startServer(context, settings);
  const port = server.server.ports.http;
  const topic = topicOf(server, SUBTREE);
  const sender = await joinPeer(context, server, { topics: [topic] });
  const good = await openFeed(context, server.server);
  const heard = () =>
    good.frames.filter((frame) => frame.type === 'subtree').map((frame) => numberOf(frame.hash));

  const silent: Socket = await rawUpgrade(context, port);
  silent.pause();
  let gone = false;
  silent.once('close', () => {
    gone = true;
  });
  const garbage = await rawUpgrade(context, port);
  // What comes with the request itself is no frame yet.
  await new Promise((resolve) => garbage.once('data', resolve));
  garbage.on('data', () => {});
  garbage.write(Buffer.alloc(4096, 0xff));
  const large = await listen(context, `ws://127.0.0.1:${port}/p2p-ws`);
  large.socket.send(Buffer.alloc(1 << 20, 'x'));
  const crowd = (async () => {
    for (let round = 0; round < 20; round++)
      await Promise.all(Array.from({ length: 100 }, () => vanish(port)));
  })();

  // Long URLs: what waits for the silent one passes its bound and the system's buffers.
  const dataHubUrl = `https://hub.example.org/${'x'.repeat(1_900)}`;
  const count = 4_000;
  let crowded = false;
  const over = crowd.finally(() => {
    crowded = true;
  });
  for (let n = 0; n < count; n++) {
    await sender.publish(topic, subtreeData(sender.id, n, { dataHubUrl }));
    if (n % 20 === 0) await delay(2);
  }
  await over;
  assert.ok(crowded);
  await waitFor(() => heard().includes(count - 1), { what: 'the last frame', timeoutMs: 30_000 });
  const order = heard();
  assert.deepEqual(
    order,
    order.toSorted((a, b) => a - b),
    'in order',
  );
  assert.equal(new Set(order).size, order.length);
  assert.equal(order.length, count, 'every frame');

  await waitFor(() => garbage.destroyed || garbage.readableEnded, {
    what: 'the end of the one with garbage',
  });
  await waitFor(() => large.code !== undefined, { what: 'the end of the one with 1 MiB' });
  await waitFor(() => server.server.parts.notifications.connections <= 2, {
    what: 'the vanished to be let go of',
  });
  await waitFor(
    async () =>
      sumOf(await server.server.scrape(), 'teranode_p2p_websocket_evictions_total', {
        reason: 'slow_cut',
      }) === 1,
    { what: 'the silent one to be cut', timeoutMs: 15_000, everyMs: 200 },
  );
  silent.resume();
  await waitFor(() => gone, { what: 'its connection to end' });
  assert.equal(server.server.parts.notifications.serving, 2);
  assert.equal(sumOf(await server.server.scrape(), 'teranode_p2p_notification_server_restarts_total'), 0);
  assert.ok(heard().includes(numberOf(hashOf(0))));
});
