/** What P0 measures: whole services, each started as an operator starts it, and known from outside alone. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { topicNames } from '../../src/main/node/gossip/service.js';
import { MESSAGE_KINDS } from '../../src/shared/messages/index.js';
import { BuildError, buildGo } from '../../test/interop/build.js';
import { launchServer, type ProcessOptions } from '../../test/support/server-process.js';
import { settingsOf } from '../../test/support/settings.js';

/** Kafka's topics, as URLs of settings. */
export interface Topics {
  readonly blocks: string;
  readonly subtrees: string;
}

export interface Running {
  /** Multiaddr to call, with the peer ID. */
  readonly address: string;
  readonly httpPort: number;
  /** Its first process. */
  readonly pid: number;
  /** What it said on standard error. */
  said(): string;
  stop(): Promise<void>;
}

export interface Subject {
  readonly name: string;
  start(topics: Topics): Promise<Running>;
}

const NETWORK = 'regtest';
/** The Go program, once it is built. */
export const REFERENCE = resolve('dist/interop/reference');
/** More than any rate: the load comes by one connection, so its budget is not what is measured. */
const UNBOUNDED = '1000000000';

/** Gossip topic of a kind, by its name. */
export function gossipTopic(kind: 'block' | 'subtree'): string {
  const index = MESSAGE_KINDS.findIndex(({ name }) => name === kind);
  const topic = topicNames(settingsOf({ network: NETWORK }), MESSAGE_KINDS)[index];
  if (topic === undefined) throw new RangeError(`no topic of ${kind}`);
  return topic;
}

/** `teranode-p2p start` of the checkout in `root`, on these topics. */
export function server(name: string, root?: string): Subject {
  return {
    name,
    start: ({ blocks, subtrees }) =>
      startServer({
        ...(root === undefined ? {} : { root }),
        set: { kafka_blocksConfig: blocks, kafka_subtreesConfig: subtrees },
      }),
  };
}

/** A server as its settings are by default but for addresses, the budget of a connection, and `set`; Kafka is embedded unless that says otherwise. */
export async function startServer({
  set = {},
  ...options
}: Pick<ProcessOptions, 'root' | 'set'> = {}): Promise<Running> {
  const cleanUp: (() => unknown)[] = [];
  const clean = async () => {
    for (const each of cleanUp.splice(0).reverse()) await each();
  };
  const context = { after: (fn: () => unknown) => cleanUp.push(fn) };
  const run = launchServer(context as never, {
    ...options,
    set: {
      network: NETWORK,
      clientName: 'bench',
      logLevel: 'warn',
      p2p_checkers: '0',
      p2p_heartbeat_interval: '1s',
      p2p_connection_messages_per_second: UNBOUNDED,
      p2p_connection_bytes_per_second: UNBOUNDED,
      ...set,
    },
  });
  try {
    const { pid, peerId, ports } = await run.ready();
    return {
      address: `/ip4/127.0.0.1/tcp/${ports.p2p}/p2p/${peerId}`,
      httpPort: ports.http,
      pid,
      said: () => run.stderr,
      stop: async () => {
        run.child.kill('SIGTERM');
        await run.exit;
        await clean();
      },
    };
  } catch (error) {
    await clean();
    throw error;
  }
}

/** The Go program beside this file, built; or what is missing for it. */
export async function goReference(): Promise<Subject | { readonly missing: string }> {
  try {
    const module = resolve('bench/reference');
    await buildGo('Building the Go reference', [{ module, output: REFERENCE }]);
  } catch (error) {
    if (error instanceof BuildError) return { missing: error.message };
    throw error;
  }
  return program('Go reference', REFERENCE);
}

/** A program that takes the Go reference's flags, and says on its first line what that says. */
export function program(name: string, path: string): Subject {
  return { name, start: (topics) => startProgram(name, path, topics) };
}

async function startProgram(name: string, path: string, { blocks, subtrees }: Topics): Promise<Running> {
  const child = spawn(
    path,
    [
      ...['-block-topic', gossipTopic('block'), '-subtree-topic', gossipTopic('subtree')],
      ...['-blocks', blocks, '-subtrees', subtrees, '-allow-private-ips'],
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const exited = once(child, 'close');
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-4000);
  });
  const [line] = await Promise.race([
    once(createInterface({ input: child.stdout }), 'line'),
    exited.then(() => {
      throw new Error(`${name} ended: ${said}`);
    }),
  ]);
  const { address, httpPort } = JSON.parse(line) as { address: string; httpPort: number };
  return {
    address,
    httpPort,
    pid: child.pid ?? 0,
    said: () => said,
    stop: async () => {
      child.kill('SIGTERM');
      await exited;
    },
  };
}
