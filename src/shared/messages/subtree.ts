/** A subtree of transactions that a node has, and where to fetch it. */

import { requiredUrl } from './data-hub-url.js';
import type { MessageKind } from './kind.js';
import { announcedRecord } from './record.js';
import { displayText, peerIdText, requiredHash } from './text.js';
import { subtrees } from './topics.js';
import { field, type MessageOf } from './wire-fields.js';

const WIRE = [
  field('hash', 'text', 'Hash'),
  field('dataHubUrl', 'text', 'DataHubUrl', { bus: 'DataHubURL' }),
  field('peerId', 'text', 'PeerId', { bus: 'PeerID' }),
  field('clientName', 'text', 'ClientName'),
];

export type Subtree = MessageOf<typeof WIRE>;

export const subtree: MessageKind<Subtree> = {
  id: 2,
  name: 'subtree',
  topicSetting: 'p2p_subtree_topic',
  sizeBound: 32 * 1024,
  forwardBound: 8 * 1024,
  wire: WIRE,
  priority: 5,
  atHome: true,
  repeats: true,
  needsReputation: true,
  decode(message, context) {
    return {
      hash: requiredHash(message.hash, 'Hash'),
      dataHubUrl: requiredUrl(message.dataHubUrl, context),
      peerId: peerIdText(message.peerId, 'PeerId'),
      clientName: displayText(message.clientName),
    };
  },
  originator: (message) => message.peerId,
  identity: (message) => ({ hash: message.hash, url: message.dataHubUrl }),
  frame: (message) => ({
    type: 'subtree',
    hash: message.hash,
    base_url: message.dataHubUrl,
    peer_id: message.peerId,
    best_height: 0,
    client_name: message.clientName,
  }),
  record: (message, context) => announcedRecord(subtrees, message, context.recordFormat),
};
