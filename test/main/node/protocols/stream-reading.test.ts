import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Stream } from '@libp2p/interface';
import { readStream } from '../../../../src/main/node/protocols/stream-reading.js';
import { createHost } from '../../../support/host.js';
import { waitFor, within } from '../../../support/wait.js';

const PROTOCOL = '/test/1';

test('what came with the name of the protocol is read although the remote end has closed its half', async (context) => {
  const [one, two] = [await createHost(context), await createHost(context)];
  let opened: Stream | undefined;
  let early: Uint8Array | undefined;
  await two.handle(PROTOCOL, (stream) => {
    opened = stream;
    // As the negotiation does, which Go sends together with the request: it reads ahead …
    stream.addEventListener('message', ({ data }) => (early = data.subarray().slice()), { once: true });
  });
  const connection = await one.dial(two.getMultiaddrs());
  const sender = await connection.newStream(PROTOCOL);
  sender.send(Buffer.from('the request'));
  const bytes = await waitFor(() => early, { what: 'the bytes' });
  await sender.close();
  const stream = await waitFor(() => (opened?.readableEnded ? opened : undefined), { what: 'the end' });
  // … and gives back what is not its own.
  stream.unshift(bytes);
  const read = readStream(stream, { maxBytes: 100, signal: AbortSignal.timeout(5_000) });
  assert.equal(Buffer.from(await within(read, 5_000, 'the read')).toString(), 'the request');
  await stream.close();
});

test('of a stream that ended without a word nothing is read', async (context) => {
  const [one, two] = [await createHost(context), await createHost(context)];
  let opened: Stream | undefined;
  await two.handle(PROTOCOL, (stream) => {
    opened = stream;
  });
  const connection = await one.dial(two.getMultiaddrs());
  await (await connection.newStream(PROTOCOL)).close();
  const stream = await waitFor(() => (opened?.readableEnded ? opened : undefined), { what: 'the end' });
  const read = readStream(stream, { maxBytes: 100, signal: AbortSignal.timeout(5_000) });
  assert.equal((await within(read, 5_000, 'the read')).length, 0);
});
