/** The attack of who cannot be told from a scanner: connections that say nothing, opened again when they are closed. */

import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

export interface IdleOptions {
  readonly host: string;
  readonly port: number;
  /** Local addresses to come from. */
  readonly from: readonly string[];
  /** From each of them. */
  readonly each: number;
}

export interface IdleConnections {
  /** Open now, as far as this side knows. */
  readonly open: number;
  /** Ended by the other side so far. */
  readonly closed: number;
}

/** Keeps them open until the test ends. */
export function holdIdle(
  context: { after(fn: () => void): void },
  { host, port, from, each }: IdleOptions,
): IdleConnections {
  const sockets = new Set<Socket>();
  const seen = { closed: 0, stopped: false };
  const open = (localAddress: string): void => {
    const socket = connect({ host, port, localAddress });
    sockets.add(socket);
    socket.on('error', () => {}).resume();
    socket.on('close', () => {
      sockets.delete(socket);
      seen.closed++;
      // As fast as an attacker likes, but for the test's own sake.
      void delay(20).then(() => {
        if (!seen.stopped) open(localAddress);
      });
    });
  };
  for (const address of from) for (let count = 0; count < each; count++) open(address);
  context.after(() => {
    seen.stopped = true;
    for (const socket of sockets) socket.destroy();
  });
  return {
    get open() {
      return [...sockets].filter(({ readyState }) => readyState === 'open').length;
    },
    get closed() {
      return seen.closed;
    },
  };
}
