/** The registry's calls beside those of the blockchain service. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { status as Status } from '@grpc/grpc-js';
import { GrpcBlockchainClient } from '../../../src/main/chain/grpc-client.js';
import { RpcError } from '../../../src/shared/grpc/call.js';
import { BlockchainService } from '../../support/blockchain-service.js';
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
