/** A transaction that a node has rejected, and why. */

import { shown } from './frame-fields.js';
import type { MessageKind } from './kind.js';
import { displayText, peerIdText, REASON_MAX, requiredHash } from './text.js';
import { field, type MessageOf } from './wire-fields.js';

const WIRE = [
  field('txId', 'text', 'TxId', { bus: 'TxID' }),
  field('reason', 'text', 'Reason'),
  field('peerId', 'text', 'PeerId', { bus: 'PeerID' }),
  field('clientName', 'text', 'ClientName'),
];

export type RejectedTx = MessageOf<typeof WIRE>;

export const rejectedTx: MessageKind<RejectedTx, 'p2p_rejected_tx_topic'> = {
  id: 4,
  name: 'rejected_tx',
  topic: {
    key: 'p2p_rejected_tx_topic',
    default: 'rejected_tx',
    doc: 'Topic of rejected transactions.',
    required: 'first',
  },
  sizeBound: 16 * 1024,
  forwardBound: 8 * 1024,
  wire: WIRE,
  priority: 3,
  atHome: true,
  repeats: true,
  published: 'news',
  needsReputation: true,
  decode(message) {
    return {
      txId: requiredHash(message.txId, 'TxId'),
      reason: displayText(message.reason, REASON_MAX),
      peerId: peerIdText(message.peerId, 'PeerId'),
      clientName: displayText(message.clientName),
    };
  },
  originator: (message) => message.peerId,
  identity: (message) => ({ hash: message.txId, url: '' }),
  shown: { colour: { terminal: 'red', page: 'red' }, text: 'reason' },
  frame: {
    doc: 'A node has rejected a transaction.',
    fields: [
      shown('hash', 'hash', ({ txId }) => txId, 'Of the transaction.', { always: true }),
      shown('peer_id', 'peer', ({ peerId }) => peerId, 'Who announced it.', { always: true }),
      shown('reason', 'reason', ({ reason }) => reason, 'Why, in the node’s words.'),
      // The first generation's frames know it in node_status alone.
      shown('client_name', 'name', ({ clientName }) => clientName, 'What the node calls itself.', {
        currentOnly: true,
      }),
    ],
  },
};
