/** The process of `serverInside`: one server, told what to do by its parent, stopped when the parent is gone. */

import { peerIdFromString } from '@libp2p/peer-id';
import { type Feed, openFeed, serverSettings, startServer, type TestServer } from '../../support/server.js';
import type { SettingChanges } from '../../support/settings.js';
import type { Calls } from './server-inside.js';

const undo: (() => unknown)[] = [];
const context = { after: (step: () => unknown) => undo.push(step) } as unknown as Parameters<
  typeof startServer
>[0];

let running: { readonly server: TestServer; readonly feed: Feed } | undefined;

function current(): { readonly server: TestServer; readonly feed: Feed } {
  if (running === undefined) throw new Error('not started');
  return running;
}

async function start(changes: SettingChanges): Promise<Calls['start']> {
  const settings = serverSettings(context, {
    p2p_ip: '',
    p2p_listen_addresses: ['0.0.0.0'],
    p2p_allow_private_ips: false,
    p2p_checkers: 1,
    p2p_notification_servers: 1,
    p2p_node_status_interval: 500,
    ...changes,
  });
  const since = performance.now();
  const server = await startServer(context, settings);
  const tookMs = performance.now() - since;
  running = { server, feed: await openFeed(context, server.server) };
  return { peerId: server.server.peerId, port: server.server.ports.p2p ?? 0, tookMs };
}

const calls: { [C in keyof Calls]: (argument: string) => Calls[C] | Promise<Calls[C]> } = {
  start: (changes) => start(changes as unknown as SettingChanges),
  addresses: () => [...current().server.server.parts.node.addresses()],
  connections: (peerId) => {
    const { host } = current().server.server.parts.node.inspect();
    const open = host?.getConnections(peerIdFromString(peerId)) ?? [];
    return open.map(({ remoteAddr }) => remoteAddr.toString());
  },
  connect: async (address) => {
    await current().server.server.parts.node.connect(address);
    return null;
  },
  heard: () =>
    current()
      .feed.frames.filter(({ type }) => type === 'node_status')
      .map((frame) => String(frame.peer_id)),
  stop: async () => {
    const since = performance.now();
    for (const step of undo.splice(0).reverse()) await step();
    return { tookMs: performance.now() - since };
  },
};

/** To a test that is still there. */
const answer = (message: object): void => {
  if (process.connected) process.send?.(message);
};

process.on('message', (message: { id: number; name: keyof Calls; argument: string }) => {
  const { id, name, argument } = message;
  Promise.resolve()
    .then(() => calls[name](argument))
    .then(
      (value) => answer({ id, value }),
      (error: unknown) => answer({ id, error: error instanceof Error ? error.stack : String(error) }),
    );
});
process.on('disconnect', () => {
  Promise.resolve(calls.stop('')).then(
    () => process.exit(0),
    () => process.exit(1),
  );
});
