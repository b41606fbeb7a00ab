import assert from 'node:assert/strict';
import { createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { Registry } from 'prom-client';
import { BlockchainAPIClient, type Notification } from '../../../src/shared/generated/blockchain_api.js';
import { NotificationType } from '../../../src/shared/generated/model.js';
import { Neighbour } from '../../../src/shared/grpc/neighbour.js';
import { createNeighbourMetrics } from '../../../src/shared/grpc/neighbour-metrics.js';
import { parseServiceAddress } from '../../../src/shared/net/listen-address.js';
import { tracingConfig } from '../../../src/shared/tracing/config.js';
import { Tracing } from '../../../src/shared/tracing/tracing.js';
import { BlockchainService } from '../../support/blockchain-service.js';
import { startCollector } from '../../support/collector.js';
import { minedChain } from '../../support/headers.js';
import { keptLog } from '../../support/logger.js';
import { LossyProxy } from '../../support/lossy-proxy.js';
import { settingsOf } from '../../support/settings.js';
import { waitFor } from '../../support/wait.js';

const [FIRST, SECOND] = minedChain(2) as [Uint8Array, Uint8Array];
/** Of calls that are to be missed. */
const BRIEF_MS = 300;
/** Of calls that a busy machine is not to miss by itself. */
const LONG_MS = 1_500;

/** The blockchain service at each of `ports`, as under a name that resolves to all of them. */
function neighbourAt(context: TestContext, probeMs: number, ...ports: readonly number[]) {
  const metrics = createNeighbourMetrics(new Registry());
  const neighbour = new Neighbour(
    { settings: settingsOf(), logger: keptLog().logger, metrics },
    {
      setting: 'blockchain_grpcAddress',
      address: parseServiceAddress('blockchain:8087'),
      connect: ({ credentials, options }) =>
        new BlockchainAPIClient(
          `ipv4:${ports.map((port) => `127.0.0.1:${port}`).join(',')}`,
          credentials,
          options,
        ),
      probe: (client) => client.healthGrpc,
      probeMs,
    },
  );
  context.after(() => neighbour.close());
  const givenUp = async () => (await metrics.givenUp.get()).values[0]?.value ?? 0;
  return { neighbour, givenUp };
}

async function behindProxy(context: TestContext): Promise<{ service: BlockchainService; proxy: LossyProxy }> {
  const proxy = await LossyProxy.listen(context);
  const service = new BlockchainService();
  service.add(FIRST);
  await service.start();
  context.after(() => service.stop());
  proxy.target = Number(service.address.split(':')[1]);
  return { service, proxy };
}

test('of two hosts behind one name the silent one is given up, and the stream from the other goes on', async (context) => {
  const hosts = [await behindProxy(context), await behindProxy(context)];
  const { neighbour, givenUp } = neighbourAt(context, LONG_MS, ...hosts.map(({ proxy }) => proxy.port));
  const ask = (deadlineMs = LONG_MS) =>
    neighbour
      .call((client) => client.getFsmCurrentState, {}, { deadlineMs, retries: 0 })
      .catch(() => undefined);
  await waitFor(async () => (await ask()) && hosts.every(({ service }) => service.calls.get('fsm')), {
    what: 'answers of both',
  });
  const heard: Notification[] = [];
  const stopping = new AbortController();
  const stream = neighbour.stream<Notification>(
    (client, metadata) => client.subscribe({ source: 'test' }, metadata),
    stopping.signal,
  );
  const following = (async () => {
    for await (const notification of stream) heard.push(notification);
  })();
  context.after(async () => {
    stopping.abort();
    await following.catch(() => {});
  });
  await waitFor(() => heard.length === 1, { what: 'the opening block' });
  const [told, silent] = hosts.sort((a, b) => b.service.streams.size - a.service.streams.size);
  silent?.proxy.silence('both');
  const asked = async () => {
    await ask();
    return (await givenUp()) === 1;
  };
  await waitFor(asked, { what: 'the end of the silent connection' });
  for (let round = 0; round < 10; round++)
    assert.ok((await ask(30_000)) !== undefined, `call ${round} afterwards`);
  told?.service.notify(NotificationType.Block, told.service.add(SECOND));
  await waitFor(() => heard.length === 2, { what: 'the next block on the same stream' });
  assert.equal(told?.service.calls.get('subscribe'), 1);
  assert.equal(await givenUp(), 1);
});

test('a service that stays silent is dialled again and again, and holds no more than two sockets here', async (context) => {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    // Taken and never answered; what the other side closes is seen all the same.
    socket
      .resume()
      .on('error', () => {})
      .on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const { neighbour, givenUp } = neighbourAt(context, BRIEF_MS, (server.address() as { port: number }).port);
  const policy = { deadlineMs: BRIEF_MS, retries: 0 };
  const asked = async () => {
    await neighbour.call((client) => client.getFsmCurrentState, {}, policy).catch(() => {});
    return (await givenUp()) >= 6;
  };
  await waitFor(asked, { what: 'six connections given up' });
  await waitFor(() => sockets.size <= 2, { what: 'the end of their sockets' });
});

test('a span of a call has host and port, whichever form of Go’s gRPC the address has', async (context) => {
  const collector = await startCollector(context);
  const service = new BlockchainService();
  service.add(FIRST);
  await service.start();
  context.after(() => service.stop());
  const { logger } = keptLog();
  const { config } = tracingConfig(
    settingsOf({ tracing_enabled: true, tracing_SampleRate: 1, tracing_collector_url: collector.url }),
    { OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' },
  );
  const tracing = new Tracing({ logger, registry: new Registry() }, config);
  await tracing.open({ peerId: '12D3KooWtest', clientName: '', version: '1.2.3' });
  const addresses = [
    ['blockchain:8087', 'blockchain'],
    ['k8s:///blockchain.node.svc.cluster.local:8087', 'blockchain.node.svc.cluster.local'],
    ['k8s://node/blockchain:8087', 'blockchain.node'],
    ['k8s://blockchain.node:8087', 'blockchain.node'],
    ['kubernetes:///blockchain.node:8087', 'blockchain.node'],
    ['dns:///blockchain:8087', 'blockchain'],
    ['passthrough:///[2001:db8::1]:8087', '2001:db8::1'],
  ] as const;
  for (const [address] of addresses) {
    const neighbour = new Neighbour(
      { settings: settingsOf(), logger, tracers: tracing },
      {
        setting: 'blockchain_grpcAddress',
        address: parseServiceAddress(address),
        connect: ({ credentials, options }) => new BlockchainAPIClient(service.address, credentials, options),
        probe: (client) => client.healthGrpc,
      },
    );
    await neighbour.call((client) => client.getFsmCurrentState, {});
    neighbour.close();
  }
  await tracing.close(30_000);
  assert.deepEqual(
    collector.spans.map(({ values }) => [values['server.address'], values['server.port']]),
    addresses.map(([, host]) => [host, 8087]),
  );
});
