import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { test } from 'node:test';
import { namingSockets } from '../../../../src/shared/sinks/kafka/kafkajs/sockets.js';
import { within } from '../../../support/wait.js';

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
  await Promise.all([accepted, Promise.race([connected, closed])]);
  assert.equal(told, 0);
  await closed;

  const other = plain();
  context.after(() => other.destroy());
  await once(other, 'connect');
  assert.equal(told, 1);
});

test('a connection on which nothing comes back is ended, unless a group is waited for', async (context) => {
  const server = createServer((socket) => {
    context.after(() => socket.destroy());
    // Answers what ends in an exclamation mark, once.
    socket.on('data', (data) => {
      if (data.toString().endsWith('!')) socket.write('answer');
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  context.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const sockets = namingSockets({ setting: 'kafka_blocksConfig', sasl: false, silenceMs: 1000 });
  const connected = async () => {
    const socket = sockets({ host: '127.0.0.1', port, ssl: undefined as never, onConnect: () => {} });
    context.after(() => socket.destroy());
    await once(socket, 'connect');
    return socket;
  };
  const request = (key: number, text: string): Buffer => {
    const head = Buffer.alloc(6);
    head.writeInt16BE(key, 4);
    return Buffer.concat([head, Buffer.from(text)]);
  };
  const [PRODUCE, METADATA, JOIN_GROUP] = [0, 3, 11] as const;
  const silent = await connected();
  const joining = await connected();
  joining.write(request(JOIN_GROUP, 'no answer'));
  joining.write(request(METADATA, 'nor here'));
  const failed = once(silent, 'error');
  silent.write(request(PRODUCE, 'answered!'));
  await once(silent, 'data');
  // An answer was the last thing heard: nothing is owed.
  assert.equal(silent.destroyed, false);
  silent.write(request(PRODUCE, 'no answer'));
  const [error] = (await within(failed, 5000, 'the end of the connection')) as [Error];
  assert.equal(error.message, `127.0.0.1:${port} does not answer`);
  assert.equal(joining.destroyed, false);
  // Its machine would take the next connection too: it is left alone until it is heard again.
  await assert.rejects(connected(), { message: `127.0.0.1:${port} does not answer` });
  joining.write(request(PRODUCE, 'answered!'));
  await once(joining, 'data');
  await connected();
});
