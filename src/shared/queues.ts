/** Every queue of the server: its bound, what happens when it is full, the metric that shows it. A test walks this table. */

export interface Queue {
  readonly name: string;
  readonly bound: string;
  readonly whenFull: string;
  /** Name of the gauge or counter in the scrape. */
  readonly metric: string;
}

export const QUEUES = [
  {
    name: 'connections without a handshake yet',
    bound:
      '64, 4 of them of an address, 8 s each, 3 s without a byte; static and allow-listed addresses besides',
    whenFull: 'the eldest of the largest holder is closed and counted',
    metric: 'teranode_p2p_node_connections_refused_total',
  },
  {
    name: 'direct messages being read',
    bound: '64, 4 of them of a peer, 16 of an address, 10 s each, 3 s without a byte',
    whenFull: 'the eldest of the largest holder is reset and counted',
    metric: 'teranode_p2p_node_direct_messages_total',
  },
  {
    name: 'address requests being answered',
    bound: '64, 8 of them of a peer, 16 of an address, 10 s each, 3 s without a byte',
    whenFull: 'the eldest of the largest holder is reset and counted',
    metric: 'teranode_p2p_node_address_lookups_total',
  },
  {
    name: 'connections to the health and metrics ports',
    bound: '128 on each, 16 of them of a source, 15 s each, one request each; 100 a second of a source',
    whenFull: 'the eldest of the largest holder is closed and counted',
    metric: 'teranode_p2p_probe_connections_closed_total',
  },
  {
    name: 'connections to the gRPC port',
    bound: '128, 32 of them of a source, 10 s each for the first byte',
    whenFull: 'the youngest of the largest holder is closed and counted',
    metric: 'teranode_p2p_grpc_connections_closed_total',
  },
  {
    name: 'long answers of PeerService',
    bound: '64 MiB, 16 MiB of them or one answer of a source, 30 s each to be taken',
    whenFull:
      'a source with less takes the place of the one with the most, whose connection is closed and counted; else the call is refused with RESOURCE_EXHAUSTED',
    metric: 'teranode_p2p_grpc_calls_total',
  },
  {
    name: 'connection budget',
    bound: 'p2p_connection_messages_per_second and p2p_connection_bytes_per_second',
    whenFull: 'the rest of the second is dropped unverified and counted; persistent excess is spam',
    metric: 'teranode_p2p_node_budget_dropped_total',
  },
  {
    name: 'messages without a verdict',
    bound: '1,000, those not yet verified included',
    whenFull: 'inbound streams pause until half is done',
    metric: 'teranode_p2p_node_pending_messages',
  },
  {
    name: 'gossip to one peer',
    bound: '16 MiB that it has not read',
    whenFull: 'its connection is closed and counted',
    metric: 'teranode_p2p_node_stalled_peers_total',
  },
  {
    name: 'gossip to checkers',
    bound: 'p2p_queue_bytes, a fair share of it, and of the checkers’ time, each source',
    whenFull:
      'that source loses its lowest-priority kind first, blocks and subtrees last, what it passes on of strangers before its own',
    metric: 'teranode_p2p_pipeline_queued_bytes',
  },
  {
    name: 'batches with checkers',
    bound: '2 a checker',
    whenFull: 'main collects meanwhile',
    metric: 'teranode_p2p_pipeline_batches_in_flight',
  },
  {
    name: 'checked, and not yet taken up by GossipSub',
    bound: 'the answers of 1 turn of the event loop',
    whenFull: 'what GossipSub has not asked for at its end is dropped and counted',
    metric: 'teranode_p2p_pipeline_unclaimed_total',
  },
  {
    name: 'checked to publisher',
    bound: '4 MiB, and what the checkers had before that was full',
    whenFull: 'nothing more goes to the checkers: main collects meanwhile',
    metric: 'teranode_p2p_pipeline_publishing_bytes',
  },
  {
    name: 'outbox',
    bound: 'p2p_outbox_max, each topic its own, the last tenth not for strangers’ announcements',
    whenFull: 'readiness fails, new announcements for that topic are refused and counted; the others flow',
    metric: 'teranode_p2p_outbox_depth',
  },
  {
    name: 'dead letters',
    bound: '10,000 records',
    whenFull: 'the oldest goes, loudly',
    metric: 'teranode_p2p_dead_letters',
  },
  {
    name: 'BlockFound calls',
    bound: '256 waiting',
    whenFull:
      'the oldest is given up and counted, strangers’ first, of these those without a header: Kafka has the record',
    metric: 'teranode_p2p_block_found_waiting',
  },
  {
    name: 'frames to one notification server',
    bound: '1 MiB, the newest batch beyond it',
    whenFull:
      'it reads on in the journal’s files, and closes its clients when those have no more what it needs',
    metric: 'teranode_p2p_frame_stream_lags_total',
  },
  {
    name: 'frames to one client',
    bound: 'p2p_websocket_client_buffer',
    whenFull: 'nothing more is queued, 5 s to drain, then close 1013, else cut',
    metric: 'teranode_p2p_websocket_evictions_total',
  },
  {
    name: 'announcements',
    bound: '10,000 notifications of the chain waiting',
    whenFull: 'the oldest subtree goes, where there is none the oldest, counted',
    metric: 'teranode_p2p_announce_waiting',
  },
  {
    name: 'rejected transactions to gossip',
    bound: 'p2p_rejected_tx_publish_rate and p2p_rejected_tx_publish_burst',
    whenFull: 'dropped and counted',
    metric: 'teranode_p2p_announce_rejected_tx_limited_total',
  },
  {
    name: 'repeats remembered',
    bound: '1,000,000 announcements, 10 minutes; over a restart the newest 500,000',
    whenFull: 'the oldest is forgotten',
    metric: 'teranode_p2p_repeats_remembered',
  },
  {
    name: 'who announced what',
    bound: '10,000 announcements of blocks and as many of subtrees, 64 a hash, 4 a hash and peer, 10 minutes',
    whenFull:
      'the least recently announced hash is forgotten; meanwhile no data hub is taken for its owner’s fault',
    metric: 'teranode_p2p_announcers_remembered',
  },
  {
    name: 'invalid blocks',
    bound: '10,000 hashes, an hour',
    whenFull: 'the least recently reported is forgotten; the mark of the chain remains',
    metric: 'teranode_p2p_invalid_blocks_remembered',
  },
  {
    name: 'ban scores',
    bound: '10,000 peers',
    whenFull: 'the least recently used is forgotten',
    metric: 'teranode_p2p_ban_scores',
  },
  {
    name: 'bans by score',
    bound: '100,000',
    whenFull: 'the soonest to expire goes; an operator’s never does',
    metric: 'teranode_p2p_bans',
  },
  {
    name: 'ban changes to store',
    bound: '200,000 keys, the newest change of each',
    whenFull: 'a further change is in force and answered as not stored',
    metric: 'teranode_p2p_bans_unstored',
  },
  {
    name: 'ids of gossip',
    bound: 'p2p_gossip_id_bytes, and who delivered the newest 10,000 messages',
    whenFull: 'the oldest are forgotten: a copy that comes that late is checked once more',
    metric: 'teranode_p2p_node_gossip_bytes',
  },
  {
    name: 'gossip for who asks',
    bound: 'p2p_gossip_message_bytes, five heartbeats',
    whenFull: 'the oldest that has its verdict is forgotten',
    metric: 'teranode_p2p_node_gossip_bytes',
  },
  {
    name: 'peer cache',
    bound: '1,000 peers, 24 h',
    whenFull: 'the least recently seen is forgotten',
    metric: 'teranode_p2p_peer_cache_peers',
  },
  {
    name: 'peer facts',
    bound: '10,000 peers, 5,000 of which were never connected, configured or recorded',
    whenFull:
      'the least recently heard of that half is forgotten; of the other who has gone, then who is recorded, and who is connected or configured last',
    metric: 'teranode_p2p_peers_known',
  },
  {
    name: 'peer records',
    bound: '10,000 peers',
    whenFull: 'the least recently reported is forgotten',
    metric: 'teranode_p2p_peers_recorded',
  },
  {
    name: 'peer registry to store',
    bound: '20,000 changed entries of each of its two parts',
    whenFull: 'which have changed is forgotten, and the next write compares all of them',
    metric: 'teranode_p2p_peer_registry_unstored',
  },
  {
    name: 'updates for the blockchain service’s peer registry',
    bound: '10,000 peers, 32 reports of each; 600 calls a second, 16 at once, 5 s each',
    whenFull:
      'the update of a stranger makes room for one of a connected, configured or recorded peer; the rest is dropped and counted',
    metric: 'teranode_p2p_peer_registry_service_pending',
  },
  {
    name: 'data hub checks',
    bound: '32 data hubs a look, 8 requests and lookups at once, 2 s each, 5 s together',
    whenFull: 'the rest is asked at the next look',
    metric: 'teranode_p2p_data_hub_checks_total',
  },
] as const satisfies readonly Queue[];
