/** The block on which a node now mines. */

import { shownUrl } from './data-hub-url.js';
import { NO_BEST_HEIGHT, shown } from './frame-fields.js';
import type { MessageKind } from './kind.js';
import { displayText, optionalHash, peerIdText, requiredHash } from './text.js';
import { field, type MessageOf } from './wire-fields.js';

const WIRE = [
  field('hash', 'text', 'Hash'),
  field('previousHash', 'text', 'PreviousHash'),
  field('dataHubUrl', 'text', 'DataHubUrl', { bus: 'DataHubURL' }),
  field('peerId', 'text', 'PeerId', { bus: 'PeerID' }),
  field('height', 'uint32', 'Height'),
  field('miner', 'text', 'Miner'),
  field('sizeInBytes', 'uint64', 'SizeInBytes'),
  field('txCount', 'uint64', 'TxCount'),
];

export type MiningOn = MessageOf<typeof WIRE>;

export const miningOn: MessageKind<MiningOn, 'p2p_mining_on_topic'> = {
  id: 3,
  name: 'mining_on',
  topic: {
    key: 'p2p_mining_on_topic',
    default: 'miningon',
    doc: 'Topic of mining-on messages.',
    required: 'first',
  },
  sizeBound: 32 * 1024,
  wire: WIRE,
  priority: 4,
  atHome: true,
  repeats: true,
  published: 'news',
  decode(message, context) {
    return {
      hash: requiredHash(message.hash, 'Hash'),
      previousHash: optionalHash(message.previousHash, 'PreviousHash'),
      dataHubUrl: shownUrl(message.dataHubUrl, context),
      peerId: peerIdText(message.peerId, 'PeerId'),
      height: message.height,
      miner: displayText(message.miner),
      sizeInBytes: message.sizeInBytes,
      txCount: message.txCount,
    };
  },
  originator: (message) => message.peerId,
  identity: (message) => ({ hash: message.hash, url: message.dataHubUrl }),
  shown: {
    colour: { terminal: 'yellow', page: 'amber' },
    facts: [
      { field: 'tx_count', as: 'number', after: ' tx' },
      { field: 'size_in_bytes', as: 'bytes' },
      { field: 'miner', before: 'by ' },
    ],
  },
  frame: {
    doc: 'A node has begun to mine on a block.',
    fields: [
      shown('hash', 'hash', ({ hash }) => hash, 'Of the block mined on.', { always: true }),
      shown('base_url', 'url', ({ dataHubUrl }) => dataHubUrl, 'Data hub of the node.'),
      shown('peer_id', 'peer', ({ peerId }) => peerId, 'Who announced it.', { always: true }),
      shown('previousblockhash', 'hash', ({ previousHash }) => previousHash, 'Of the block before.'),
      shown('tx_count', 'uint64', ({ txCount }) => txCount, 'Transactions of the block.'),
      shown('height', 'uint32', ({ height }) => height, 'Of the block.'),
      shown('size_in_bytes', 'uint64', ({ sizeInBytes }) => sizeInBytes, 'Of the block.'),
      shown('miner', 'name', ({ miner }) => miner, 'Who mined the block.', { example: 'example-pool' }),
      NO_BEST_HEIGHT,
    ],
  },
};
