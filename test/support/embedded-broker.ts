/** An embedded broker on a socket of its own, and ways to look at it. */

import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { MemoryLevel } from 'memory-level';
import { EmbeddedBroker, type EmbeddedBrokerOptions } from '../../src/shared/sinks/kafka/embedded/broker.js';
import { EmbeddedBrokerServer } from '../../src/shared/sinks/kafka/embedded/server.js';
import type { ConsumedRecord } from '../../src/shared/sinks/kafka/types.js';
import { keptLog } from './logger.js';
import { temporaryDirectory } from './temporary.js';

export interface ServedBroker {
  readonly broker: EmbeddedBroker;
  readonly socketPath: string;
  stop(): Promise<void>;
}

/** A started broker with an empty store, stopped when the test ends. */
export async function startBroker(
  context: Pick<TestContext, 'after'>,
  options: EmbeddedBrokerOptions = {},
): Promise<EmbeddedBroker> {
  const level = new MemoryLevel<string, Buffer>({ keyEncoding: 'utf8', valueEncoding: 'buffer' });
  const broker = new EmbeddedBroker({ level, logger: keptLog().logger }, options);
  await broker.start();
  context.after(() => broker.stop());
  return broker;
}

/** The same on a local socket: at `socketPath`, or in a directory of its own. */
export async function serveBroker(
  context: Pick<TestContext, 'after'>,
  options: EmbeddedBrokerOptions = {},
  socketPath = join(temporaryDirectory(context), 'broker.sock'),
): Promise<ServedBroker> {
  const broker = await startBroker(context, options);
  const server = new EmbeddedBrokerServer({ broker, logger: keptLog().logger }, { socketPath });
  await server.start();
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopped ??= server.stop().then(() => broker.stop());
    return stopped;
  };
  context.after(stop);
  return { broker, socketPath, stop };
}

/** Everything in one partition of a topic, from the oldest record on; empty when the topic is not there. */
export async function recordsIn(
  broker: EmbeddedBroker,
  topic: string,
  partition = 0,
): Promise<ConsumedRecord[]> {
  if (!(await broker.topics()).some((state) => state.topic === topic)) return [];
  const all: ConsumedRecord[] = [];
  for (let offset = 0; ; ) {
    const records = await broker.read({ topic, partition, offset, maxBytes: 1 << 20, waitMs: 0 });
    const last = records.at(-1);
    if (last === undefined) return all;
    all.push(...records);
    offset = Number(last.offset) + 1;
  }
}
