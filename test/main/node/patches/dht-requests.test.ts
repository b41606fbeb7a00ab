import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Stream } from '@libp2p/interface';
import { multiaddr } from '@multiformats/multiaddr';
import { createHost } from '../../../support/host.js';
import { createTestNode } from '../../../support/node.js';
import { waitFor } from '../../../support/wait.js';

/** A PING of some 1,000 bytes, which comes back as it is: its length, type 5, and a key. */
const PING = Buffer.concat([Buffer.from('ed07080512e807', 'hex'), Buffer.alloc(1_000, 'k')]);

/** Bytes that come back on a stream. */
function answersOn(stream: Stream): () => number {
  let bytes = 0;
  stream.addEventListener('message', ({ data }) => {
    bytes += data.byteLength;
  });
  return () => bytes;
}

test('a peer that asks the DHT without end is cut off, and asked for nothing else; others are answered', async (context) => {
  const { node, address } = await createTestNode(context, { settings: { p2p_dht_mode: 'server' } });
  const protocol = node
    .inspect()
    .host!.getProtocols()
    .find((each) => each.endsWith('/kad/1.0.0'));
  assert.ok(protocol);
  const join = async () => {
    const host = await createHost(context, { listen: [] });
    return { host, connection: await host.dial(multiaddr(address)) };
  };
  const greedy = await join();
  const stream = await greedy.connection.newStream(protocol);
  const answered = answersOn(stream);
  const began = performance.now();
  let asked = 0;
  while (stream.status === 'open' && asked < 20_000) {
    stream.send(PING);
    asked++;
    await waitFor(() => answered() >= asked * PING.length || stream.status !== 'open', { everyMs: 1 });
  }
  // Its budget is 128 KiB in ten seconds.
  assert.equal(stream.status, 'reset');
  assert.ok(answered() >= 100 * PING.length, `${answered()} bytes came back`);

  const again = await greedy.connection.newStream(protocol);
  const answeredAgain = answersOn(again);
  if (again.status === 'open') again.send(PING);
  await waitFor(() => again.status !== 'open' || answeredAgain() > 0, {
    what: 'the next to be reset as well',
  });
  assert.ok(answeredAgain() === 0 || performance.now() - began > 10_000, 'its time was not over');
  assert.equal(greedy.connection.status, 'open');

  const modest = await join();
  const other = await modest.connection.newStream(protocol);
  const answer = answersOn(other);
  other.send(PING);
  await waitFor(() => answer() === PING.length, { what: 'an answer to somebody else' });
});
