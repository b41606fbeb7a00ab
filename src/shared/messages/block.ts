/** A block that a node has, and where to fetch it. */

import { requiredUrl } from './data-hub-url.js';
import { checkedHeader } from './header.js';
import type { MessageKind } from './kind.js';
import { announcedRecord } from './record.js';
import { displayText, peerIdText, requiredHash } from './text.js';
import { blocks } from './topics.js';
import { field, type MessageOf } from './wire-fields.js';

const WIRE = [
  field('hash', 'text', 'Hash'),
  field('height', 'uint32', 'Height'),
  field('dataHubUrl', 'text', 'DataHubUrl', { bus: 'DataHubURL' }),
  field('peerId', 'text', 'PeerId', { bus: 'PeerID' }),
  field('clientName', 'text', 'ClientName'),
  field('header', 'text', 'Header'),
  field('coinbase', 'text', 'Coinbase'),
];

export type Block = MessageOf<typeof WIRE>;

export const block: MessageKind<Block> = {
  id: 1,
  name: 'block',
  topicSetting: 'p2p_block_topic',
  sizeBound: 32 * 1024,
  wire: WIRE,
  priority: 6,
  atHome: true,
  repeats: true,
  decode(message, context) {
    const hash = requiredHash(message.hash, 'Hash');
    return {
      hash,
      height: message.height,
      dataHubUrl: requiredUrl(message.dataHubUrl, context),
      peerId: peerIdText(message.peerId, 'PeerId'),
      clientName: displayText(message.clientName),
      header: checkedHeader(message.header, hash, context),
      coinbase: '',
    };
  },
  originator: (message) => message.peerId,
  identity: (message) => ({ hash: message.hash, url: message.dataHubUrl }),
  // The header has been checked: its hash and its work.
  proven: (message) => message.header !== '',
  frame: (message) => ({
    type: 'block',
    hash: message.hash,
    base_url: message.dataHubUrl,
    peer_id: message.peerId,
    height: message.height,
    best_height: 0,
    client_name: message.clientName,
  }),
  record: (message, context) => announcedRecord(blocks, message, context.recordFormat),
  fact: (message) => ({
    type: 'block',
    peer: message.peerId,
    height: message.height,
    hash: message.hash,
    url: message.dataHubUrl,
    clientName: message.clientName,
    header: message.header,
  }),
};
