/** Settings of Teranode's P2P service that this server does not read: a file that has them is taken as it is, without a warning. */
export const NOT_READ: ReadonlySet<string> = new Set([
  'p2p_peer_id',
  'p2p_enable_hole_punching',
  'p2p_enable_nat_port_map',
  'p2p_enable_nat_service',
  'p2p_enable_relay',
  'p2p_port_coinbase',
  'p2p_dht_cleanup_interval',
  'p2p_sync_stuck_retry_threshold',
  'p2p_health_check_interval',
  'p2p_health_http_timeout',
  'p2p_health_remove_after_failures',
  'p2p_peer_map_cleanup_interval',
  'p2p_peer_registry_max_size',
  'p2p_peer_registry_ttl',
  'p2p_peer_registry_cleanup_interval',
  'p2p_gossip_handler_concurrency',
]);
