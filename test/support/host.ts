/** A bare js-libp2p host without gossip, for tests of what surrounds it. */

import '../../src/shared/process/polyfill.js';

import { identify } from '@libp2p/identify';
import type { ConnectionGater, Libp2p, PrivateKey } from '@libp2p/interface';
import { noise } from '@libp2p/noise';
import { ping } from '@libp2p/ping';
import { tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import { createLibp2p, type Libp2pOptions } from 'libp2p';
import { Registry } from 'prom-client';
import {
  createPeripheryMetrics,
  type PeripheryMetrics,
} from '../../src/main/node/metrics/periphery-metrics.js';
import { type KeptLog, keptLog } from './logger.js';

export interface HostOptions {
  readonly privateKey?: PrivateKey;
  readonly gater?: ConnectionGater;
  /** 127.0.0.1 with any port unless given. */
  readonly listen?: readonly string[];
  /** Loopback address to dial from. */
  readonly localAddress?: string;
  readonly services?: Libp2pOptions['services'];
  readonly extra?: Partial<Libp2pOptions>;
}

/** Starts a host that stops when the test ends. */
export async function createHost(
  context: { after(fn: () => Promise<void> | void): void },
  options: HostOptions = {},
): Promise<Libp2p> {
  const host = await createLibp2p({
    ...(options.privateKey === undefined ? {} : { privateKey: options.privateKey }),
    addresses: { listen: [...(options.listen ?? ['/ip4/127.0.0.1/tcp/0'])] },
    // net.connect takes localAddress, though libp2p's type does not name it.
    transports: [
      tcp(
        options.localAddress === undefined
          ? {}
          : { dialOpts: { localAddress: options.localAddress } as object },
      ),
    ],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionManager: { inboundConnectionThreshold: 10_000, maxIncomingPendingConnections: 1_000 },
    connectionMonitor: { enabled: false },
    ...(options.gater === undefined ? {} : { connectionGater: options.gater }),
    ...options.extra,
    services: { identify: identify(), ping: ping(), ...options.services },
  });
  context.after(() => host.stop());
  return host as unknown as Libp2p;
}

export interface PeripheryParts {
  readonly metrics: PeripheryMetrics;
  readonly log: KeptLog;
  readonly registry: Registry;
  /** Value of a counter or gauge with exactly these labels, 0 when absent. */
  value(name: string, labels?: Record<string, string>): Promise<number>;
}

/** A registry of its own with the periphery's metrics, and a log. */
export function peripheryParts(): PeripheryParts {
  const registry = new Registry();
  return {
    metrics: createPeripheryMetrics(registry),
    log: keptLog(),
    registry,
    async value(name, labels = {}) {
      const metric = await registry.getSingleMetric(name)?.get();
      if (metric === undefined) throw new Error(`no metric ${name}`);
      return metric.values
        .filter((sample) =>
          Object.entries(labels).every(
            ([key, value]) => (sample.labels as Record<string, unknown>)[key] === value,
          ),
        )
        .reduce((sum, sample) => sum + sample.value, 0);
    },
  };
}
