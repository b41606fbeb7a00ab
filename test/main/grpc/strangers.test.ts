/** PeerService, open to other machines, under what strangers do to it and to the registry that it shows. */

import assert from 'node:assert/strict';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { type TestContext, test } from 'node:test';
import { generateKeyPair } from '@libp2p/crypto/keys';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { PeerServiceClient } from '../../../src/shared/grpc/peer-service-client.js';
import { asHub, asPeer } from '../../support/branded.js';
import { waitFor, within } from '../../support/wait.js';
import { startService } from './service-fixture.js';

const MIB = 1024 * 1024;
const PEERS = 5_000;

type Service = Awaited<ReturnType<typeof startService>>;

/** Peers that nobody ever met, with the longest URL that is taken. */
async function fillRegistry({ peerRegistry }: Service): Promise<void> {
  const url = `https://hub.example/${'a'.repeat(2_020)}`;
  const ids = await Promise.all(
    Array.from({ length: PEERS }, async () => peerIdFromPrivateKey(await generateKeyPair('Ed25519'))),
  );
  for (const [index, id] of ids.entries()) {
    peerRegistry.known.learn({
      type: 'node_status',
      peer: asPeer(id.toString()),
      height: 120,
      hash: `${index}`.padStart(64, '0'),
      dataHubUrl: asHub(url),
      clientName: 'name',
      storage: 'full',
      chainWork: '0f',
    });
  }
}

/** Calls of a client that gives no room for an answer: one byte of window, and nothing read. */
function callUnread(
  context: TestContext,
  address: string,
  localAddress: string,
  calls: number,
): ClientHttp2Session {
  const [host = '', port] = address.split(':');
  const session = connectHttp2(`http://${address}`, {
    createConnection: () => connect({ host, port: Number(port), localAddress }),
    settings: { initialWindowSize: 1 },
  });
  session.on('error', () => {});
  context.after(() => session.destroy());
  session.once('remoteSettings', () => {
    for (let call = 0; call < calls; call++) {
      const stream = session.request({
        ':method': 'POST',
        ':path': '/p2p_api.PeerService/GetPeerRegistry',
        'content-type': 'application/grpc',
        te: 'trailers',
      });
      stream.on('error', () => {});
      stream.end(Buffer.alloc(5));
      stream.pause();
    }
  });
  return session;
}

const callsOf = async ({ registry }: Service, code: string): Promise<number> => {
  const metric = registry.getSingleMetric('teranode_p2p_grpc_calls_total');
  const values = (await metric?.get())?.values ?? [];
  return values
    .filter(({ labels }) => labels.method === 'GetPeerRegistry' && labels.code === code)
    .reduce((sum, { value }) => sum + value, 0);
};

const answered = async (service: Service): Promise<number> =>
  (await callsOf(service, 'OK')) + (await callsOf(service, 'RESOURCE_EXHAUSTED'));

test('the registry of thousands of made-up peers is a short answer, made once for all who ask, while main turns', async (context) => {
  const service = await startService(context);
  await fillRegistry(service);
  const delays = monitorEventLoopDelay({ resolution: 5 });
  const first = await service.client.getPeerRegistry();
  assert.equal(first.length, PEERS);
  const bytes = first.reduce(
    (sum, { data_hub_url, client_name }) => sum + data_hub_url.length + client_name.length,
    0,
  );
  assert.ok(bytes < 256 * PEERS, `${bytes} bytes of strangers' texts`);
  delays.enable();
  callUnread(context, service.address, '127.0.0.2', 100);
  await waitFor(async () => (await answered(service)) >= 101, { what: '100 calls', timeoutMs: 120_000 });
  delays.disable();
  const longest = delays.max / 1e6;
  assert.ok(longest < 1_000, `main stood still for ${longest} ms`);
});

test('calls whose answers nobody reads leave room and memory for others', async (context) => {
  const service = await startService(context);
  await fillRegistry(service);
  const before = process.memoryUsage().rss;
  for (const source of ['127.0.0.2', '127.0.0.3'])
    for (let connection = 0; connection < 2; connection++) callUnread(context, service.address, source, 100);
  await waitFor(async () => (await answered(service)) >= 400, { what: '400 calls', timeoutMs: 120_000 });
  const grown = (process.memoryUsage().rss - before) / MIB;
  assert.ok((await callsOf(service, 'RESOURCE_EXHAUSTED')) > 0, 'none was refused');
  assert.ok(grown < 300, `memory grew by ${grown} MiB`);
  const began = performance.now();
  assert.equal((await within(service.client.getPeerRegistry(), 30_000, 'an answer')).length, PEERS);
  assert.ok(performance.now() - began < 10_000);
});

test('connections of one source leave room for those of others', async (context) => {
  const { address } = await startService(context);
  const [host = '', port] = address.split(':');
  const seen = { open: 0, closed: 0 };
  for (const localAddress of ['127.0.0.2', '127.0.0.3', '127.0.0.4', '127.0.0.5', '127.0.0.6']) {
    for (let count = 0; count < 100; count++) {
      const session = connectHttp2(`http://${address}`, {
        createConnection: () => connect({ host, port: Number(port), localAddress }),
      });
      session.on('error', () => {});
      session.once('remoteSettings', () => seen.open++);
      session.once('close', () => seen.closed++);
      context.after(() => session.destroy());
    }
  }
  await waitFor(() => seen.closed > 0 && seen.open + seen.closed >= 500, { what: 'connections' });
  assert.ok(seen.closed >= 500 - 5 * 32, `${seen.closed} were closed`);
  const late = new PeerServiceClient(address, {});
  context.after(() => late.close());
  assert.deepEqual(await within(late.getPeerRegistry(), 10_000, 'an answer'), []);
});
