/**
 * A whole server in a process of its own, whose threads and processes end on demand. Argument: its settings as JSON. The embedded broker, where
 * the settings have one, is somebody else's, so that it outlives the process. Ends with its parent.
 */

import '../../../src/shared/polyfill.js';

import { composeDependencies } from '../../../src/main/compose.js';
import { P2PServer } from '../../../src/main/server.js';
import { createLogger } from '../../../src/shared/logging.js';
import type { Settings } from '../../../src/shared/settings/table.js';
import type { Order, Report, Victim } from '../deaths/mortal-server.js';
import { CHECKER_MB, PUBLISHER_MB, watchWorkerThreads } from '../worker-threads.js';

const settings = JSON.parse(process.argv[2] ?? '') as Settings;
const threads = watchWorkerThreads({ after: () => {} });
const composed = composeDependencies(settings, createLogger({ level: settings.logLevel }));
const server = P2PServer.create({ ...composed, embedded: { ...composed.embedded, broker: undefined } });

const report = (told: Report): void => {
  process.send?.(told);
};

/** Gives how many were there to be killed. */
function kill(victim: Victim, nth: number): number {
  if (victim === 'notification server') {
    const { pids } = server.parts.notifications;
    const pid = pids[nth % Math.max(1, pids.length)];
    if (pid === undefined) return 0;
    process.kill(pid, 'SIGKILL');
    return 1;
  }
  const alive = threads.withOldSpace(victim === 'publisher' ? PUBLISHER_MB : CHECKER_MB);
  const chosen = victim === 'checker' ? alive.filter((_, index) => index === nth % alive.length) : alive;
  for (const thread of chosen) thread.terminate().catch(() => {});
  return chosen.length;
}

const isMeshed = (peer: string, topics: readonly string[]): boolean => {
  const pubsub = server.parts.node.inspect().host?.services.pubsub;
  return topics.every((topic) => pubsub?.getMeshPeers(topic).includes(peer));
};

process.on('disconnect', () => process.exit(1));
process.on('message', (order: Order) => {
  const { id } = order;
  switch (order.op) {
    case 'kill':
      report({ id, result: kill(order.victim, order.nth) });
      break;
    case 'meshed':
      report({ id, result: isMeshed(order.peer, order.topics) });
      break;
    case 'stop':
      server
        .stop()
        .then(() => process.exit(0))
        .catch(() => process.exit(1));
  }
});
await server.init();
await server.start();
const { p2p = 0, http = 0, metrics = 0 } = server.ports;
report({ ready: { peerId: server.peerId, p2p, http, metrics } });
