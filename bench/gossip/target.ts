/** What is measured, in a process of its own: this server whole (`server`), or a plain GossipSub peer (`plain`). */

import '../../src/shared/polyfill.js';

import { gossipsub } from '@chainsafe/libp2p-gossipsub';
import { identify } from '@libp2p/identify';
import { noise } from '@libp2p/noise';
import { ping } from '@libp2p/ping';
import { tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import { createLibp2p } from 'libp2p';
import { pino } from 'pino';
import { composeDependencies } from '../../src/main/compose.js';
import { topicNames } from '../../src/main/node/gossip.js';
import { P2PServer } from '../../src/main/server.js';
import { kindNamed } from '../../src/shared/messages/index.js';
import type { Settings } from '../../src/shared/settings/table.js';
import { serverSettings } from '../../test/support/server.js';
import { settingsOf } from '../../test/support/settings.js';
import { cpuByRole } from './threads.js';

export type TargetOrder =
  /** Say every 25 ms how many messages are through. */
  { readonly type: 'watch' } | { readonly type: 'snapshot' } | { readonly type: 'stop' };

export type TargetReport =
  | {
      readonly type: 'ready';
      readonly address: string;
      readonly topic: string;
      readonly httpPort: number;
      readonly settings: Settings;
      readonly brokerSocketPath: string | undefined;
    }
  | { readonly type: 'processed'; readonly count: number }
  | ({ readonly type: 'snapshot' } & Snapshot)
  | { readonly type: 'stopped' };

export interface Snapshot {
  /** Monotonic, ms. */
  readonly at: number;
  /** Seconds by thread. */
  readonly cpu: Readonly<Record<string, number>>;
  /** Messages that have their verdict. */
  readonly processed: number;
  /** Of these, accepted. */
  readonly accepted: number;
  /** Records that Kafka acknowledged. */
  readonly acknowledged: number;
  /** Messages that checkers verified, not main. */
  readonly byThreads: number;
}

interface Contestant {
  readonly ready: Omit<TargetReport & { type: 'ready' }, 'type' | 'topic' | 'settings'>;
  processed(): Promise<number>;
  snapshot(): Promise<Omit<Snapshot, 'at' | 'cpu'>>;
  /** Other processes that belong to it. */
  pids(): readonly number[];
  stop(): Promise<void>;
}

const EVERY_MS = 25;
/** The load comes by as few connections as there are senders, so the bound of one connection is not what is measured. */
const UNBOUNDED = 1_000_000_000;

const cleanUp: (() => unknown)[] = [];
const context = { after: (fn: () => unknown) => cleanUp.push(fn) };
const settings = serverSettings(context as never, {
  clientName: 'bench',
  // As a server is set unless told otherwise: the tests have more of both than a small machine would.
  p2p_checkers: settingsOf().p2p_checkers,
  p2p_notification_servers: settingsOf().p2p_notification_servers,
  p2p_heartbeat_interval: settingsOf().p2p_heartbeat_interval,
  p2p_connection_messages_per_second: UNBOUNDED,
  p2p_connection_bytes_per_second: UNBOUNDED,
  p2p_websocket_text_ping: false,
  ...(JSON.parse(process.argv[3] ?? '{}') as Partial<Settings>),
});
const topic = topicNames(settings, [kindNamed('subtree')])[0] ?? '';

interface Sample {
  readonly value: number;
  readonly labels: Readonly<Record<string, unknown>>;
}

const sumOf = (values: readonly Sample[], labels: Readonly<Record<string, string>>): number =>
  values
    .filter((sample) => Object.entries(labels).every(([name, value]) => sample.labels[name] === value))
    .reduce((sum, { value }) => sum + value, 0);

async function server(): Promise<Contestant> {
  const dependencies = composeDependencies(settings, pino({ level: 'warn' }, pino.destination(2)));
  const running = P2PServer.create(dependencies);
  await running.init();
  await running.start();
  const messages = async (labels: Record<string, string>) => {
    const metric = await dependencies.registry.getSingleMetric('teranode_p2p_messages_total')?.get();
    return sumOf((metric?.values ?? []) as Sample[], { kind: 'subtree', ...labels });
  };
  const byThreads = async () => {
    const metric = await dependencies.registry.getSingleMetric('teranode_p2p_node_signatures_total')?.get();
    return sumOf((metric?.values ?? []) as Sample[], { where: 'thread' });
  };
  const acknowledged = async () => {
    const metrics = (await running.parts.pipeline.publisher.ask('metrics', {})) as readonly {
      name: string;
      values: Sample[];
    }[];
    const records = metrics.find(({ name }) => name === 'teranode_p2p_kafka_records_total');
    return sumOf(records?.values ?? [], { topic: 'subtrees', outcome: 'acknowledged' });
  };
  return {
    ready: {
      address: `/ip4/127.0.0.1/tcp/${running.ports.p2p}/p2p/${running.peerId}`,
      httpPort: running.ports.http,
      brokerSocketPath: dependencies.brokerSocketPath,
    },
    processed: () => messages({}),
    snapshot: async () => ({
      processed: await messages({}),
      accepted: await messages({ outcome: 'ok' }),
      acknowledged: await acknowledged(),
      byThreads: await byThreads(),
    }),
    pids: () => running.parts.notifications.pids,
    stop: () => running.stop(),
  };
}

/** js-libp2p as its documentation sets it up, as far as it survives: strictly signed messages, an empty handler. */
async function plain(): Promise<Contestant> {
  const libp2p = await createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    // All senders come from one address, and more than five a second.
    connectionManager: { inboundConnectionThreshold: 1000 },
    // Under this load it answers pings late, and would cut its senders.
    connectionMonitor: { abortConnectionOnPingFailure: false },
    services: { identify: identify(), ping: ping(), pubsub: gossipsub() },
  });
  let heard = 0;
  libp2p.services.pubsub.addEventListener('gossipsub:message', () => {
    heard++;
  });
  libp2p.services.pubsub.subscribe(topic);
  return {
    ready: { address: String(libp2p.getMultiaddrs()[0]), httpPort: 0, brokerSocketPath: undefined },
    processed: async () => heard,
    snapshot: async () => ({ processed: heard, accepted: heard, acknowledged: heard, byThreads: 0 }),
    pids: () => [],
    stop: async () => {
      await libp2p.stop();
    },
  };
}

const report = (message: TargetReport) => process.send?.(message);
const contestant = await (process.argv[2] === 'plain' ? plain() : server());
let watch: NodeJS.Timeout | undefined;

async function follow(order: TargetOrder): Promise<void> {
  switch (order.type) {
    case 'watch':
      watch = setInterval(() => {
        contestant.processed().then(
          (count) => report({ type: 'processed', count }),
          (error) => console.error(error),
        );
      }, EVERY_MS);
      break;
    case 'snapshot': {
      const at = Number(process.hrtime.bigint()) / 1e6;
      const cpu = cpuByRole(contestant.pids());
      report({ type: 'snapshot', at, cpu, ...(await contestant.snapshot()) });
      break;
    }
    case 'stop':
      clearInterval(watch);
      await contestant.stop();
      for (const clean of cleanUp) clean();
      report({ type: 'stopped' });
      process.disconnect();
      break;
  }
}

process.on('message', (order: TargetOrder) => {
  follow(order).catch((error: unknown) => {
    console.error(error);
    process.exit(1);
  });
});
// Also when whoever started it is gone.
process.on('disconnect', () => process.exit(0));
if (!process.connected) process.exit(0);
report({ type: 'ready', topic, settings, ...contestant.ready });
