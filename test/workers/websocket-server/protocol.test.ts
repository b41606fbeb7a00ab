/** What a client's frames are answered with, as RFC 6455 has it. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { rawUpgrade, readFrames, serveNotifications } from '../../support/notifications.js';
import { waitFor } from '../../support/wait.js';

const MASK = [0x37, 0xfa, 0x21, 0x3d];

/** A frame of a client (section 5.2), of less than 65,536 bytes. */
function frame(opcode: number, payload: Buffer | string, { masked = true, fin = true } = {}): Buffer {
  const bytes = Buffer.from(payload);
  const length = bytes.length < 126 ? [bytes.length] : [126, bytes.length >> 8, bytes.length & 0xff];
  const head = [(fin ? 0x80 : 0) | opcode, (masked ? 0x80 : 0) | Number(length[0]), ...length.slice(1)];
  const body = masked ? bytes.map((byte, index) => byte ^ Number(MASK[index % 4])) : bytes;
  return Buffer.concat([Buffer.from(head), Buffer.from(masked ? MASK : []), body]);
}

const closing = (code: number) => frame(8, Buffer.from([code >> 8, code & 0xff]));

/** A message that goes on without a byte. */
const endless = Buffer.concat([
  frame(1, '', { fin: false }),
  ...Array(100).fill(frame(0, '', { fin: false })),
]);

describe('WebSocket on ws, by the letter', () => {
  const cases: readonly (readonly [what: string, bytes: Buffer, code: number])[] = [
    // Section 5.1: a client masks.
    ['a frame without a mask', frame(1, 'hello', { masked: false }), 1002],
    // Section 5.2: what is reserved fails the connection.
    ['a reserved opcode', frame(3, ''), 1002],
    ['a reserved bit', frame(0x41, ''), 1002],
    // Sections 5.4 and 5.5.
    ['a continuation of nothing', frame(0, 'x'), 1002],
    ['a ping above 125 bytes', frame(9, 'x'.repeat(126)), 1002],
    ['a ping in pieces', frame(9, 'x', { fin: false }), 1002],
    ['a close frame of one byte', frame(8, 'x'), 1002],
    // Section 7.4.
    ['a code that may not be sent', closing(1005), 1002],
    ['a code below 1000', closing(999), 1002],
    ['text that is no UTF-8', frame(1, Buffer.from([0xc3, 0x28])), 1007],
    ['a message in more pieces than one needs', endless, 1008],
    ['a message above 1,024 bytes', frame(1, 'x'.repeat(1025)), 1009],
    // Section 5.5.1: it is usual to echo the code.
    ...[1000, 1001, 1012, 1013, 1014, 3000, 3999, 4000, 4999].map(
      (code) => [`a close frame with ${code}`, closing(code), code] as const,
    ),
  ];

  it('answers what is against the protocol, and each close code, with a close frame', async (t) => {
    const { servers } = await serveNotifications(t, { p2p_websocket_transport: 'ws' });
    await Promise.all(
      cases.map(async ([what, bytes, code]) => {
        const socket = await rawUpgrade(t, servers.port);
        const chunks: Buffer[] = [];
        socket.on('data', (chunk) => chunks.push(chunk));
        const received = () => readFrames(Buffer.concat(chunks));
        await waitFor(() => received().texts.length > 0, { what: 'the greeting' });
        socket.write(bytes);
        await waitFor(() => socket.closed || socket.readableEnded, { what: `the end after ${what}` });
        assert.equal(received().close, code, what);
      }),
    );
    await waitFor(() => servers.connections === 0, { what: 'their places given back' });
  });

  it('reads little more of a client that goes on after what is against the protocol', async (t) => {
    const { servers } = await serveNotifications(t, { p2p_websocket_transport: 'ws' });
    const socket = await rawUpgrade(t, servers.port);
    // It does not mind that the server has closed its side.
    socket.allowHalfOpen = true;
    socket.resume();
    const more = Buffer.alloc(65_536);
    let taken = 0;
    const send = () => {
      if (socket.destroyed) return;
      socket.write(more, (error) => {
        if (error) return;
        taken += more.length;
        send();
      });
    };
    socket.write(frame(1, 'hello', { masked: false }));
    send();
    await waitFor(() => socket.closed, { what: 'the end' });
    // What the system takes for a connection before anybody reads it is some MiB.
    assert.ok(taken < 32 * 1024 * 1024, `${taken} bytes were taken`);
  });
});
