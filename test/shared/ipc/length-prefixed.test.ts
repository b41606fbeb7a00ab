import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { test } from 'node:test';
import { LengthPrefixedReader } from '../../../src/shared/ipc/length-prefixed.js';
import { localSocketPath } from '../../../src/shared/ipc/socket-path.js';
import { temporaryDirectory } from '../../support/temporary.js';

function prefixed(message: Uint8Array): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(message.length);
  return Buffer.concat([length, message]);
}

const MESSAGES = [1, 2, 3, 4, 5, 255, 256, 65_536, 1].map((length) => randomBytes(length));
const STREAM = Buffer.concat(MESSAGES.map(prefixed));

test('messages come out as they went in, however the stream is cut', () => {
  for (const size of [1, 2, 3, 5, 7, 64, 1000, STREAM.length]) {
    const reader = new LengthPrefixedReader({ maxBytes: 65_536 });
    const read: Buffer[] = [];
    for (let at = 0; at < STREAM.length; at += size) {
      read.push(...[...reader.read(STREAM.subarray(at, at + size))].map((message) => Buffer.from(message)));
    }
    assert.deepEqual(read, MESSAGES, `pieces of ${size} bytes`);
  }
});

test('messages come over a socket', async (context) => {
  const path = localSocketPath(temporaryDirectory(context), 'test.sock');
  const server = createServer((socket) => socket.end(STREAM)).listen(path);
  await once(server, 'listening');
  context.after(() => server.close());
  const reader = new LengthPrefixedReader({ maxBytes: 65_536 });
  const read: Buffer[] = [];
  const client = connect(path).on('data', (chunk) => {
    for (const message of reader.read(chunk)) read.push(Buffer.from(message));
  });
  await once(client, 'end');
  assert.deepEqual(read, MESSAGES);
});

test('a length out of bounds is refused before its message has come', () => {
  for (const length of [0, 3, 101, 0xffff_ffff]) {
    const head = Buffer.alloc(4);
    head.writeUInt32LE(length);
    const reader = new LengthPrefixedReader({ minBytes: 4, maxBytes: 100 });
    assert.throws(() => [...reader.read(head)], {
      name: 'RangeError',
      message: `a message of ${length} bytes`,
    });
  }
  const reader = new LengthPrefixedReader({ minBytes: 4, maxBytes: 100 });
  assert.equal([...reader.read(prefixed(randomBytes(4)))].length, 1);
  assert.equal([...reader.read(prefixed(randomBytes(100)))].length, 1);
});
