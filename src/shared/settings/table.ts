/**
 * Every setting of the server, once; those that name topics come from the kinds of messages and from the Kafka topics. The loader, `docs/settings.md`, `settings show` and the "nearest known key"
 * warning all read this table. Keys and shipped values are Teranode's; those marked "this server" are not.
 */

import { MESSAGE_KINDS } from '../messages/index.js';
import { RECORD_FORMATS } from '../messages/kafka-topic.js';
import type { TopicSetting } from '../messages/topic-setting.js';
import { KAFKA_TOPICS } from '../messages/topics.js';

export type Generation = 'first' | 'current';

interface Common<T> {
  /** One value, or one for each generation. */
  readonly default: T | { readonly first: T; readonly current: T };
  /** One line, for the documentation and for errors. */
  readonly doc: string;
  /** Never printed, logged or shown. */
  readonly secret?: true;
  /** Empty is an error: always, or in the first generation alone. */
  readonly required?: 'always' | 'first';
  /** Other spellings that are accepted. */
  readonly aliases?: readonly string[];
  /** Another default where `SETTINGS_CONTEXT` is this or one below it: `docker.m.x` is below `docker.m`. */
  readonly contexts?: Readonly<Record<string, T>>;
}

export interface TextSetting extends Common<string> {
  readonly type: 'string';
}
export interface ChoiceSetting<C extends string = string> extends Common<C> {
  readonly type: 'choice';
  readonly choices: readonly C[];
}
export interface BooleanSetting extends Common<boolean> {
  readonly type: 'boolean';
}
export interface NumberSetting extends Common<number> {
  /** `duration` is written as Go does (`1s`, `5m`, `24h`) and held in milliseconds. */
  readonly type: 'integer' | 'number' | 'duration';
  readonly min?: number;
  readonly max?: number;
}
export interface ListSetting extends Common<readonly string[]> {
  /** `|`-separated. */
  readonly type: 'list';
  /** Set and empty, it is an empty list; others then have their default. As in Go, where a file and not the program has it. */
  readonly emptyIsNone?: true;
}

export type Setting = TextSetting | ChoiceSetting | BooleanSetting | NumberSetting | ListSetting;

type Options<T> = Omit<Common<T>, 'default' | 'doc'>;
type Default<T> = Common<T>['default'];

const text = (value: Default<string>, doc: string, options: Options<string> = {}): TextSetting => ({
  type: 'string',
  default: value,
  doc,
  ...options,
});
const choice = <const C extends string>(
  choices: readonly C[],
  value: Default<NoInfer<C>>,
  doc: string,
): ChoiceSetting<C> => ({ type: 'choice', choices, default: value, doc });
const flag = (value: Default<boolean>, doc: string): BooleanSetting => ({
  type: 'boolean',
  default: value,
  doc,
});
const integer = (
  value: Default<number>,
  doc: string,
  bounds: { min?: number; max?: number } & Options<number> = {},
): NumberSetting => ({ type: 'integer', default: value, doc, ...bounds });
const decimal = (
  value: Default<number>,
  doc: string,
  bounds: { min?: number; max?: number } = {},
): NumberSetting => ({ type: 'number', default: value, doc, ...bounds });
const duration = (
  milliseconds: Default<number>,
  doc: string,
  min = 0,
  options: Options<number> = {},
): NumberSetting => ({ type: 'duration', default: milliseconds, doc, min, ...options });
const list = (
  doc: string,
  value: Default<readonly string[]> = [],
  options: { emptyIsNone?: true } = {},
): ListSetting => ({ type: 'list', default: value, doc, ...options });

/** A row for each setting that names a topic, under its key. */
const topics = <K extends string>(settings: readonly (TopicSetting<K> & { readonly required?: 'first' })[]) =>
  Object.fromEntries(
    settings.map(({ key, default: value, doc, required }) => [
      key,
      text(value, doc, required === undefined ? {} : { required }),
    ]),
  ) as { readonly [P in K]: TextSetting };

const SECOND = 1000;
const HOUR = 3_600_000;
const PORT = { min: 0, max: 65_535 };

/** Stands for the network's name in a default, as it would in a file. */
// biome-ignore lint/suspicious/noTemplateCurlyInString: it is the text of a settings file.
export const NETWORK_REFERENCE = '${network}';

export const SETTINGS = {
  // Which network, which generation
  p2p_generation: choice(['first', 'current'], 'current', 'Protocol generation whose defaults apply.'),
  network: choice(
    ['mainnet', 'testnet', 'teratestnet', 'stn', 'tstn', 'regtest'],
    'mainnet',
    'Bitcoin network; decides topic prefix and proof-of-work limit.',
  ),
  clientName: text('', 'Name of this node, shown to peers and in consumer group names.'),
  version: text('', 'Version told in node_status; empty: that of this package.'),
  commit: text('', 'Commit hash told in node_status.'),
  DATADIR: text('data', 'Directory of stores, keys, outbox and lock.', { required: 'always' }),
  p2p_datadir_wait: duration(
    0,
    'How long a start waits for a DATADIR that another server holds, which is asked to hand it over and does where it has this set too; 0: neither (this server).',
  ),
  listen_mode: choice(
    ['full', 'listen_only', 'silent'],
    'full',
    'full; listen_only: tells only node_status, with empty URLs; silent: tells nothing, no DHT, no announced addresses.',
  ),
  logLevel: text('info', 'trace, debug, info, warn, error or fatal.'),
  p2p_require_services: choice(
    ['warn', 'true', 'false'],
    'warn',
    'What is done where a server would be no part of a node, though its network or context is none of development: with an embedded chain, memory:// topics, nobody to call or no settings file. warn: it is said; true: it does not start; false: it is meant to stand alone (this server).',
  ),
  shutdown_timeout: duration(
    10 * SECOND,
    'How long stop may take before what is left stays in the outbox (this server).',
  ),

  // libp2p
  p2p_listen_addresses: list(
    'Bare addresses to listen on; empty: every IPv4 and, in the current generation, IPv6 address.',
  ),
  p2p_ip: text('', 'First generation: address to listen on. Not followed in the current one.', {
    required: 'first',
  }),
  p2p_port: integer(9905, 'libp2p TCP port; 0 takes a free one.', {
    ...PORT,
    required: 'first',
  }),
  p2p_private_key: text(
    '',
    'Ed25519 key, hex of 64 or 96 bytes; empty: the file p2p.key, made when missing.',
    { secret: true },
  ),
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
  p2p_bootstrapAddresses: list(
    'Bootstrap multiaddrs (first generation); in the current one peers that GetPeers leaves out.',
  ),
  p2p_bootstrap_peers: list(
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
  p2p_static_peers: list('Multiaddrs ending in /p2p/<id>, kept connected.'),
  p2p_relay_peers: list('Circuit relays; empty: the bootstrap peers.'),
  p2p_advertise_addresses: list('Addresses told to peers in place of the listening ones.'),
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
  p2p_allowed_addresses: list(
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

  // Topics and messages
  p2p_topic_prefix: text('', 'Topic prefix; empty: teranode/bitcoin/1.0.0/<network>.', { required: 'first' }),
  ...topics(MESSAGE_KINDS.map(({ topic }) => topic)),
  p2p_payload_framing: choice(
    ['direct', 'message-bus'],
    { first: 'direct', current: 'message-bus' },
    'Framing of what is sent; both are received.',
  ),
  p2p_max_announcers_per_hash: integer(
    { first: 0, current: 3 },
    'Strangers passed on as originators of one hash in 15 s; 0: all. Connected, configured and reputed peers have places of their own.',
    { min: 0 },
  ),
  p2p_max_unvalidated_advertised_height_lead: integer(
    10_000,
    'Heights of peers are capped at ours plus this.',
    { min: 0 },
  ),
  p2p_rejected_tx_publish_rate: decimal(10, 'Rejected transactions published a second.', { min: 0 }),
  p2p_rejected_tx_publish_burst: integer(100, 'Rejected transactions published at once.', { min: 0 }),
  p2p_rejected_tx_reason: choice(
    ['text', 'code'],
    'text',
    'What is told of why our node rejected a transaction: the text, or its error codes alone, as Teranode is about to (this server).',
  ),
  p2p_node_status_interval: duration(10 * SECOND, 'How often node_status is told (this server).'),
  p2p_peer_registry_batch_interval: duration(
    SECOND,
    "What is learned of a peer is written to the blockchain service's peer registry once in so long; 0: once a second.",
  ),
  p2p_peer_map_max_size: integer(10_000, 'Announcers of blocks, and of subtrees, that are remembered.', {
    min: 1,
  }),
  p2p_peer_map_ttl: duration(10 * 60 * SECOND, 'How long they are, for reports of what is invalid.', SECOND),
  subtreevalidation_blacklisted_baseurls: list('Data hub URLs, by host, whose announcements are ignored.'),

  // Bans
  p2p_ban_threshold: integer(100, 'Score at which a peer is banned.', { min: 1 }),
  p2p_ban_duration: duration(24 * HOUR, 'How long an automatic ban lasts.'),
  blockchain_store: text('', 'postgres://… shares its bans table; else the embedded store.', {
    secret: true,
  }),

  // What the node tells of itself
  minminingtxfee: decimal(0.000_000_01, 'Fee in BSV a thousand bytes, told in node_status.', { min: 0 }),
  maxscriptsizepolicy: integer(500_000, 'Largest script in bytes, told in node_status.', { min: 0 }),
  maxtxsizepolicy: integer(100_000_000, 'Largest transaction in bytes, told in node_status.', { min: 0 }),
  maxtxsigopscountspolicy: integer(
    4_294_967_295,
    'Signature operations of a transaction at the most, told in node_status.',
    { min: 0 },
  ),
  global_blockHeightRetention: integer(
    288,
    'Blocks that stay unpruned: told as full storage while the block persister lags no more.',
    { min: 0 },
  ),

  // Work inside (this server)
  p2p_checkers: integer(0, 'Checker threads; 0: cores less one, at least 2 (this server).', {
    min: 0,
    max: 64,
  }),
  p2p_inline_checks: flag(
    true,
    'While little comes, messages of at most 2 KiB are verified and checked by main instead of a checker thread (this server).',
  ),
  p2p_notification_servers: integer(1, 'Notification server processes on one port (this server).', {
    min: 1,
    max: 64,
  }),
  p2p_heap_checker: integer(
    256,
    'MiB of heap of a checker, which has a batch of 1 MiB at a time: a message that takes more ends its thread and itself alone (this server).',
    { min: 64 },
  ),
  p2p_heap_publisher: integer(
    1024,
    'MiB of heap of the publisher, for half a million repeats, the announcers of the last ten minutes and what is on its way to Kafka (this server).',
    { min: 256 },
  ),
  p2p_heap_broker: integer(
    512,
    'MiB of heap of the embedded broker, for a million records; their 64 MiB of bytes lie besides (this server).',
    { min: 64 },
  ),
  p2p_heap_notification_server: integer(
    512,
    'MiB of heap of a notification server, for some 10,000 clients; what waits for slow clients lies besides. Of main, which has no limit of its own: NODE_OPTIONS=--max-old-space-size (this server).',
    { min: 64 },
  ),
  p2p_queue_bytes: integer(67_108_864, 'Bytes of gossip waiting for a checker (this server).', {
    min: 1_048_576,
  }),
  p2p_outbox_max: integer(
    1_000_000,
    'Announcements the outbox holds for each topic, the last tenth not strangers’; past it readiness fails and new ones for that topic are refused (this server).',
    { min: 1 },
  ),
  p2p_outbox_fsync: flag(false, 'Outbox survives power loss too (this server).'),
  p2p_feed_retention: duration(
    24 * 3600 * SECOND,
    'Age from which on the oldest of the journal goes, an hour’s worth at a time; what Kafka does not have stays (this server).',
    SECOND,
  ),
  p2p_feed_retention_bytes: integer(
    2_147_483_648,
    'Bytes of the journal from which on the oldest of it goes, 64 MiB at a time; what Kafka does not have stays (this server).',
    { min: 1_048_576 },
  ),

  // Neighbours
  blockchain_grpcAddress: text('', 'Blockchain service; empty: the embedded chain.'),
  blockvalidation_grpcAddress: text('', 'Block validation service; empty: not configured.'),
  blockassembly_grpcAddress: text('', 'Block assembly service; empty: not configured.'),
  p2p_validation_forward: flag(
    true,
    'Send BlockFound where blockvalidation_grpcAddress is set (this server).',
  ),
  security_level_grpc: integer(0, '0 plain; 1 TLS, certificate not verified; 2 TLS verified; 3 mutual TLS.', {
    min: 0,
    max: 3,
    aliases: ['securityLevelGRPC'],
  }),
  grpc_ca_file: text('', 'CA of the services called (this server).'),
  grpc_cert_file: text('', 'Client certificate for level 3 (this server).'),
  grpc_key_file: text('', 'Client key for level 3 (this server).'),
  p2p_embedded_mining_interval: duration(
    0,
    'The embedded chain mines a block about this often; 0: never (this server).',
  ),
  p2p_embedded_subtree_interval: duration(
    0,
    'The embedded chain makes a subtree about this often; 0: never (this server).',
  ),
  p2p_embedded_rejected_tx_interval: duration(
    0,
    'The embedded node rejects a transaction about this often; 0: never (this server).',
  ),

  // Kafka
  ...topics(KAFKA_TOPICS.map(({ setting }) => setting)),
  kafka_record_format: choice(
    RECORD_FORMATS,
    { first: 'raw', current: 'protobuf' },
    'Record format: protobuf; protobuf-bytes as nodes had it from 21 February to 24 April 2025, raw as before.',
  ),
  p2p_kafka_compression: choice(
    ['none', 'gzip', 'snappy', 'lz4', 'zstd'],
    'none',
    'Compression of produced batches; zstd needs Node 22.15 or 23.8 (this server).',
  ),
  KAFKA_ENABLE_TLS: flag(false, 'TLS to the brokers.'),
  KAFKA_TLS_SKIP_VERIFY: flag(false, 'Do not verify broker certificates.'),
  KAFKA_TLS_CA_FILE: text('', 'CA file.'),
  KAFKA_TLS_CERT_FILE: text('', 'Client certificate; with the key or not at all.'),
  KAFKA_TLS_KEY_FILE: text('', 'Client key; with the certificate or not at all.'),
  KAFKA_SASL_MECHANISM: choice(
    ['', 'PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'],
    '',
    'How the brokers are told who this is; empty: not at all (this server).',
  ),
  KAFKA_SASL_USERNAME: text('', 'User name for SASL (this server).'),
  KAFKA_SASL_PASSWORD: text('', 'Password for SASL; it or the file (this server).', { secret: true }),
  KAFKA_SASL_PASSWORD_FILE: text(
    '',
    'File whose one line is the password, read again when it changes (this server).',
  ),

  // gRPC offered
  p2p_grpcListenAddress: text(
    'localhost:9904',
    'PeerService listens here, at every address of a name; empty: not at all.',
    {
      contexts: { 'docker.m': ':9904', 'docker.ss': ':9904', operator: ':9904' },
    },
  ),
  p2p_grpcAddress: text('localhost:9904', 'Where others, and the CLI, reach PeerService.'),
  grpc_admin_api_key: text(
    '',
    'Key of admin calls, and x-api-key of our calls to other services; empty: one is made for the former and kept in DATADIR/admin.key, and none is sent.',
    {
      secret: true,
      aliases: ['grpcAdminAPIKey'],
    },
  ),

  grpc_admin_api_key_file: text(
    '',
    'File with grpc_admin_api_key in place of it, read again when it changes: a key a line, of which each is taken and the first is sent (this server).',
  ),

  // HTTP and WebSocket
  p2p_httpListenAddress: text(':9906', 'WebSocket, page and /health listen here.', { required: 'always' }),
  p2p_httpAddress: text('localhost:9906', 'Where others, and the CLI, reach it.'),
  p2p_websocket_max_connections: integer(1000, 'WebSocket connections at the most; 0: any number.', {
    min: 0,
  }),
  p2p_websocket_max_connections_per_source: integer(
    0,
    'WebSocket connections of one source at the most; 0: a twentieth of all, never under 4; -1: any number.',
    { min: -1 },
  ),
  p2p_websocket_trusted_source_cidrs: list(
    'Sources of which one may hold more than its share; they count among all. none: nobody.',
    ['127.0.0.1/32', '::1/128'],
  ),
  p2p_websocket_trusted_proxies: list(
    'Addresses and subnets of proxies whose X-Forwarded-For, or Forwarded, is believed (this server).',
  ),
  p2p_websocket_allowed_origins: list('Origins allowed; empty: any.'),
  p2p_websocket_text_ping: flag(true, 'Send the text frame of type PING every 10 s besides protocol pings.'),
  p2p_websocket_client_buffer: integer(
    1_048_576,
    'Bytes queued for one client before it must drain (this server).',
    { min: 1024 },
  ),
  p2p_websocket_transport: choice(
    ['auto', 'uws', 'ws'],
    'auto',
    'Library behind the port; auto: uWebSockets.js where its newer build loads and no proxy is named, else `ws` (this server).',
  ),
  securityLevelHTTP: integer(0, '0 plain, 1 TLS.', { min: 0, max: 1 }),
  server_certFile: text('', 'Certificate for HTTPS.'),
  server_keyFile: text('', 'Key for HTTPS.'),
  asset_httpAddress: text('', 'Data hub URL of this node.'),
  asset_httpPublicAddress: text('', 'Data hub URL told to peers, preferred over asset_httpAddress.'),
  asset_propagation_public_url: text('', 'Propagation URL told in node_status.'),
  health_check_httpListenAddress: text(':8000', 'Health endpoints listen here; empty: not at all.'),
  profilerAddr: text(':9091', 'Metrics listen here; empty: not at all.'),
  prometheusEndpoint: text('/metrics', 'Path of the metrics; empty: none.'),
  tracing_enabled: flag(
    false,
    'Trace messages and calls to tracing_collector_url, unless OTEL_TRACES_EXPORTER or an OTLP endpoint of the environment says otherwise.',
  ),
  tracing_SampleRate: decimal(
    0.01,
    'Of what begins here, the part that is traced, where OTEL_TRACES_SAMPLER does not say.',
    {
      min: 0,
      max: 1,
    },
  ),
  tracing_collector_url: text(
    'http://localhost:4318',
    'Collector that takes OTLP over HTTP: a URL, or host:port.',
  ),
  p2p_kafka_trace_context: flag(
    false,
    'Kafka records of traced messages have the trace’s context in their headers, as traceparent and tracestate of W3C; not on the embedded broker (this server).',
  ),

  // Sync (current generation)
  p2p_force_sync_peer: text('', 'Peer ID to sync from whatever the others say.'),
  p2p_allow_pruned_node_fallback: flag(
    true,
    'Catch up from peers without full storage where none with it can be had.',
  ),
  p2p_health_check_enabled: flag(true, 'Catch up only from peers whose data hub answers.'),
  p2p_sync_coordination: flag(
    { first: false, current: true },
    'Choose a peer to catch up from when behind; never with the embedded chain (this server).',
  ),
  p2p_sync_interval: duration(2 * SECOND, 'Between two looks at whether to catch up (this server).', 10),
  p2p_sync_peer_no_progress_timeout: duration(
    5 * 60 * SECOND,
    'Without a new block for this long, another peer is chosen to catch up from.',
    0,
    { aliases: ['p2p_sync_standstill'] },
  ),
  p2p_full_storage_penalty_duration: duration(
    HOUR,
    'How long a peer that lacked a block is not believed to store everything, nor preferred for work validated from it.',
  ),
  p2p_full_delivery_freshness_window: duration(
    24 * HOUR,
    'How long a peer that delivered a valid block is preferred for it; 0: for good.',
  ),
  p2p_max_unproven_sync_probes_per_backoff_window: integer(
    3,
    'Peers of which nothing is proven that are tried until our height rises or a pause is over; 0: none.',
    { min: 0 },
  ),
  p2p_sync_coordinator_periodic_evaluation_interval: duration(
    30 * SECOND,
    'How often a sync peer that moves nothing is weighed against one with more validated work.',
    SECOND,
  ),
} as const satisfies Record<string, Setting>;

export type SettingKey = keyof typeof SETTINGS;

type ValueOf<S> =
  S extends ChoiceSetting<infer C>
    ? C
    : S extends TextSetting
      ? string
      : S extends BooleanSetting
        ? boolean
        : S extends NumberSetting
          ? number
          : S extends ListSetting
            ? readonly string[]
            : never;

/** Settings after loading: each key of the table with a value of its type. */
export type Settings = { readonly [K in SettingKey]: ValueOf<(typeof SETTINGS)[K]> };
