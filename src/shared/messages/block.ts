/** A block that a node has, and where to fetch it. */

import { KafkaBlockTopicMessage } from '../generated/kafkamessage.js';
import type { PeerIdText } from '../net/peer-id.js';
import { type DataHubUrl, requiredUrl } from './data-hub-url.js';
import { NO_BEST_HEIGHT, shown } from './frame-fields.js';
import { checkedHeader } from './header.js';
import type { AnnouncedTopic } from './kafka-topic.js';
import type { MessageKind } from './kind.js';
import { announcedRecord, announcedTopic } from './record.js';
import { displayText, peerIdText, requiredHash } from './text.js';
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

export const blocks: AnnouncedTopic<'kafka_blocksConfig'> = announcedTopic({
  id: 1,
  name: 'blocks',
  setting: {
    key: 'kafka_blocksConfig',
    default: 'memory://embedded/blocks?partitions=1',
    doc: 'Blocks topic.',
  },
  codec: KafkaBlockTopicMessage,
});

export const block: MessageKind<Block, 'p2p_block_topic'> = {
  id: 1,
  name: 'block',
  topic: { key: 'p2p_block_topic', default: 'block', doc: 'Topic of blocks.', required: 'first' },
  sizeBound: 32 * 1024,
  wire: WIRE,
  priority: 6,
  atHome: true,
  repeats: true,
  published: 'news',
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
  header: (message) => message.header,
  shown: { colour: { terminal: 'green', page: 'teal' } },
  frame: {
    doc: 'A node announces a block that it has.',
    fields: [
      shown('hash', 'hash', ({ hash }) => hash, 'Of the block.', { always: true }),
      shown('base_url', 'url', ({ dataHubUrl }) => dataHubUrl, 'Data hub to fetch it from.'),
      shown('peer_id', 'peer', ({ peerId }) => peerId, 'Who announced it.', { always: true }),
      shown('height', 'uint32', ({ height }) => height, 'As the announcement has it; unchecked.'),
      NO_BEST_HEIGHT,
      // The first generation's frames know it in node_status alone.
      shown('client_name', 'name', ({ clientName }) => clientName, 'What the node calls itself.', {
        currentOnly: true,
      }),
    ],
  },
  record: (message, context) => announcedRecord(blocks, message, context.recordFormat),
  fact: (message) => ({
    type: 'block',
    peer: message.peerId as PeerIdText,
    height: message.height,
    hash: message.hash,
    dataHubUrl: message.dataHubUrl as DataHubUrl | '',
    clientName: message.clientName,
    header: message.header,
  }),
};
