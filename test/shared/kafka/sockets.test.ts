import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { test } from 'node:test';
import { namingSockets } from '../../../src/shared/kafka/kafkajs/sockets.js';

test('a socket that was ended before it connected never tells that it did, and closes', async (context) => {
  // Never closes its side.
  const server = createServer({ allowHalfOpen: true }, (socket) => socket.resume());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  context.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const sockets = namingSockets({ setting: 'kafka_blocksConfig', sasl: false });
  let told = 0;
  const plain = () => sockets({ host: '127.0.0.1', port, ssl: undefined as never, onConnect: () => told++ });
  const accepted = once(server, 'connection');
  const socket = plain();
  context.after(() => socket.destroy());
  const connected = once(socket, 'connect');
  const closed = once(socket, 'close');
  socket.end();
  await Promise.all([accepted, connected]);
  assert.equal(told, 0);
  await closed;

  const other = plain();
  context.after(() => other.destroy());
  await once(other, 'connect');
  assert.equal(told, 1);
});
