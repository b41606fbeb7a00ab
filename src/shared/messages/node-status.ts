/** What a node says of itself every few seconds. */

import type { PeerIdText } from '../net/peer-id.js';
import { type DataHubUrl, shownUrl } from './data-hub-url.js';
import { FEE_POLICY } from './fee-policy.js';
import { shown } from './frame-fields.js';
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
  frame: {
    doc: 'What a node says of itself, every few seconds. Without parameters, that of the server’s own node comes first of all.',
    fields: [
      shown('base_url', 'url', ({ baseUrl }) => baseUrl, 'Data hub of the node.'),
      shown(
        'propagation_url',
        'url',
        ({ propagationUrl }) => propagationUrl,
        'Where the node takes transactions.',
        { example: 'https://teranode.example/propagation' },
      ),
      shown('peer_id', 'peer', ({ peerId }) => peerId, 'Whose status it is.', { always: true }),
      shown('tx_count', 'uint64', ({ txCount }) => txCount, 'Transactions that wait to be mined.', {
        example: 48_211,
      }),
      shown('version', 'name', ({ version }) => version, 'Of the node’s software.', { example: 'v0.11.2' }),
      shown('commit_hash', 'name', ({ commitHash }) => commitHash, 'Of the node’s software.', {
        example: '1f3c9ab',
      }),
      shown('best_block_hash', 'hash', ({ bestBlockHash }) => bestBlockHash, 'The node’s best block.'),
      shown('best_height', 'uint32', ({ bestHeight }) => bestHeight, 'Height of the node’s best block.', {
        keepsZero: 'current',
      }),
      shown(
        'subtree_count',
        'uint32',
        ({ subtreeCount }) => subtreeCount,
        'Subtrees that wait to be mined.',
        { example: 3 },
      ),
      shown('fsm_state', 'name', ({ fsmState }) => fsmState, 'State of the node’s blockchain service.', {
        example: 'RUNNING',
      }),
      shown('start_time', 'int64', ({ startTime }) => startTime, 'When the node started, unix seconds.'),
      shown('uptime', 'float', ({ uptime }) => uptime, 'Seconds since then.', { example: 86_400.5 }),
      shown('client_name', 'name', ({ clientName }) => clientName, 'What the node calls itself.'),
      shown(
        'miner_name',
        'name',
        ({ minerName }) => minerName,
        'What the node’s blocks name as their miner.',
        { example: 'example-pool' },
      ),
      shown(
        'listen_mode',
        'name',
        ({ listenMode }) => listenMode,
        '`full`, or `listen_only` of a node that announces nothing but its status.',
        { example: 'full' },
      ),
      shown('chain_work', 'hex', ({ chainWork }) => chainWork, 'Work of the node’s chain.'),
      shown('sync_peer_id', 'peer', ({ syncPeerId }) => syncPeerId, 'From whom the node catches up.'),
      shown(
        'sync_peer_height',
        'uint32',
        ({ syncPeerHeight }) => syncPeerHeight,
        'Height that this peer told.',
      ),
      shown(
        'sync_peer_block_hash',
        'hash',
        ({ syncPeerBlockHash }) => syncPeerBlockHash,
        'Best block that this peer told.',
      ),
      shown(
        'sync_connected_at',
        'int64',
        ({ syncConnectedAt }) => syncConnectedAt,
        'Since when it catches up, unix seconds.',
      ),
      // Go has a pointer here: 0 is a fee, not the lack of one.
      shown(
        'min_mining_tx_fee',
        'float',
        ({ minMiningTxFee }) => minMiningTxFee,
        'Fee below which the node mines no transaction, BSV a thousand bytes; 0 is a fee.',
        { keepsZero: true, example: 0.000_000_01 },
      ),
      shown('fee_policy', 'object', ({ feePolicy }) => feePolicy, 'Fees and limits of the node.', {
        members: FEE_POLICY,
      }),
      shown(
        'connected_peers_count',
        'int64',
        ({ connectedPeersCount }) => connectedPeersCount,
        'Peers of the node’s P2P service.',
        { example: 12 },
      ),
      shown(
        'legacy_connected_peers_count',
        'int64',
        ({ legacyConnectedPeersCount }) => legacyConnectedPeersCount,
        'Peers of the node’s legacy service.',
        { example: 8 },
      ),
      shown('storage', 'name', ({ storage }) => storage, 'What the node keeps.', { example: 'full' }),
    ],
  },
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
