/** Whole servers on loopback, every port free, each with a data directory of its own. */

import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { pathToFileURL } from 'node:url';
import { WebSocket } from 'ws';
import type { EmbeddedChain } from '../../src/main/chain/embedded-chain.js';
import type { ServerDependencies, ServerOptions } from '../../src/main/server/dependencies.js';
import type { P2PServer } from '../../src/main/server/server.js';
import { PeerServiceClient } from '../../src/shared/grpc/peer-service-client.js';
import type { KafkaTopicKey } from '../../src/shared/messages/topics.js';
import type { Generation, Settings } from '../../src/shared/settings/table.js';
import { createConsumer } from '../../src/shared/sinks/kafka/index.js';
import type { ConsumedRecord } from '../../src/shared/sinks/kafka/types.js';
import { type KeptLog, keptLog } from './logger.js';
import { SHARES_PORT, untilTheyHear } from './notifications.js';
import { type SettingChanges, settingsOf } from './settings.js';
import { shipped } from './shipped.js';
import { temporaryDirectory } from './temporary.js';
import { waitFor } from './wait.js';

type Compose = typeof import('../../src/main/server/compose.js');
type Server = typeof import('../../src/main/server/server.js');

const SHIPPED = {
  ...(await shipped<Compose>('main/server/compose.js')),
  ...(await shipped<Server>('main/server/server.js')),
};

async function serverOf(tree: string): Promise<typeof SHIPPED> {
  const program = (name: string): string =>
    pathToFileURL(join(tree, 'dist', 'src', 'main', 'server', name)).href;
  return {
    ...((await import(program('compose.js'))) as Compose),
    ...((await import(program('server.js'))) as Server),
  };
}

export interface TestServer {
  readonly server: P2PServer;
  readonly dependencies: ServerDependencies;
  readonly settings: Settings;
  readonly log: KeptLog;
  /** `/ip4/127.0.0.1/tcp/<port>/p2p/<id>`. */
  readonly address: string;
}

/** Settings of a server that touches nothing but loopback: three checkers and two notification servers. */
export function serverSettings(
  context: Pick<TestContext, 'after'>,
  changes: SettingChanges = {},
  generation: Generation = 'current',
): Settings {
  return settingsOf(
    {
      network: 'regtest',
      clientName: 'tested',
      DATADIR: temporaryDirectory(context),
      p2p_ip: '127.0.0.1',
      p2p_listen_addresses: ['127.0.0.1'],
      p2p_port: 0,
      p2p_allow_private_ips: true,
      // Whatever the network: nobody outside is called.
      p2p_bootstrap_peers: [],
      p2p_heartbeat_interval: 200,
      p2p_checkers: 3,
      p2p_notification_servers: 2,
      p2p_websocket_transport: SHARES_PORT,
      p2p_grpcListenAddress: '127.0.0.1:0',
      p2p_httpListenAddress: '127.0.0.1:0',
      health_check_httpListenAddress: '127.0.0.1:0',
      profilerAddr: '127.0.0.1:0',
      asset_httpAddress: 'http://127.0.0.1:8090/api/v1',
      ...(generation === 'first'
        ? { p2p_topic_prefix: 'bitcoin/regtest', p2p_shared_key: '1f'.repeat(32) }
        : {}),
      ...changes,
    },
    generation,
  );
}

export interface StartOptions extends ServerOptions {
  /** Compiled checkout whose server it is (`treeWith`); this one's unless told. */
  readonly tree?: string;
  /** Takes the place of what the settings compose. */
  readonly dependencies?: (composed: ServerDependencies) => ServerDependencies;
}

/** A server, composed and initialised, stopped when the test ends. */
export async function initServer(
  context: Pick<TestContext, 'after'>,
  settings: Settings,
  { dependencies = (composed) => composed, tree, ...options }: StartOptions = {},
): Promise<Pick<TestServer, 'server' | 'dependencies' | 'log'>> {
  const log = keptLog();
  const { composeDependencies, P2PServer } = tree === undefined ? SHIPPED : await serverOf(tree);
  const handedIn = dependencies(composeDependencies(settings, log.logger));
  const server = P2PServer.create(handedIn, options);
  context.after(() => server.stop());
  try {
    await server.init();
  } catch (error) {
    await server.stop();
    throw error;
  }
  return { server, dependencies: handedIn, log };
}

/** A server that has started, and whose notification servers hear it. */
export async function startServer(
  context: Pick<TestContext, 'after'>,
  settings: Settings,
  options: StartOptions = {},
): Promise<TestServer> {
  const initialised = await initServer(context, settings, options);
  const { server } = initialised;
  await server.start();
  await untilTheyHear(server.parts.notifications);
  const address = `/ip4/127.0.0.1/tcp/${server.ports.p2p}/p2p/${server.peerId}`;
  return { ...initialised, settings, address };
}

/** A frame as a WebSocket client reads it. */
export type FeedFrame = { readonly type: string } & Readonly<Record<string, unknown>>;

export interface Feed {
  readonly frames: FeedFrame[];
  /** The same as they came: numbers beyond 2^53 are whole only here. */
  readonly texts: string[];
  /** The first frame, so far or to come, that `wanted` takes. */
  next(wanted: (frame: FeedFrame) => boolean, what: string, timeoutMs?: number): Promise<FeedFrame>;
}

/** A WebSocket client of `server`, open, closed when the test ends. */
export async function openFeed(
  context: Pick<TestContext, 'after'>,
  server: { readonly ports: { readonly http?: number } },
): Promise<Feed> {
  const socket = new WebSocket(`ws://127.0.0.1:${server.ports.http}/p2p-ws`);
  context.after(() => socket.terminate());
  const frames: FeedFrame[] = [];
  const texts: string[] = [];
  socket.on('message', (data) => {
    texts.push(String(data));
    frames.push(JSON.parse(String(data)) as FeedFrame);
  });
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  return {
    frames,
    texts,
    next: (wanted, what, timeoutMs = 30_000) => waitFor(() => frames.find(wanted), { what, timeoutMs }),
  };
}

/** The chain of a server that runs on the embedded one. */
export function chainOf({ server }: TestServer): EmbeddedChain {
  const chain = server.parts.embeddedChain;
  if (chain === undefined) throw new Error('this server has no embedded chain');
  return chain;
}

/** Every record of an embedded topic so far, read from outside the server as `teranode-p2p records` does. */
export async function recordsOf(
  context: Pick<TestContext, 'after'>,
  { dependencies, settings }: TestServer,
  key: KafkaTopicKey,
): Promise<{ readonly records: ConsumedRecord[] }> {
  const records: ConsumedRecord[] = [];
  const consumer = createConsumer(settings, key, {
    logger: dependencies.logger,
    brokerSocketPath: dependencies.brokerSocketPath,
    group: `test-${randomUUID()}`,
  });
  context.after(() => consumer.stop());
  await consumer.start(async (batch) => {
    records.push(...batch);
  });
  return { records };
}

/** A client of the PeerService at `port` with the admin key that the server made in `directory`, closed when the test ends. */
export function adminClientOf(
  context: Pick<TestContext, 'after'>,
  port: number | undefined,
  directory: string,
): PeerServiceClient {
  const adminKey = readFileSync(join(directory, 'admin.key'), 'utf8').trim();
  const client = new PeerServiceClient(`127.0.0.1:${port}`, { adminKey });
  context.after(() => client.close());
  return client;
}

/** The same of a server in this process. */
export function adminClient(
  context: Pick<TestContext, 'after'>,
  { server, settings }: Pick<TestServer, 'server' | 'settings'>,
): PeerServiceClient {
  return adminClientOf(context, server.ports.grpc, settings.DATADIR);
}
