/**
 * A whole server in a process of its own, whose threads and processes end on demand. Argument: its settings as JSON. The embedded broker, where
 * the settings have one, is somebody else's, so that it outlives the process. Ends with its parent.
 */

import '../../../src/shared/process/polyfill.js';

import { Lives } from '../../../src/main/hand-over/lives.js';
import { Tenure } from '../../../src/main/hand-over/tenure.js';
import { composeDependencies } from '../../../src/main/server/compose.js';
import { P2PServer } from '../../../src/main/server/server.js';
import { AbortedError } from '../../../src/shared/errors.js';
import { createLogger } from '../../../src/shared/logging/logger.js';
import type { Settings } from '../../../src/shared/settings/table.js';
import type { Order, Report, Victim } from '../deaths/mortal-server.js';
import { CHECKER_MB, PUBLISHER_MB, watchWorkerThreads } from '../worker-threads.js';

const settings = JSON.parse(process.argv[2] ?? '') as Settings;
const threads = watchWorkerThreads({ after: () => {} });
const logger = createLogger({ level: settings.logLevel });
const tenure = new Tenure({ waitMs: settings.p2p_datadir_wait, version: 'tested' });
const lives = new Lives(
  {
    logger,
    tenure,
    compose: (directory) => {
      const composed = composeDependencies(settings, logger, directory);
      const embedded = { ...composed.embedded, broker: undefined };
      return P2PServer.create({ ...composed, embedded }, { tenure });
    },
  },
  {
    path: settings.DATADIR,
    ready: ({ peerId, ports: { p2p = 0, http, metrics = 0 } }) =>
      report({ ready: { peerId, p2p, http, metrics } }),
  },
);

const report = (told: Report): void => {
  process.send?.(told);
};

/** Gives how many were there to be killed. Resolves when they have ended: the next may be asked for then. */
async function kill(victim: Victim, nth: number): Promise<number> {
  if (victim === 'notification server') {
    const { pids } = lives.server.parts.notifications;
    const pid = pids[nth % Math.max(1, pids.length)];
    if (pid === undefined) return 0;
    process.kill(pid, 'SIGKILL');
    return 1;
  }
  const alive = threads.withOldSpace(victim === 'publisher' ? PUBLISHER_MB : CHECKER_MB);
  const chosen = victim === 'checker' ? alive.filter((_, index) => index === nth % alive.length) : alive;
  await Promise.all(chosen.map((thread) => thread.terminate()));
  return chosen.length;
}

const isMeshed = (peer: string, topics: readonly string[]): boolean => {
  const pubsub = lives.server.parts.node.inspect().host?.services.pubsub;
  return topics.every((topic) => pubsub?.getMeshPeers(topic).includes(peer));
};

process.on('disconnect', () => process.exit(1));
process.on('message', (order: Order) => {
  const { id } = order;
  switch (order.op) {
    case 'kill':
      kill(order.victim, order.nth)
        .then((result) => report({ id, result }))
        .catch((error: unknown) => {
          logger.error({ err: error }, 'nothing was killed');
          report({ id, result: 0 });
        });
      break;
    case 'meshed':
      report({ id, result: isMeshed(order.peer, order.topics) });
      break;
    case 'stop':
      lives
        .stop()
        .then(() => process.exit(0))
        .catch(() => process.exit(1));
  }
});
// A stop ends it too, and then the process.
lives.run().catch((error: unknown) => {
  if (!(error instanceof AbortedError)) throw error;
});
