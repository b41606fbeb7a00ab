import assert from 'node:assert/strict';
import { constants, createServer, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { credentials } from '@grpc/grpc-js';
import { UnavailableError } from '../../../src/shared/errors.js';
import { BlockchainAPIClient } from '../../../src/shared/generated/blockchain_api.js';
import { callUnary, DeadlineError } from '../../../src/shared/grpc/call.js';

/** A client of a server that resets each call with CANCEL, so many milliseconds after its coming as `wait` says of its time-out. */
async function cancelled(context: TestContext, wait: (timeoutMs: number) => number) {
  const server = createServer();
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    stream.on('error', () => {});
    const [, timeoutMs] = /^(\d+)m$/.exec(String(headers['grpc-timeout'])) ?? [];
    const at = Date.now() + wait(Number(timeoutMs));
    const cancel = (): void => {
      // A timer's time begins with the turn of the loop it is set in, which may be long under way.
      if (Date.now() < at) setTimeout(cancel, at - Date.now());
      else stream.close(constants.NGHTTP2_CANCEL);
    };
    cancel();
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
  const method = await cancelled(context, (timeoutMs) => timeoutMs - 15);
  await assert.rejects(callUnary(method, {}, { deadlineMs: 300, retries: 0 }), DeadlineError);
});

test('a server that cuts a call before its deadline is away', async (context) => {
  const method = await cancelled(context, () => 0);
  await assert.rejects(callUnary(method, {}, { deadlineMs: 30_000, retries: 0 }), UnavailableError);
});
