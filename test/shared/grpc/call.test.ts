import assert from 'node:assert/strict';
import { constants, createServer, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { credentials } from '@grpc/grpc-js';
import { UnavailableError } from '../../../src/shared/errors.js';
import { BlockchainAPIClient } from '../../../src/shared/generated/blockchain_api.js';
import { callUnary, DeadlineError } from '../../../src/shared/grpc/call.js';

/** A client of a server that resets each call with CANCEL, `afterMs` from its coming. */
async function cancelledAfter(context: TestContext, afterMs: number) {
  const server = createServer();
  server.on('stream', (stream: ServerHttp2Stream) => {
    stream.on('error', () => {});
    setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), afterMs);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const client = new BlockchainAPIClient(`127.0.0.1:${port}`, credentials.createInsecure());
  context.after(() => {
    client.close();
    server.close();
  });
  await new Promise<void>((resolve, reject) => {
    client.waitForReady(Date.now() + 10_000, (error) => (error ? reject(error) : resolve()));
  });
  return client.getBestBlockHeader.bind(client);
}

test('a server that gives a call up as its deadline passes is late, not away', async (context) => {
  const deadlineMs = 300;
  const method = await cancelledAfter(context, deadlineMs - 3);
  await assert.rejects(callUnary(method, {}, { deadlineMs, retries: 0 }), DeadlineError);
});

test('a server that cuts a call before its deadline is away', async (context) => {
  const method = await cancelledAfter(context, 0);
  await assert.rejects(callUnary(method, {}, { deadlineMs: 30_000, retries: 0 }), UnavailableError);
});
