/** The registry's calls beside those of the blockchain service. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { status as Status } from '@grpc/grpc-js';
import { Registry } from 'prom-client';
import { GrpcBlockchainClient } from '../../../src/main/chain/grpc-client.js';
import { RpcError } from '../../../src/shared/grpc/call.js';
import { tracingConfig } from '../../../src/shared/tracing/config.js';
import { Tracing } from '../../../src/shared/tracing/tracing.js';
import { BlockchainService } from '../../support/blockchain-service.js';
import { startCollector } from '../../support/collector.js';
import { minedChain } from '../../support/headers.js';
import { keptLog } from '../../support/logger.js';
import { LossyProxy } from '../../support/lossy-proxy.js';
import { settingsOf } from '../../support/settings.js';

test('the registry is asked over the connection of the blockchain service, which may have none', async (context) => {
  const service = new BlockchainService();
  service.add(minedChain(1)[0] as Uint8Array);
  await service.start();
  context.after(() => service.stop());
  const proxy = await LossyProxy.listen(context);
  proxy.target = Number(service.address.split(':')[1]);
  const { logger } = keptLog();
  const chain = new GrpcBlockchainClient({
    settings: settingsOf({ blockchain_grpcAddress: `127.0.0.1:${proxy.port}` }),
    logger,
  });
  context.after(() => chain.close());
  await chain.getBestBlockHeader();
  await assert.rejects(
    chain.peerRegistry.call('listBannedPeers', {}),
    (error: unknown) => error instanceof RpcError && error.code === Status.UNIMPLEMENTED,
  );
  await chain.getBestBlockHeader();
  assert.equal(proxy.connections, 1);
});

test('its calls have spans under their own names', async (context) => {
  const service = new BlockchainService();
  await service.start();
  context.after(() => service.stop());
  const collector = await startCollector(context);
  const { logger } = keptLog();
  const { config } = tracingConfig(
    settingsOf({ tracing_enabled: true, tracing_SampleRate: 1, tracing_collector_url: collector.url }),
    { OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' },
  );
  const tracing = new Tracing({ logger, registry: new Registry() }, config);
  await tracing.open({ peerId: '12D3KooWtest', clientName: '', version: '1.2.3' });
  const settings = settingsOf({ blockchain_grpcAddress: service.address });
  const chain = new GrpcBlockchainClient({ settings, logger, tracers: tracing });
  context.after(() => chain.close());
  await assert.rejects(chain.peerRegistry.call('listBannedPeers', {}), { codeName: 'UNIMPLEMENTED' });
  await tracing.close(30_000);
  assert.deepEqual(
    collector.spans.map(({ name, values }) => [name, values['rpc.method']]),
    [Array(2).fill('blockchain_api.PeerRegistryService/ListBannedPeers')],
  );
});
