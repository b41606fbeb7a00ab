/** The libp2p host and what runs on it, from one start of the node to its stop. */

import type { Logger } from '../../shared/logging/logger.js';
import { mainShares } from '../../shared/process/descriptors.js';
import { warnOfDescriptors } from '../health/descriptors.js';
import type { ResolveTxt } from './addresses/dnsaddr.js';
import { connectionMarks } from './connections/connection-limits.js';
import { type BanPolicy, createGater } from './connections/gater.js';
import type { Connections } from './connections/index.js';
import type { WarnOfPeer } from './connections/peer-warnings.js';
import type { Gossip } from './gossip/index.js';
import { createHost, forgetHostMetrics, type Host, type HostComponents } from './host.js';
import type { Preambles } from './identity/preambles.js';
import type { NodeMetrics } from './metrics/node-metrics.js';
import type { PeripheryMetrics } from './metrics/periphery-metrics.js';
import { internalsOf } from './patches/host-internals.js';
import type { Patches } from './patches/index.js';
import { Peering } from './peering/index.js';
import { DirectStream, type DirectStreamOptions } from './protocols/direct-stream.js';
import { PeerPings } from './protocols/peer-pings.js';

export interface RunningHostComponents extends Omit<HostComponents, 'gossip' | 'watches' | 'gater'> {
  readonly logger: Logger;
  readonly warn: WarnOfPeer;
  readonly metrics: NodeMetrics;
  readonly peripheryMetrics: PeripheryMetrics;
  readonly connections: Connections;
  readonly gossip: Gossip;
  readonly preambles: Preambles;
  readonly bans: BanPolicy;
}

export interface RunningHostOptions {
  readonly patches: Patches;
  /** Told in identify. */
  readonly userAgent: string;
  readonly ownLookupMs?: number | undefined;
  readonly resolveTxt?: ResolveTxt | undefined;
  /** One message of the direct stream, unchecked. */
  readonly onDirect: DirectStreamOptions['onMessage'];
}

export class RunningHost {
  readonly host: Host;
  readonly peering: Peering;
  readonly #components: RunningHostComponents;
  readonly #direct: DirectStream;
  readonly #pings: PeerPings;

  private constructor(host: Host, components: RunningHostComponents, options: RunningHostOptions) {
    const { settings, logger, warn, metrics, peripheryMetrics, connections, gossip, ownKey } = components;
    const { ownLookupMs, resolveTxt } = options;
    const parts = { logger, metrics: peripheryMetrics };
    this.host = host;
    this.#components = components;
    this.#direct = new DirectStream({ ...parts, libp2p: host }, { onMessage: options.onDirect });
    this.peering = new Peering(
      { ...parts, host, settings, ownKey },
      {
        configured: connections.configured,
        topics: gossip.topics,
        ...(ownLookupMs === undefined ? {} : { ownLookupMs }),
        ...(resolveTxt === undefined ? {} : { resolveTxt }),
      },
    );
    this.#pings = new PeerPings(
      { libp2p: host, traffic: connections.traffic, logger, warn, metrics },
      { deadAfterMs: settings.p2p_dead_peer_timeout },
    );
    connections.attach(host);
    gossip.attach(host.services.pubsub);
  }

  /** Not started. Throws ConfigurationError on addresses or keys that do not parse. */
  static async create(components: RunningHostComponents, options: RunningHostOptions): Promise<RunningHost> {
    const { settings, logger, bans, connections, gossip, preambles, peripheryMetrics } = components;
    const { configured, traffic } = connections;
    const { ceiling } = connectionMarks(settings, configured.count);
    warnOfDescriptors(logger, ceiling);
    const gater = createGater({
      bans,
      settings,
      logger,
      metrics: peripheryMetrics,
      slots: Math.min(ceiling, mainShares().peers),
      isProtected: (peerId) => configured.isConfigured(peerId),
    });
    const watches = [traffic.watch, preambles.watch];
    try {
      const host = await createHost(
        { ...components, gossip: gossip.service, watches, gater },
        { ...options, relayIds: configured.relayIds },
      );
      return new RunningHost(host, components, options);
    } catch (error) {
      forgetHostMetrics(components.registry);
      throw error;
    }
  }

  /** Listens, joins the topics, and goes looking for peers. After a rejection `stop` is still due. */
  async start(signal?: AbortSignal): Promise<void> {
    await this.host.start();
    this.#pings.start();
    signal?.throwIfAborted();
    this.#components.gossip.start();
    await this.#direct.start();
    await this.peering.start();
  }

  async stop(): Promise<void> {
    if (this.host.status === 'started') {
      await this.peering.stop();
      await this.#direct.stop();
    }
    this.#pings.stop();
    this.#components.gossip.detach();
    await this.host.stop();
    forgetHostMetrics(this.#components.registry);
    this.#components.gossip.stop();
    this.#components.connections.detach();
  }

  sendDirect(peerId: string, data: Uint8Array, signal?: AbortSignal): Promise<void> {
    return this.#direct.sendDirect(peerId, data, signal);
  }

  /** The TCP port listened on, whatever is told to peers; undefined before the start. */
  get port(): number | undefined {
    const ports = internalsOf(this.host)
      .transportManager.getAddrs()
      .flatMap((address) => /\/tcp\/(\d+)$/.exec(address.toString())?.[1] ?? []);
    return ports[0] === undefined ? undefined : Number(ports[0]);
  }
}
