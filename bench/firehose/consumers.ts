/** Load: consumers of the feed in a process of their own, each with its own parameters. They count frames and bytes. */

import { connect, type Socket } from 'node:net';
import { eventParser, webSocketParser } from './stream-parsers.js';

export type ConsumersOrder =
  /** One connection for each path, over `/p2p-ws` a WebSocket, else a GET that goes on. */
  | { readonly type: 'open'; readonly port: number; readonly paths: readonly string[] }
  /** Answer with `reached` when this many frames have come to all together. */
  | { readonly type: 'await'; readonly frames: number }
  | { readonly type: 'count' }
  | { readonly type: 'close' };

export type ConsumersReport =
  | { readonly type: 'opened' | 'closed' }
  | { readonly type: 'reached' | 'count'; readonly frames: number; readonly bytes: number };

const WAVE = 100;

let sockets: Socket[] = [];
let frames = 0;
let bytes = 0;
let awaited = Number.POSITIVE_INFINITY;

const report = (message: ConsumersReport) => process.send?.(message);

function check(): void {
  if (frames < awaited) return;
  awaited = Number.POSITIVE_INFINITY;
  report({ type: 'reached', frames, bytes });
}

function open(port: number, path: string): Promise<void> {
  const isWebSocket = path.startsWith('/p2p-ws');
  const socket = connect(port, '127.0.0.1');
  sockets.push(socket);
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.once('connect', () => {
      const upgrade =
        'Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';
      socket.write(`GET ${path} HTTP/1.1\r\nHost: bench\r\n${isWebSocket ? upgrade : ''}\r\n`);
    });
    const parse = isWebSocket ? webSocketParser() : eventParser();
    const take = (chunk: Buffer) => {
      bytes += chunk.length;
      frames += parse(chunk);
      check();
    };
    let head = Buffer.alloc(0);
    const begin = (chunk: Buffer) => {
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf('\r\n\r\n');
      if (end === -1) return;
      if (!/^HTTP\/1\.1 (101|200)/.test(head.toString('latin1', 0, 12))) {
        reject(new Error(head.toString('latin1')));
        return;
      }
      socket.off('data', begin);
      socket.off('error', reject);
      socket.on('error', () => {});
      socket.on('data', take);
      if (head.length > end + 4) take(head.subarray(end + 4));
      resolve();
    };
    socket.on('data', begin);
  });
}

async function follow(order: ConsumersOrder): Promise<void> {
  switch (order.type) {
    case 'open':
      for (let from = 0; from < order.paths.length; from += WAVE)
        await Promise.all(order.paths.slice(from, from + WAVE).map((path) => open(order.port, path)));
      report({ type: 'opened' });
      break;
    case 'await':
      awaited = order.frames;
      check();
      break;
    case 'count':
      report({ type: 'count', frames, bytes });
      break;
    case 'close':
      for (const socket of sockets) socket.destroy();
      sockets = [];
      [frames, bytes] = [0, 0];
      report({ type: 'closed' });
      break;
  }
}

process.on('message', (order: ConsumersOrder) => {
  follow(order).catch((error: unknown) => {
    console.error(error);
    process.exit(1);
  });
});
process.on('disconnect', () => process.exit(0));
