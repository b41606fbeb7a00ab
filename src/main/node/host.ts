/** The libp2p host: every service it runs and why each is set as it is. */

import '../../shared/process/polyfill.js';

import { circuitRelayTransport } from '@libp2p/circuit-relay-v2';
import { dcutr } from '@libp2p/dcutr';
import { type Identify, identify, identifyPush } from '@libp2p/identify';
import type { ConnectionGater, Libp2p, PrivateKey } from '@libp2p/interface';
import type { KadDHT } from '@libp2p/kad-dht';
import { mdns } from '@libp2p/mdns';
import { noise } from '@libp2p/noise';
import { type Ping, ping } from '@libp2p/ping';
import { prometheusMetrics } from '@libp2p/prometheus-metrics';
import { tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import { createLibp2p, type Libp2pOptions } from 'libp2p';
import type { Registry } from 'prom-client';
import { dhtPrefix, isPrivateNetwork } from '../../shared/settings/generations.js';
import type { Settings } from '../../shared/settings/table.js';
import { isRelaying } from './addresses/configured-peers.js';
import { announceFilter, announceMultiaddrs, listenMultiaddrs } from './addresses/listening.js';
import { connectionManagerLimits } from './connections/connection-limits.js';
import type { GossipService } from './gossip/service.js';
import type { OwnKey } from './identity/own-key.js';
import { connectionProtector } from './identity/pre-shared-key.js';
import { growCipherMemory } from './patches/cipher-memory.js';
import { type BytesWatch, watchBytes } from './patches/connection-bytes.js';
import { boundDhtRecords, NO_VALUES, type RecordingDht } from './patches/dht-records.js';
import { boundDhtRequests, type RequestedDht } from './patches/dht-requests.js';
import type { GossipInternals } from './patches/gossip-internals.js';
import { HolePunching } from './patches/hole-punching.js';
import { identifyAs } from './patches/identify-name.js';
import { boundedIdentifyPush } from './patches/identify-pushes.js';
import { patientIdentify } from './patches/identify-retries.js';
import type { Patches } from './patches/index.js';
import { lengthsWithoutErrors } from './patches/noise-lengths.js';
import { announcePublicAddresses } from './patches/public-addresses.js';
import { relayTransport } from './patches/relay-reservations.js';
import { boundAddresses } from './patches/stored-addresses.js';
import { updateWindowsByHalves } from './patches/window-updates.js';

/** Pausing a stream kills it at yamux's default: what is on its way must fit what the reader buffers. */
const STREAM_WINDOW = 262_144;
/** Peers and their addresses outlive an outage of days; libp2p forgets addresses after an hour. */
const MAX_ADDRESS_AGE_MS = 7 * 86_400_000;
const MAX_PEER_AGE_MS = 30 * 86_400_000;

type HostServices = {
  identify: Identify;
  identifyPush: object;
  ping: Ping;
  pubsub: GossipInternals;
  dht?: KadDHT;
};
export type Host = Libp2p<HostServices>;

export interface HostComponents {
  readonly settings: Settings;
  readonly privateKey: PrivateKey;
  /** Opened and closed by who made it. */
  readonly datastore: NonNullable<Libp2pOptions['datastore']>;
  readonly registry: Registry;
  readonly gater: ConnectionGater;
  readonly gossip: GossipService;
  /** Shown the bytes of every connection. */
  readonly watches: readonly BytesWatch[];
  readonly ownKey: OwnKey;
}

export interface HostOptions {
  readonly patches: Patches;
  /** Base58 IDs of relays; those behind a /dnsaddr are added before they are dialled. */
  readonly relayIds: ReadonlySet<string>;
  /** Told in identify. */
  readonly userAgent: string;
}

/** What identify calls itself; undefined in the first generation, whose nodes keep libp2p's own. */
function identifyProtocolVersion(settings: Settings): string | undefined {
  return settings.p2p_generation === 'current' ? `/teranode/bitcoin/${settings.network}/1.0.0` : undefined;
}

async function dhtService(settings: Settings, patches: Patches) {
  if (settings.p2p_dht_mode === 'off' || settings.listen_mode === 'silent') return {};
  // Loaded where it is used, as most nodes of the current generation have none.
  const { kadDHT, passthroughMapper, removePrivateAddressesMapper } = await import('@libp2p/kad-dht');
  const privateAddresses = isPrivateNetwork(settings) || settings.p2p_allow_private_ips;
  const create = kadDHT({
    protocol: `${dhtPrefix(settings)}/kad/1.0.0`,
    // Said, not guessed: libp2p's guess never becomes server on private addresses, and drops those of others.
    clientMode: settings.p2p_dht_mode === 'client',
    peerInfoMapper: privateAddresses ? passthroughMapper : removePrivateAddressesMapper,
    // The first provide does not wait a second for a routing table.
    allowQueryWithZeroPeers: true,
    validators: NO_VALUES,
  });
  return {
    dht: (components: Parameters<typeof create>[0]): KadDHT => {
      const dht = create(components) as KadDHT & RecordingDht & RequestedDht;
      if (patches.dhtRecords) boundDhtRecords(dht, components);
      if (patches.dhtRequests) boundDhtRequests(dht);
      return dht;
    },
  };
}

/** Peer discovery beside the DHT. A silent node looks for others and does not show itself. */
export function discoverers(settings: Pick<Settings, 'p2p_enable_mdns' | 'listen_mode'>) {
  return settings.p2p_enable_mdns ? [mdns({ broadcast: settings.listen_mode !== 'silent' })] : [];
}

/** Takes a host's metrics out of its registry, so that another can come after it. */
export function forgetHostMetrics(registry: Registry): void {
  for (const { name } of registry.getMetricsAsArray()) {
    if (/^(libp2p_|nodejs_(memory|fs)_)/.test(name)) registry.removeSingleMetric(name);
  }
}

/** Creates the host, not started. Throws ConfigurationError on addresses or keys that do not parse. */
export async function createHost(components: HostComponents, options: HostOptions): Promise<Host> {
  const { settings, registry } = components;
  const { patches } = options;
  const protector = await connectionProtector(settings);
  if (protector !== undefined && patches.cipherMemory) growCipherMemory();
  const circuit = patches.relayReservations ? relayTransport() : circuitRelayTransport();
  const reachable = settings.p2p_enable_nat && settings.listen_mode !== 'silent';
  const holePunching =
    reachable && patches.holePunching ? await HolePunching.create(options.relayIds) : undefined;
  // Loaded where it is used: it brings a hundred modules.
  const mapping = reachable ? await import('./patches/port-mapping.js') : undefined;
  const dht = await dhtService(settings, patches);
  const announce = announceMultiaddrs(settings);
  const muxer = yamux({ streamOptions: { maxStreamWindowSize: STREAM_WINDOW } });

  const host: Host = await createLibp2p<HostServices>({
    start: false,
    privateKey: components.privateKey,
    nodeInfo: { userAgent: options.userAgent },
    datastore: components.datastore,
    peerStore: { maxAddressAge: MAX_ADDRESS_AGE_MS, maxPeerAge: MAX_PEER_AGE_MS },
    addresses: {
      listen: listenMultiaddrs(settings),
      ...(announce.length > 0 ? { announce } : {}),
      announceFilter: announceFilter(settings),
    },
    transports: [holePunching?.transport() ?? tcp(), ...(isRelaying(settings) ? [circuit] : [])],
    connectionEncrypters: [
      components.ownKey.watch(patches.noiseLengths ? lengthsWithoutErrors(noise()) : noise()),
    ],
    streamMuxers: [
      () => {
        const factory = muxer();
        return patches.windowUpdates ? updateWindowsByHalves(factory) : factory;
      },
    ],
    ...(protector === undefined ? {} : { connectionProtector: protector }),
    connectionGater: components.gater,
    connectionManager: {
      ...connectionManagerLimits(),
      // Never gives up on a peer that is to be kept, nor waits longer the longer it is gone.
      reconnectRetries: Number.POSITIVE_INFINITY,
      reconnectRetryInterval: 1000,
      reconnectBackoffFactor: 1,
    },
    // See peer-pings.ts.
    connectionMonitor: { enabled: false },
    metrics: (logging) => {
      const metrics = prometheusMetrics({ registry, collectDefaultMetrics: false })(logging);
      return patches.connectionBytes ? watchBytes(metrics, components.watches) : metrics;
    },
    peerDiscovery: discoverers(settings),
    services: {
      identify: patches.identifyRetries ? patientIdentify() : identify(),
      identifyPush: patches.identifyPushes ? boundedIdentifyPush() : identifyPush(),
      ping: ping(),
      pubsub: components.gossip,
      ...dht,
      ...(mapping === undefined ? {} : { upnp: mapping.portMapping(patches) }),
      ...(reachable ? { dcutr: holePunching?.service() ?? dcutr() } : {}),
    },
  });
  if (patches.storedAddresses) boundAddresses(host.peerStore);
  if (patches.publicAddresses) announcePublicAddresses(host, MAX_PEER_AGE_MS);
  const protocolVersion = identifyProtocolVersion(settings);
  if (protocolVersion !== undefined && patches.identifyName) {
    const { services } = host;
    for (const service of [services.identify, services.identifyPush]) identifyAs(service, protocolVersion);
  }
  return host;
}
