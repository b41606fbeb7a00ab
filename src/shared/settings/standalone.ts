/** Settings of a server with nothing beside it. */

import { KAFKA_TOPICS, type KafkaTopicKey } from '../messages/topics.js';
import type { SettingKey } from './table.js';

/** For `--set`. */
export type SetValues = Partial<Record<SettingKey, string | number | boolean>>;

/**
 * No key, service or Kafka but what is embedded and made, whatever the files and the environment of the place say: they may be those of a real
 * node.
 */
export const STANDALONE: SetValues = {
  p2p_require_services: 'false',
  p2p_generation: 'current',
  p2p_payload_framing: 'message-bus',
  p2p_topic_prefix: '',
  p2p_private_key: '',
  p2p_peer_cache_dir: '',
  p2p_dht_use_private: false,
  p2p_bootstrapAddresses: '',
  p2p_relay_peers: '',
  p2p_advertise_addresses: '',
  asset_httpPublicAddress: '',
  p2p_feed_tokens_file: '',
  blockchain_store: '',
  blockchain_grpcAddress: '',
  blockassembly_grpcAddress: '',
  security_level_grpc: 0,
  securityLevelHTTP: 0,
  ...(Object.fromEntries(KAFKA_TOPICS.map(({ setting }) => [setting.key, setting.default])) as Record<
    KafkaTopicKey,
    string
  >),
  kafka_record_format: 'protobuf',
};

/** `key=value` each. */
export function setArguments(values: SetValues): string[] {
  return Object.entries(values).map(([key, value]) => `${key}=${value}`);
}
