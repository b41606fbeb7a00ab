/** What a node says of itself every few seconds. */

import type { PeerIdText } from '../net/peer-id.js';
import { type DataHubUrl, shownUrl } from './data-hub-url.js';
import { FEE_POLICY } from './fee-policy.js';
import { NODE_STATUS_ID } from './ids.js';
import type { MessageKind } from './kind.js';
import { displayText, hexOrEmpty, optionalHash, peerIdText } from './text.js';
import { field, type MessageOf, objectField } from './wire-fields.js';

const LEFT_OUT = { omitEmpty: true };

const WIRE = [
  field('peerId', 'text', 'peer_id'),
  field('clientName', 'text', 'client_name'),
  field('type', 'text', 'type'),
  field('baseUrl', 'text', 'base_url'),
  field('propagationUrl', 'text', 'propagation_url', LEFT_OUT),
  field('version', 'text', 'version'),
  field('commitHash', 'text', 'commit_hash'),
  field('bestBlockHash', 'text', 'best_block_hash'),
  field('bestHeight', 'uint32', 'best_height'),
  field('txCount', 'uint64', 'tx_count', LEFT_OUT),
  field('subtreeCount', 'uint32', 'subtree_count', LEFT_OUT),
  field('fsmState', 'text', 'fsm_state'),
  field('startTime', 'int64', 'start_time'),
  field('uptime', 'float', 'uptime'),
  field('minerName', 'text', 'miner_name'),
  field('listenMode', 'text', 'listen_mode'),
  field('chainWork', 'text', 'chain_work'),
  field('syncPeerId', 'text', 'sync_peer_id', LEFT_OUT),
  field('syncPeerHeight', 'uint32', 'sync_peer_height', LEFT_OUT),
  field('syncPeerBlockHash', 'text', 'sync_peer_block_hash', LEFT_OUT),
  field('syncConnectedAt', 'int64', 'sync_connected_at', LEFT_OUT),
  field('minMiningTxFee', 'optional float', 'min_mining_tx_fee', LEFT_OUT),
  objectField('feePolicy', 'optional object', 'fee_policy', FEE_POLICY, LEFT_OUT),
  field('connectedPeersCount', 'int64', 'connected_peers_count', LEFT_OUT),
  field('legacyConnectedPeersCount', 'int64', 'legacy_connected_peers_count', LEFT_OUT),
  field('storage', 'text', 'storage', LEFT_OUT),
];

export type NodeStatus = MessageOf<typeof WIRE>;

/** Hex digits of a 256-bit number. */
const CHAIN_WORK_MAX = 64;

export const nodeStatus: MessageKind<NodeStatus, 'p2p_node_status_topic'> = {
  id: NODE_STATUS_ID,
  name: 'node_status',
  topic: { key: 'p2p_node_status_topic', default: 'node_status', doc: 'Topic of node status.' },
  sizeBound: 64 * 1024,
  forwardBound: 16 * 1024,
  wire: WIRE,
  priority: 1,
  atHome: true,
  repeats: false,
  published: 'status',
  needsReputation: true,
  decode(message, context) {
    return {
      ...message,
      peerId: peerIdText(message.peerId, 'peer_id'),
      clientName: displayText(message.clientName),
      type: 'node_status',
      baseUrl: shownUrl(message.baseUrl, context),
      propagationUrl: shownUrl(message.propagationUrl, context),
      version: displayText(message.version),
      commitHash: displayText(message.commitHash),
      bestBlockHash: optionalHash(message.bestBlockHash, 'best_block_hash'),
      fsmState: displayText(message.fsmState),
      minerName: displayText(message.minerName),
      listenMode: displayText(message.listenMode),
      chainWork: hexOrEmpty(message.chainWork, CHAIN_WORK_MAX),
      syncPeerId: peerIdText(message.syncPeerId, 'sync_peer_id'),
      syncPeerBlockHash: optionalHash(message.syncPeerBlockHash, 'sync_peer_block_hash'),
      storage: displayText(message.storage),
    };
  },
  originator: (message) => message.peerId,
  identity: () => ({ hash: '', url: '' }),
  shown: {
    colour: { terminal: 'gray', page: 'violet' },
    hash: 'best_block_hash',
    height: 'best_height',
    facts: [
      { field: 'tx_count', as: 'number', after: ' tx' },
      { field: 'miner_name', before: 'by ' },
      { field: 'fsm_state' },
    ],
  },
  frame: (message) => ({
    base_url: message.baseUrl,
    propagation_url: message.propagationUrl,
    peer_id: message.peerId,
    tx_count: message.txCount,
    version: message.version,
    commit_hash: message.commitHash,
    best_block_hash: message.bestBlockHash,
    best_height: message.bestHeight,
    subtree_count: message.subtreeCount,
    fsm_state: message.fsmState,
    start_time: message.startTime,
    uptime: message.uptime,
    client_name: message.clientName,
    miner_name: message.minerName,
    listen_mode: message.listenMode,
    chain_work: message.chainWork,
    sync_peer_id: message.syncPeerId,
    sync_peer_height: message.syncPeerHeight,
    sync_peer_block_hash: message.syncPeerBlockHash,
    sync_connected_at: message.syncConnectedAt,
    min_mining_tx_fee: message.minMiningTxFee,
    fee_policy: message.feePolicy,
    connected_peers_count: message.connectedPeersCount,
    legacy_connected_peers_count: message.legacyConnectedPeersCount,
    storage: message.storage,
  }),
  fact: (message) => ({
    type: 'node_status',
    peer: message.peerId as PeerIdText,
    height: message.bestHeight,
    hash: message.bestBlockHash,
    dataHubUrl: message.baseUrl as DataHubUrl | '',
    clientName: message.clientName,
    storage: message.storage,
    chainWork: message.chainWork,
  }),
};
