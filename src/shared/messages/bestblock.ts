/** A request for everybody's best block; answered on the direct stream with a block message. */

import type { PeerIdText } from '../net/peer-id.js';
import type { MessageKind } from './kind.js';
import { peerIdText } from './text.js';
import { field, type MessageOf } from './wire-fields.js';

const WIRE = [field('peerId', 'text', 'PeerId', { bus: 'PeerID' })];

export type BestBlock = MessageOf<typeof WIRE>;

export const bestblock: MessageKind<BestBlock, 'p2p_bestblock_topic'> = {
  id: 6,
  name: 'bestblock',
  topic: {
    key: 'p2p_bestblock_topic',
    default: 'bestblock',
    doc: 'Topic of best-block requests.',
    required: 'first',
  },
  sizeBound: 16 * 1024,
  wire: WIRE,
  priority: 2,
  atHome: true,
  repeats: false,
  published: 'news',
  decode(message) {
    return { peerId: peerIdText(message.peerId, 'PeerId') };
  },
  originator: (message) => message.peerId,
  identity: () => ({ hash: '', url: '' }),
  fact: (message) => ({ type: 'best_block_requested', peer: message.peerId as PeerIdText }),
};
