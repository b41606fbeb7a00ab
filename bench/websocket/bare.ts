/** The reference: uWebSockets.js alone, publishing the same frame to the same clients. */

import { loadUws } from '../../src/workers/websocket-server/transport/uws-build.js';
import { makeFrame } from './frame.js';

export type BareOrder =
  | { readonly type: 'publish'; readonly count: number }
  | { readonly type: 'cpu' }
  | { readonly type: 'stop' };
export type BareReport =
  | { readonly type: 'listening'; readonly port: number }
  | { readonly type: 'cpu'; readonly seconds: number };

const { uws } = loadUws();
const app = uws.App();
app.ws('/p2p-ws', {
  maxBackpressure: 0,
  idleTimeout: 120,
  open: (socket) => {
    socket.subscribe('feed');
  },
});
app.listen('127.0.0.1', 0, (socket) => {
  if (!socket) throw new Error('cannot listen');
  const listening: BareReport = { type: 'listening', port: uws.us_socket_local_port(socket) };
  process.send?.(listening);
});

function stop(): void {
  app.close();
  process.exit(0);
}

process.on('message', (order: BareOrder) => {
  if (order.type === 'stop') stop();
  else if (order.type === 'cpu') {
    const { user, system } = process.cpuUsage();
    const used: BareReport = { type: 'cpu', seconds: (user + system) / 1e6 };
    process.send?.(used);
  } else {
    for (let count = 0; count < order.count; count++) app.publish('feed', makeFrame(), false);
  }
});
process.on('disconnect', stop);
