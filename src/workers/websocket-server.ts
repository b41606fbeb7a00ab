/**
 * The process of one notification server. Main tells it everything over IPC and keeps the count of connections; it reads
 * frames from the publisher's socket. It ends when main tells it to, or is gone.
 *
 * uWebSockets.js aborts its process when it exits with an app open: every way out closes the server first.
 */

import { Counter, Registry } from 'prom-client';
import { steadyLibraries } from '../shared/clock.js';
import { ConfigurationError, errorMessage } from '../shared/errors.js';
import type { NotificationServerOrder, NotificationServerReport } from '../shared/feed/control.js';
import { droppedLogLines } from '../shared/logging/log-sink.js';
import { createLogger } from '../shared/logging/logger.js';
import { collectProcessMetrics, EventLoopDelay } from '../shared/metrics/process-metrics.js';
import { FLUSH_MS, Tracing } from '../shared/tracing/tracing.js';
import { createNotificationServerMetrics } from './websocket-server/metrics.js';
import { NotificationServer } from './websocket-server/server.js';
import { chooseTransport } from './websocket-server/transport/index.js';

steadyLibraries();

/** Close frames need a moment on their way. */
const LEAVE_MS = 100;

/** `clientName` is its one argument, so that the first line has it too. */
const logger = createLogger({ level: 'info', node: process.argv[2], component: 'notification-server' });
const registry = new Registry();
const metrics = createNotificationServerMetrics(registry);
new Counter({
  name: 'teranode_p2p_notification_server_log_lines_dropped_total',
  help: 'Log lines that standard output did not take from a notification server.',
  registers: [registry],
  collect() {
    this.reset();
    this.inc(droppedLogLines());
  },
});
const delay = new EventLoopDelay();
collectProcessMetrics(registry, { delay, prefix: 'teranode_p2p_notification_server_' });
delay.start();

let server: NotificationServer | undefined;
/** Orders behind that by which the server is being made: what they tell is newer than its config. */
let waiting: NotificationServerOrder[] | undefined;
let tracing: Tracing | undefined;
let leaving = false;

function report(message: NotificationServerReport): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
}

function leave(code: number, { elsewhere = false } = {}): void {
  if (leaving) return;
  leaving = true;
  try {
    server?.stop({ elsewhere });
  } catch (error) {
    logger.error({ pid: process.pid, err: error }, 'notification server did not stop cleanly');
  }
  const exit = () => process.exit(code);
  setTimeout(() => (tracing?.close(FLUSH_MS) ?? Promise.resolve()).then(exit, exit), LEAVE_MS);
}

function fail(error: unknown): void {
  const problems = error instanceof ConfigurationError ? error.problems : [errorMessage(error)];
  logger.fatal({ pid: process.pid, problems }, 'notification server cannot serve');
  report({ type: 'failed', problems });
  leave(1);
}

async function begin(order: NotificationServerOrder & { type: 'config' }): Promise<void> {
  const { config } = order;
  logger.level = config.logLevel;
  const transport = chooseTransport(config.transport, config.trustedProxies);
  const { build, shortcomings } = transport;
  if (config.index > 0 && !transport.sharesPort) {
    report({ type: 'unneeded' });
    leave(0);
    return;
  }
  waiting = [];
  tracing = new Tracing({ logger, registry }, config.tracing?.config);
  await tracing.open(config.tracing?.service);
  server = new NotificationServer(
    {
      logger,
      metrics,
      transport,
      quota: {
        admit: (requests) => report({ type: 'admit', requests }),
        release: (visitors) => report({ type: 'release', visitors }),
      },
      greeting: (json) => report({ type: 'greeting', json }),
      streaming: (connected) => report({ type: 'streaming', connected }),
      crowded: (crowded) => report({ type: 'crowded', crowded }),
      tracers: tracing,
    },
    config,
  );
  const orders = waiting;
  waiting = undefined;
  for (const each of orders) follow(each);
  const port = await server.start();
  logger.info({ pid: process.pid, port, build }, 'notification server listens');
  if (shortcomings !== '')
    logger.info({ build, shortcomings }, 'some HTTP is not answered: p2p_websocket_transport=ws answers it');
  report({ type: 'ready', build });
}

function follow(order: NotificationServerOrder): void {
  switch (order.type) {
    case 'config':
      begin(order).catch(fail);
      break;
    case 'admitted':
      server?.admission.answered(order.answers);
      break;
    case 'others':
      server?.countOthers(order);
      break;
    case 'tokens':
      server?.setTokens(order.tokens);
      break;
    case 'status':
      server?.setStatus(order.json);
      break;
    case 'level':
      logger.level = order.level;
      break;
    case 'metrics':
      registry
        .getMetricsAsJSON()
        .then((figures) => report({ type: 'metrics', id: order.id, metrics: figures }), fail);
      break;
    case 'beat':
      report({ type: 'alive' });
      break;
    case 'stop':
      leave(0, order);
      break;
  }
}

function crash(error: unknown): void {
  logger.fatal({ pid: process.pid, err: error }, 'notification server failed');
  leave(1);
}

process.on('uncaughtException', crash);
process.on('unhandledRejection', crash);
process.on('message', (order: NotificationServerOrder) => {
  if (waiting === undefined || order.type === 'stop') follow(order);
  else waiting.push(order);
});
process.on('disconnect', () => leave(0));
process.on('SIGTERM', () => leave(0));
// Ctrl-C reaches every process of the terminal; main ends this one in its turn.
process.on('SIGINT', () => {});
