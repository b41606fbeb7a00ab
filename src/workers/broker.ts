/** A thread that owns the embedded broker of `memory://` topics and serves it on a local socket. */

import { parentPort, workerData } from 'node:worker_threads';
import { MemoryLevel } from 'memory-level';
import { steadyLibraries } from '../shared/clock.js';
import { errorMessage } from '../shared/errors.js';
import { createLogger } from '../shared/logging/logger.js';
import type { BrokerConfig, BrokerOrder, BrokerReport } from '../shared/pipeline/worker-config.js';
import { EmbeddedBroker } from '../shared/sinks/kafka/embedded/broker.js';
import { EmbeddedBrokerServer } from '../shared/sinks/kafka/embedded/server.js';

steadyLibraries();

const report = (message: BrokerReport): void => parentPort?.postMessage(message);

async function serve({ socketPath, logLevel, node, heapMb: _, ...bounds }: BrokerConfig): Promise<void> {
  const logger = createLogger({ level: logLevel, node, component: 'broker' });
  const level = new MemoryLevel<string, Buffer>({ keyEncoding: 'utf8', valueEncoding: 'buffer' });
  const broker = new EmbeddedBroker({ level, logger }, bounds);
  const server = new EmbeddedBrokerServer({ broker, logger }, { socketPath });
  await broker.start();
  await server.start();
  parentPort?.on('message', (order: BrokerOrder) => {
    if (order !== 'stop') {
      logger.level = order.level;
      return;
    }
    // The port goes last: the thread ends when nothing is left.
    Promise.allSettled([server.stop(), broker.stop()]).then(
      () => parentPort?.close(),
      () => {},
    );
  });
  report({ ready: true });
}

serve(workerData as BrokerConfig).catch((error: unknown) => report({ error: errorMessage(error) }));
