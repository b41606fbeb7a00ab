/**
 * Load: many WebSocket clients in a process of their own. They only count bytes, and, where asked, read the time that a
 * frame carries; reading frames properly would make this process slower than any server.
 */

import { connect, type Socket } from 'node:net';
import { percentile, readTime } from './frame.js';

export type ClientsOrder =
  | { readonly type: 'open'; readonly port: number; readonly clients: number; readonly stalled: number }
  /** Answer with `reached` when this many frame bytes have come to all clients together. */
  | { readonly type: 'await'; readonly bytes: number }
  /** From now on read the time of every frame of this many bytes on the wire. */
  | { readonly type: 'measure'; readonly frameBytes: number }
  | { readonly type: 'latency' }
  | { readonly type: 'count' }
  | { readonly type: 'close' };

export type ClientsReport =
  | { readonly type: 'opened' | 'closed' }
  | { readonly type: 'reached'; readonly bytes: number }
  /** Sockets that are open. */
  | { readonly type: 'count'; readonly open: number }
  | { readonly type: 'latency'; readonly p50: number; readonly p99: number; readonly samples: number };

let sockets: Socket[] = [];
let bytes = 0;
let awaited = Number.POSITIVE_INFINITY;
let frameBytes = 0;
let latencies: number[] = [];

const report = (message: ClientsReport) => process.send?.(message);

function check(): void {
  if (bytes < awaited) return;
  awaited = Number.POSITIVE_INFINITY;
  report({ type: 'reached', bytes });
}

/** Every frame begins a chunk in the measured phase: one is sent at a time. */
function measure(chunk: Buffer): void {
  const now = process.hrtime.bigint();
  for (let offset = 0; offset + frameBytes <= chunk.length; offset += frameBytes)
    latencies.push(Number(now - readTime(chunk, offset)) / 1e6);
}

/** What comes to a client that is not `counted` does not matter. */
async function open(port: number, counted = true): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.write(
        'GET /p2p-ws HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
          'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
      );
    });
    let head = Buffer.alloc(0);
    const hello = (chunk: Buffer) => {
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf('\r\n\r\n');
      if (end === -1) return;
      if (!head.toString('latin1', 0, 12).endsWith('101')) {
        reject(new Error(head.toString('latin1', 0, end)));
        return;
      }
      socket.off('data', hello);
      if (counted) bytes += head.length - end - 4;
      socket.on('data', (data) => {
        if (!counted) return;
        bytes += data.length;
        if (frameBytes > 0) measure(data);
        check();
      });
      resolve();
    };
    socket.on('data', hello);
  });
  return socket;
}

async function follow(order: ClientsOrder): Promise<void> {
  switch (order.type) {
    case 'open':
      bytes = 0;
      frameBytes = 0;
      latencies = [];
      for (let count = 0; count < order.clients; count += 100) {
        const wave = Math.min(100, order.clients - count);
        sockets.push(...(await Promise.all(Array.from({ length: wave }, () => open(order.port)))));
      }
      for (let count = 0; count < order.stalled; count++) {
        const stalled = await open(order.port, false);
        stalled.pause();
        sockets.push(stalled);
      }
      report({ type: 'opened' });
      break;
    case 'await':
      awaited = order.bytes;
      check();
      break;
    case 'measure':
      ({ frameBytes } = order);
      break;
    case 'latency':
      report({
        type: 'latency',
        p50: percentile(latencies, 0.5),
        p99: percentile(latencies, 0.99),
        samples: latencies.length,
      });
      break;
    case 'count':
      report({ type: 'count', open: sockets.filter(({ readyState }) => readyState === 'open').length });
      break;
    case 'close':
      for (const socket of sockets) socket.destroy();
      sockets = [];
      report({ type: 'closed' });
      break;
  }
}

process.on('message', (order: ClientsOrder) => {
  follow(order).catch((error: unknown) => {
    console.error(error);
    process.exit(1);
  });
});
process.on('disconnect', () => process.exit(0));
