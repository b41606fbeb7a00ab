/** A subtree of transactions that a node has, and where to fetch it. */

import { KafkaSubtreeTopicMessage } from '../generated/kafkamessage.js';
import { requiredUrl } from './data-hub-url.js';
import { NO_BEST_HEIGHT, shown } from './frame-fields.js';
import type { AnnouncedTopic } from './kafka-topic.js';
import type { MessageKind } from './kind.js';
import { announcedRecord, announcedTopic } from './record.js';
import { displayText, peerIdText, requiredHash } from './text.js';
import { field, type MessageOf } from './wire-fields.js';

const WIRE = [
  field('hash', 'text', 'Hash'),
  field('dataHubUrl', 'text', 'DataHubUrl', { bus: 'DataHubURL' }),
  field('peerId', 'text', 'PeerId', { bus: 'PeerID' }),
  field('clientName', 'text', 'ClientName'),
];

export type Subtree = MessageOf<typeof WIRE>;

export const subtrees: AnnouncedTopic<'kafka_subtreesConfig'> = announcedTopic({
  id: 2,
  name: 'subtrees',
  setting: {
    key: 'kafka_subtreesConfig',
    default: 'memory://embedded/subtrees?partitions=1',
    doc: 'Subtrees topic.',
  },
  codec: KafkaSubtreeTopicMessage,
});

export const subtree: MessageKind<Subtree, 'p2p_subtree_topic'> = {
  id: 2,
  name: 'subtree',
  topic: { key: 'p2p_subtree_topic', default: 'subtree', doc: 'Topic of subtrees.', required: 'first' },
  sizeBound: 32 * 1024,
  forwardBound: 8 * 1024,
  wire: WIRE,
  priority: 5,
  atHome: true,
  repeats: true,
  published: 'news',
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
  shown: { colour: { terminal: 'cyan', page: 'blue' } },
  frame: {
    doc: 'A node announces a subtree of transactions that it has.',
    fields: [
      shown('hash', 'hash', ({ hash }) => hash, 'Of the subtree.', { always: true }),
      shown('base_url', 'url', ({ dataHubUrl }) => dataHubUrl, 'Data hub to fetch it from.'),
      shown('peer_id', 'peer', ({ peerId }) => peerId, 'Who announced it.', { always: true }),
      NO_BEST_HEIGHT,
      // The first generation's frames know it in node_status alone.
      shown('client_name', 'name', ({ clientName }) => clientName, 'What the node calls itself.', {
        currentOnly: true,
      }),
    ],
  },
  record: (message, context) => announcedRecord(subtrees, message, context.recordFormat),
};
