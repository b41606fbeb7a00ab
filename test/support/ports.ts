/**
 * Free ports that stay free: below those that the system hands to outgoing connections and to port 0, above those that the product takes for it, and
 * each held until the process ends, so that no other draws it meanwhile.
 */

import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';

const FIRST = 20_000;
const LAST = 31_999;

/** `count` different ports of loopback that nobody listens on, and nobody else is given by this function. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  for (let attempt = 0; ports.length < count; attempt++) {
    if (attempt > 1000) throw new Error('no free port');
    const port = randomInt(FIRST, LAST + 1);
    if ((await isFree(port)) && (await hold(port))) ports.push(port);
  }
  return ports;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

/** By a UDP socket of the same number, which is in nobody's way: false where another has it. */
function hold(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4').unref();
    socket.once('error', () => socket.close(() => resolve(false)));
    socket.bind({ port, address: '127.0.0.1', exclusive: true }, () => resolve(true));
  });
}
