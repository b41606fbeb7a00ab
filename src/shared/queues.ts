/**
 * The bounds of every queue of the server, which the code of each reads here, with what happens when one is full and the metric that shows
 * it. docs/queues.md is written from this table; a test walks it.
 */

export interface Queue<B extends string = string> {
  readonly name: string;
  /** Numbers that the code reads; a bound that is a setting is named in {@link Queue.bound} alone. Times in milliseconds. */
  readonly bounds: Readonly<Record<B, number>>;
  /** The same for people. */
  readonly bound: string;
  readonly whenFull: string;
  /** Name of the gauge or counter in the scrape. */
  readonly metric: string;
}

interface Row<B extends string> extends Omit<Queue<B>, 'bound'> {
  readonly bound: (bounds: Readonly<Record<B, number>>) => string;
}

const queue = <B extends string>({ bound, ...row }: Row<B>): Queue<B> => ({
  ...row,
  bound: bound(row.bounds),
});

const MIB = 1024 * 1024;
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

const count = (value: number): string => value.toLocaleString('en-US');
const mebibytes = (bytes: number): string => `${bytes / MIB} MiB`;
const seconds = (milliseconds: number): string => `${milliseconds / 1000} s`;
const minutes = (milliseconds: number): string => `${milliseconds / MINUTE} minutes`;
const hours = (milliseconds: number): string => `${milliseconds / HOUR} h`;

export const QUEUES = {
  handshakes: queue({
    name: 'connections without a handshake yet',
    bounds: { slots: 64, perAddress: 4, perRelay: 16, handshakeMs: 8_000, silenceMs: 3_000 },
    bound: ({ slots, perAddress, handshakeMs, silenceMs }) =>
      `${slots}, ${perAddress} of them of an address, ${seconds(handshakeMs)} each, ${seconds(silenceMs)} without a byte; static and allow-listed addresses besides`,
    whenFull: 'the eldest of the largest holder is closed and counted',
    metric: 'teranode_p2p_node_connections_refused_total',
  }),
  directMessages: queue({
    name: 'direct messages being read',
    bounds: { slots: 64, peer: 4, source: 16, wholeMs: 10_000, silenceMs: 3_000 },
    bound: ({ slots, peer, source, wholeMs, silenceMs }) =>
      `${slots}, ${peer} of them of a peer, ${source} of an address, ${seconds(wholeMs)} each, ${seconds(silenceMs)} without a byte`,
    whenFull: 'the eldest of the largest holder is reset and counted',
    metric: 'teranode_p2p_node_direct_messages_total',
  }),
  addressRequests: queue({
    name: 'address requests being answered',
    bounds: { slots: 64, peer: 8, source: 16, wholeMs: 10_000, silenceMs: 3_000 },
    bound: ({ slots, peer, source, wholeMs, silenceMs }) =>
      `${slots}, ${peer} of them of a peer, ${source} of an address, ${seconds(wholeMs)} each, ${seconds(silenceMs)} without a byte`,
    whenFull: 'the eldest of the largest holder is reset and counted',
    metric: 'teranode_p2p_node_address_lookups_total',
  }),
  probes: queue({
    name: 'connections to the health and metrics ports',
    bounds: { slots: 128, perSource: 16, connectionMs: 15_000, perSecond: 100 },
    bound: ({ slots, perSource, connectionMs, perSecond }) =>
      `${slots} on each, ${perSource} of them of a source, ${seconds(connectionMs)} each, one request each; ${perSecond} a second of a source`,
    whenFull: 'the eldest of the largest holder is closed and counted',
    metric: 'teranode_p2p_probe_connections_closed_total',
  }),
  grpcConnections: queue({
    name: 'connections to the gRPC port',
    bounds: { slots: 128, perSource: 32, silentMs: 10_000 },
    bound: ({ slots, perSource, silentMs }) =>
      `${slots}, ${perSource} of them of a source, ${seconds(silentMs)} each for the first byte`,
    whenFull: 'the youngest of the largest holder is closed and counted',
    metric: 'teranode_p2p_grpc_connections_closed_total',
  }),
  longAnswers: queue({
    name: 'long answers of PeerService',
    bounds: { bytes: 64 * MIB, perSource: 16 * MIB, takenMs: 30_000 },
    bound: ({ bytes, perSource, takenMs }) =>
      `${mebibytes(bytes)}, ${mebibytes(perSource)} of them or one answer of a source, ${seconds(takenMs)} each to be taken`,
    whenFull:
      'a source with less takes the place of the one with the most, whose connection is closed and counted; else the call is refused with RESOURCE_EXHAUSTED',
    metric: 'teranode_p2p_grpc_calls_total',
  }),
  connectionBudget: queue({
    name: 'connection budget',
    bounds: {},
    bound: () => 'p2p_connection_messages_per_second and p2p_connection_bytes_per_second',
    whenFull: 'the rest of the second is dropped unverified and counted; persistent excess is spam',
    metric: 'teranode_p2p_node_budget_dropped_total',
  }),
  withoutVerdict: queue({
    name: 'messages without a verdict',
    bounds: { messages: 1_000 },
    bound: ({ messages }) => `${count(messages)}, those not yet verified included`,
    whenFull: 'inbound streams pause until half is done',
    metric: 'teranode_p2p_node_pending_messages',
  }),
  gossipToPeer: queue({
    name: 'gossip to one peer',
    bounds: { bytes: 16 * MIB },
    bound: ({ bytes }) => `${mebibytes(bytes)} that it has not read`,
    whenFull: 'its connection is closed and counted',
    metric: 'teranode_p2p_node_stalled_peers_total',
  }),
  gossipToCheckers: queue({
    name: 'gossip to checkers',
    bounds: {},
    bound: () => 'p2p_queue_bytes, a fair share of it, and of the checkers’ time, each source',
    whenFull:
      'that source loses its lowest-priority kind first, blocks and subtrees last, what it passes on of strangers before its own',
    metric: 'teranode_p2p_pipeline_queued_bytes',
  }),
  batchesWithCheckers: queue({
    name: 'batches with checkers',
    bounds: { perChecker: 2 },
    bound: ({ perChecker }) => `${perChecker} a checker`,
    whenFull: 'main collects meanwhile',
    metric: 'teranode_p2p_pipeline_batches_in_flight',
  }),
  unclaimed: queue({
    name: 'checked, and not yet taken up by GossipSub',
    bounds: {},
    bound: () => 'the answers of 1 turn of the event loop',
    whenFull: 'what GossipSub has not asked for at its end is dropped and counted',
    metric: 'teranode_p2p_pipeline_unclaimed_total',
  }),
  publishing: queue({
    name: 'checked to publisher',
    bounds: { bytes: 4 * MIB },
    bound: ({ bytes }) => `${mebibytes(bytes)}, and what the checkers had before that was full`,
    whenFull: 'nothing more goes to the checkers: main collects meanwhile',
    metric: 'teranode_p2p_pipeline_publishing_bytes',
  }),
  outbox: queue({
    name: 'outbox',
    bounds: { keptFromStrangers: 0.1 },
    bound: () => 'p2p_outbox_max, each topic its own, the last tenth not for strangers’ announcements',
    whenFull: 'readiness fails, new announcements for that topic are refused and counted; the others flow',
    metric: 'teranode_p2p_outbox_depth',
  }),
  deadLetters: queue({
    name: 'dead letters',
    bounds: { records: 10_000 },
    bound: ({ records }) => `${count(records)} records`,
    whenFull: 'the oldest goes, loudly',
    metric: 'teranode_p2p_dead_letters',
  }),
  blockFound: queue({
    name: 'BlockFound calls',
    bounds: { calls: 256 },
    bound: ({ calls }) => `${calls} waiting`,
    whenFull:
      'the oldest is given up and counted, strangers’ first, of these those without a header: Kafka has the record',
    metric: 'teranode_p2p_block_found_waiting',
  }),
  framesToServer: queue({
    name: 'frames to one notification server',
    bounds: { bytes: MIB },
    bound: ({ bytes }) => `${mebibytes(bytes)}, the newest batch beyond it`,
    whenFull:
      'it reads on in the journal’s files, and closes its clients when those have no more what it needs',
    metric: 'teranode_p2p_frame_stream_lags_total',
  }),
  framesToClient: queue({
    name: 'frames to one client',
    bounds: { drainMs: 5_000 },
    bound: () => 'p2p_websocket_client_buffer',
    whenFull: 'nothing more is queued, 5 s to drain, then close 1013, else cut',
    metric: 'teranode_p2p_websocket_evictions_total',
  }),
  replayToClient: queue({
    name: 'replayed frames to one client',
    bounds: { bytes: 256 * 1024 },
    bound: ({ bytes }) => `${bytes / 1024} KiB that it has not taken, 64 KiB and a frame beyond it`,
    whenFull:
      'nothing more is read for it until it takes some; ended with `too_slow` when what it needs next is no longer kept',
    metric: 'teranode_p2p_websocket_replaying_clients',
  }),
  stretches: queue({
    name: 'stretches of the journal for replaying clients',
    bounds: { bytes: 32 * MIB, compressing: 4 },
    bound: ({ bytes, compressing }) =>
      `${mebibytes(bytes)} a notification server with what was rendered of them, ${compressing} messages being compressed`,
    whenFull:
      'the least recently used is forgotten and read again, all when nobody replays; who compresses waits for its turn',
    metric: 'teranode_p2p_websocket_replay_cache_bytes',
  }),
  filters: queue({
    name: 'filters of clients',
    bounds: { subscriptions: 100_000 },
    bound: ({ subscriptions }) =>
      `${count(subscriptions)} a notification server: of each client who names peers those times its kinds`,
    whenFull: 'a client who asks for more is refused with 503, `too_many_filters`',
    metric: 'teranode_p2p_websocket_feed_refusals_total',
  }),
  batches: queue({
    name: 'batches of frames',
    bounds: { batches: 64, bytes: 4 * MIB },
    bound: ({ batches, bytes }) =>
      `${batches} different ones a notification server, ${mebibytes(bytes)} of each that wait for compression`,
    whenFull:
      'another is refused with 503, `too_many_renderings`; readers of one that is not compressed in time go on from the journal',
    metric: 'teranode_p2p_websocket_feed_refusals_total',
  }),
  eventStreams: queue({
    name: 'frames to one event stream',
    bounds: { commentMs: 15_000, retryMs: 2_000 },
    bound: ({ commentMs }) =>
      `p2p_websocket_client_buffer; a comment where ${seconds(commentMs)} have nothing to tell`,
    whenFull: 'it is served from the journal at its own speed, and ended when that has no more what it needs',
    metric: 'teranode_p2p_event_streams',
  }),
  pages: queue({
    name: 'pages of the history being made',
    bounds: {
      atOnce: 2,
      waiting: 64,
      perSource: 8,
      pageMs: 1_000,
      sliceBytes: 128 * 1024,
      scannedBytes: 32 * MIB,
      answerBytes: MIB,
    },
    bound: ({ atOnce, waiting, perSource, pageMs, scannedBytes, answerBytes }) =>
      `${atOnce}, and ${waiting} with those that wait, ${perSource} of a source; of one ${mebibytes(answerBytes)}, ${mebibytes(scannedBytes)} read for it, ${seconds(pageMs)}`,
    whenFull:
      'a further request is refused with 429; a page that comes to its bound ends there, with a cursor',
    metric: 'teranode_p2p_history_pages_total',
  }),
  transfers: queue({
    name: 'segments of the archive being sent',
    bounds: { slots: 128, perSource: 8, chunkBytes: 64 * 1024, graceMs: 30_000, leastPerSecond: 8 * 1024 },
    bound: ({ slots, perSource, graceMs, leastPerSecond }) =>
      `${slots}, ${perSource} of a source, ${leastPerSecond / 1024} KiB a second each after ${seconds(graceMs)}`,
    whenFull: 'a further request is refused with 503; who takes less is cut off; both counted',
    metric: 'teranode_p2p_segment_transfers_total',
  }),
  announcements: queue({
    name: 'announcements',
    bounds: { notifications: 10_000 },
    bound: ({ notifications }) => `${count(notifications)} notifications of the chain waiting`,
    whenFull: 'the oldest subtree goes, where there is none the oldest, counted',
    metric: 'teranode_p2p_announce_waiting',
  }),
  rejectedTransactions: queue({
    name: 'rejected transactions to gossip',
    bounds: {},
    bound: () => 'p2p_rejected_tx_publish_rate and p2p_rejected_tx_publish_burst',
    whenFull: 'dropped and counted',
    metric: 'teranode_p2p_announce_rejected_tx_limited_total',
  }),
  repeats: queue({
    name: 'repeats remembered',
    bounds: { announcements: 1_000_000, windowMs: 10 * MINUTE, overRestart: 500_000 },
    bound: ({ announcements, windowMs, overRestart }) =>
      `${count(announcements)} announcements, ${minutes(windowMs)}; over a restart the newest ${count(overRestart)}`,
    whenFull: 'the oldest is forgotten',
    metric: 'teranode_p2p_repeats_remembered',
  }),
  gatewayMerge: queue({
    name: 'announcements that a gateway remembers',
    bounds: { announcements: 500_000 },
    bound: ({ announcements }) => `${count(announcements)}, four times p2p_gateway_merge_window`,
    whenFull: 'the oldest half is forgotten: what another node wrote of it later is shown again',
    metric: 'teranode_p2p_gateway_announcements_remembered',
  }),
  announcers: queue({
    name: 'who announced what',
    bounds: { perHash: 64, perHashAndPeer: 4 },
    bound: ({ perHash, perHashAndPeer }) =>
      `p2p_peer_map_max_size announcements of blocks and as many of subtrees, ${perHash} a hash, ${perHashAndPeer} a hash and peer, for p2p_peer_map_ttl`,
    whenFull:
      'the least recently announced hash is forgotten; meanwhile no data hub is taken for its owner’s fault',
    metric: 'teranode_p2p_announcers_remembered',
  }),
  invalidBlocks: queue({
    name: 'invalid blocks',
    bounds: { hashes: 10_000, rememberMs: HOUR },
    bound: ({ hashes, rememberMs }) => `${count(hashes)} hashes, ${hours(rememberMs)}`,
    whenFull: 'the least recently reported is forgotten; the mark of the chain remains',
    metric: 'teranode_p2p_invalid_blocks_remembered',
  }),
  banScores: queue({
    name: 'ban scores',
    bounds: { peers: 10_000 },
    bound: ({ peers }) => `${count(peers)} peers`,
    whenFull: 'the least recently used is forgotten',
    metric: 'teranode_p2p_ban_scores',
  }),
  bansByScore: queue({
    name: 'bans by score',
    bounds: { bans: 100_000 },
    bound: ({ bans }) => count(bans),
    whenFull: 'the soonest to expire goes; an operator’s never does',
    metric: 'teranode_p2p_bans',
  }),
  banChanges: queue({
    name: 'ban changes to store',
    bounds: { keys: 200_000 },
    bound: ({ keys }) => `${count(keys)} keys, the newest change of each`,
    whenFull: 'a further change is in force and answered as not stored',
    metric: 'teranode_p2p_bans_unstored',
  }),
  gossipIds: queue({
    name: 'ids of gossip',
    bounds: { deliveries: 10_000 },
    bound: ({ deliveries }) =>
      `p2p_gossip_id_bytes, and who delivered the newest ${count(deliveries)} messages`,
    whenFull: 'the oldest are forgotten: a copy that comes that late is checked once more',
    metric: 'teranode_p2p_node_gossip_bytes',
  }),
  gossipKept: queue({
    name: 'gossip for who asks',
    bounds: {},
    bound: () => 'p2p_gossip_message_bytes, five heartbeats',
    whenFull: 'the oldest that has its verdict is forgotten',
    metric: 'teranode_p2p_node_gossip_bytes',
  }),
  peerCache: queue({
    name: 'peer cache',
    bounds: { peers: 1_000, ageMs: 24 * HOUR },
    bound: ({ peers, ageMs }) => `${count(peers)} peers, ${hours(ageMs)}`,
    whenFull: 'the least recently seen is forgotten',
    metric: 'teranode_p2p_peer_cache_peers',
  }),
  peerFacts: queue({
    name: 'peer facts',
    bounds: { peers: 10_000, strangers: 5_000 },
    bound: ({ peers, strangers }) =>
      `${count(peers)} peers, ${count(strangers)} of which were never connected, configured or recorded`,
    whenFull:
      'the least recently heard of that half is forgotten; of the other who has gone, then who is recorded, and who is connected or configured last',
    metric: 'teranode_p2p_peers_known',
  }),
  peerRecords: queue({
    name: 'peer records',
    bounds: { peers: 10_000 },
    bound: ({ peers }) => `${count(peers)} peers`,
    whenFull: 'the least recently reported is forgotten',
    metric: 'teranode_p2p_peers_recorded',
  }),
  registryChanges: queue({
    name: 'peer registry to store',
    bounds: { entries: 20_000 },
    bound: ({ entries }) => `${count(entries)} changed entries of each of its two parts`,
    whenFull: 'which have changed is forgotten, and the next write compares all of them',
    metric: 'teranode_p2p_peer_registry_unstored',
  }),
  registryUpdates: queue({
    name: 'updates for the blockchain service’s peer registry',
    bounds: { peers: 10_000, reports: 32, callsPerSecond: 600, atOnce: 16, callMs: 5_000 },
    bound: ({ peers, reports, callsPerSecond, atOnce, callMs }) =>
      `${count(peers)} peers, ${reports} reports of each; ${callsPerSecond} calls a second, ${atOnce} at once, ${seconds(callMs)} each`,
    whenFull:
      'the update of a stranger makes room for one of a connected, configured or recorded peer; the rest is dropped and counted',
    metric: 'teranode_p2p_peer_registry_service_pending',
  }),
  dataHubChecks: queue({
    name: 'data hub checks',
    bounds: { hubs: 32, atOnce: 8, requestMs: 2_000, lookMs: 5_000 },
    bound: ({ hubs, atOnce, requestMs, lookMs }) =>
      `${hubs} data hubs a look, ${atOnce} requests and lookups at once, ${seconds(requestMs)} each, ${seconds(lookMs)} together`,
    whenFull: 'the rest is asked at the next look',
    metric: 'teranode_p2p_data_hub_checks_total',
  }),
};
