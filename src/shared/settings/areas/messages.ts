/** Topics, and what goes over them. */

import { MESSAGE_KINDS } from '../../messages/index.js';
import type { Setting } from '../setting.js';
import { choice, decimal, duration, integer, list } from '../values/basic.js';
import { gossipTopics, topicPrefix } from '../values/texts.js';

const SECOND = 1000;

export const MESSAGES = {
  p2p_topic_prefix: topicPrefix('Topic prefix; empty: teranode/bitcoin/1.0.0/<network>.', {
    required: 'first',
  }),
  ...gossipTopics(MESSAGE_KINDS.map(({ topic }) => topic)),
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
} as const satisfies Record<string, Setting>;
