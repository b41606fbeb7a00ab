/** libp2p: addresses, keys, peers, connections, gossip. */

import { NETWORK_REFERENCE, type Setting } from '../setting.js';
import {
  advertisedAddresses,
  directMultiaddrs,
  ipAddresses,
  peerMultiaddrs,
  subnets,
} from '../values/addresses.js';
import { choice, duration, flag, integer, text } from '../values/basic.js';
import { nodeKey } from '../values/keys.js';

const SECOND = 1000;
const PORT = { min: 0, max: 65_535 };

export const LIBP2P = {
  p2p_listen_addresses: ipAddresses(
    'Bare addresses to listen on; empty: every IPv4 and, in the current generation, IPv6 address.',
  ),
  p2p_ip: text('', 'First generation: address to listen on. Not followed in the current one.', {
    required: 'first',
  }),
  p2p_port: integer(9905, 'libp2p TCP port; 0 takes a free one.', {
    ...PORT,
    required: 'first',
  }),
  p2p_private_key: nodeKey('Ed25519 key, hex of 64 or 96 bytes; empty: the file p2p.key, made when missing.'),
  p2p_shared_key: text('', 'Pre-shared key of the private network, 64 hex digits.', {
    secret: true,
    required: 'first',
  }),
  p2p_private_network: flag(
    false,
    'Join a private network by p2p_shared_key, in the current generation too (this server).',
  ),
  p2p_dht_use_private: flag(
    { first: true, current: false },
    'First generation: join a private network by p2p_shared_key. Not followed in the current one.',
  ),
  p2p_dht_protocol_id: text(
    { first: '/teranode', current: '/ipfs' },
    'DHT protocol prefix; on a public network of the current generation always /ipfs.',
  ),
  p2p_dht_mode: choice(['server', 'client', 'off'], { first: 'server', current: 'off' }, 'DHT mode.'),
  p2p_bootstrapAddresses: peerMultiaddrs(
    'Bootstrap multiaddrs (first generation); in the current one peers that GetPeers leaves out.',
  ),
  p2p_bootstrap_peers: peerMultiaddrs(
    'Bootstrap multiaddrs, /dnsaddr allowed; also relays and direct peers (current generation). Set and empty: none, as by default on regtest.',
    { first: [], current: [`/dnsaddr/${NETWORK_REFERENCE}.bootstrap.teranode.bsvb.tech`] },
    { emptyIsNone: true },
  ),
  p2p_enable_peer_scoring: flag(true, 'Score peers by their gossip: bad ones lose their voice.'),
  p2p_peer_score_ip_colocation_threshold: integer(10, 'Peers of one address that cost them no score.', {
    min: 1,
  }),
  p2p_enable_peer_exchange: flag(
    { first: false, current: true },
    'Tell peers for which there is no place of others; needs p2p_enable_peer_scoring.',
  ),
  p2p_bootstrap_persistent: flag(false, 'Keep connections to bootstrap peers as if static.'),
  p2p_static_peers: directMultiaddrs('Multiaddrs ending in /p2p/<id>, kept connected.'),
  p2p_relay_peers: peerMultiaddrs('Circuit relays; empty: the bootstrap peers.'),
  p2p_advertise_addresses: advertisedAddresses('Addresses told to peers in place of the listening ones.'),
  p2p_share_private_addresses: flag(true, 'Tell private addresses to peers.'),
  p2p_allow_private_ips: flag(
    { first: true, current: false },
    'Connect to private addresses and accept them in data hub URLs.',
  ),
  p2p_refuse_reserved_addresses: flag(
    false,
    'Never dial 100.64.0.0/10, 192.0.0.0/24, 198.18.0.0/15, 240.0.0.0/4 and multicast, p2p_allow_private_ips or not, as Teranode is about to (this server).',
  ),
  p2p_enable_nat: flag(false, 'Hole punching and port mapping.'),
  p2p_enable_mdns: flag(false, 'Find peers by multicast DNS.'),
  p2p_optimise_retries: flag(false, 'Leave a discovered peer that could not be reached alone for a minute.'),
  p2p_peer_cache_dir: text('', 'Directory of p2p.key and the peer cache; empty: DATADIR.'),
  p2p_max_connections: integer(
    35,
    'Peers kept at the most; static and bootstrap peers besides (this server).',
    {
      min: 1,
    },
  ),
  p2p_connections_per_address: integer(
    10,
    'Inbound connections from one address at the most (this server).',
    { min: 1 },
  ),
  p2p_inbound_connections_per_second: integer(
    5,
    'New inbound connections a second and address (this server).',
    { min: 1 },
  ),
  p2p_allowed_addresses: subnets(
    'Addresses and subnets never limited, scored by colocation or banned automatically (this server).',
  ),
  p2p_connection_messages_per_second: integer(
    10_000,
    'Messages a second that one connection may send before signatures are checked (this server).',
    { min: 1 },
  ),
  p2p_connection_bytes_per_second: integer(
    33_554_432,
    'Gossip bytes a second that one connection may send (this server).',
    { min: 1 },
  ),
  p2p_gossip_id_bytes: integer(
    134_217_728,
    'Bytes for the ids of what gossip brought in the last two minutes, which take what they need: 60 to 90 a message, so that 128 MiB are for some 10,000 a second. When they are used up, the oldest ids are forgotten (this server).',
    { min: 1_048_576 },
  ),
  p2p_gossip_message_bytes: integer(
    67_108_864,
    'Bytes of gossip kept for five heartbeats for peers that ask for it; when they are used up, the oldest go (this server).',
    { min: 1_048_576 },
  ),
  p2p_dead_peer_timeout: duration(
    30 * SECOND,
    'A connection over which nothing comes for so long, pings not answered, is ended; 0: none is (this server).',
  ),
  p2p_heartbeat_interval: duration(1 * SECOND, 'GossipSub heartbeat (this server; tests shorten it).'),
} as const satisfies Record<string, Setting>;
