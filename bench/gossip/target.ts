/**
 * What is measured, in a process of its own: this server whole (`server`), as it is shipped, in `dist/app`; or a plain GossipSub peer
 * (`plain`).
 */

import '../../src/shared/process/polyfill.js';

import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import { pino } from 'pino';
import { topicNames } from '../../src/main/node/gossip/service.js';
import type { Settings } from '../../src/shared/settings/table.js';
import { kindNamed } from '../../test/support/kinds.js';
import { serverSettings } from '../../test/support/server.js';
import { type SettingChanges, settingsOf } from '../../test/support/settings.js';
import { shipped } from '../../test/support/shipped.js';
import { cpuByRole } from './threads.js';

export type TargetOrder =
  | { readonly type: 'snapshot' | 'stop' }
  /** Say every 25 ms how many messages are through. */
  | { readonly type: 'watch' }
  /** Look every 10 ms at how late the main thread is, from now on. */
  | { readonly type: 'look' }
  /** Say how late it was, and begin anew. */
  | { readonly type: 'late' };

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
  | ({ readonly type: 'late' } & Lateness)
  | { readonly type: 'stopped' };

/** How late the main thread came to a timer of 10 ms, ms. */
export interface Lateness {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

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

export interface Contestant {
  readonly ready: Omit<TargetReport & { type: 'ready' }, 'type' | 'topic' | 'settings'>;
  processed(): Promise<number>;
  snapshot(): Promise<Omit<Snapshot, 'at' | 'cpu'>>;
  /** Other processes that belong to it. */
  pids(): readonly number[];
  stop(): Promise<void>;
}

const EVERY_MS = 25;
const LOOK_MS = 10;
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
  ...(JSON.parse(process.argv[3] ?? '{}') as SettingChanges),
});
const topic = topicNames(settings, [kindNamed('subtree')])[0] ?? '';

type Compose = typeof import('../../src/main/server/compose.js');
type Server = typeof import('../../src/main/server/server.js');

interface Sample {
  readonly value: number;
  readonly labels: Readonly<Record<string, unknown>>;
}

const sumOf = (values: readonly Sample[], labels: Readonly<Record<string, string>>): number =>
  values
    .filter((sample) => Object.entries(labels).every(([name, value]) => sample.labels[name] === value))
    .reduce((sum, { value }) => sum + value, 0);

async function server(): Promise<Contestant> {
  const { composeDependencies } = await shipped<Compose>('main/server/compose.js');
  const { P2PServer } = await shipped<Server>('main/server/server.js');
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

const report = (message: TargetReport) => process.send?.(message);
const contestant = await (process.argv[2] === 'plain'
  ? import('./plain.js').then(({ plain }) => plain(topic))
  : server());
let watch: NodeJS.Timeout | undefined;
let delays: IntervalHistogram | undefined;

function lateness(histogram: IntervalHistogram): Lateness {
  // Node counts from one look to the next.
  const late = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - LOOK_MS);
  const { max } = histogram;
  return { p50: late(histogram.percentile(50)), p99: late(histogram.percentile(99)), max: late(max) };
}

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
    case 'look':
      delays = monitorEventLoopDelay({ resolution: LOOK_MS });
      delays.enable();
      break;
    case 'late':
      if (delays === undefined) throw new Error('nobody looked');
      report({ type: 'late', ...lateness(delays) });
      delays.reset();
      break;
    case 'stop':
      clearInterval(watch);
      delays?.disable();
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
