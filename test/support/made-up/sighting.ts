/** A kind that the server does not have: it goes the whole way, to a Kafka topic of its own. */

import { KafkaSubtreeTopicMessage } from '../../../src/shared/generated/kafkamessage.js';
import { shown } from '../../../src/shared/messages/frame-fields.js';
import type { AnnouncedTopic } from '../../../src/shared/messages/kafka-topic.js';
import type { MessageKind } from '../../../src/shared/messages/kind.js';
import { announcedRecord, announcedTopic } from '../../../src/shared/messages/record.js';
import { displayText, peerIdText, requiredHash } from '../../../src/shared/messages/text.js';
import { field, type MessageOf } from '../../../src/shared/messages/wire-fields.js';

const WIRE = [
  field('hash', 'text', 'Hash'),
  field('dataHubUrl', 'text', 'DataHubUrl', { bus: 'DataHubURL' }),
  field('peerId', 'text', 'PeerId', { bus: 'PeerID' }),
  field('place', 'text', 'Place'),
];

type Sighting = MessageOf<typeof WIRE>;

export const sightings: AnnouncedTopic<'kafka_sightingsConfig'> = announcedTopic({
  id: 200,
  name: 'sightings',
  setting: {
    key: 'kafka_sightingsConfig',
    default: 'memory://embedded/sightings?partitions=1',
    doc: 'Sightings topic.',
  },
  codec: KafkaSubtreeTopicMessage,
});

export const sighting: MessageKind<Sighting, 'p2p_sighting_topic'> = {
  id: 200,
  name: 'sighting',
  topic: { key: 'p2p_sighting_topic', default: 'sighting', doc: 'Topic of sightings.' },
  sizeBound: 1024,
  wire: WIRE,
  priority: 4,
  repeats: true,
  decode(message) {
    return {
      hash: requiredHash(message.hash, 'Hash'),
      dataHubUrl: message.dataHubUrl,
      peerId: peerIdText(message.peerId, 'PeerId'),
      place: displayText(message.place),
    };
  },
  originator: (message) => message.peerId,
  identity: (message) => ({ hash: message.hash, url: message.dataHubUrl }),
  shown: { colour: { terminal: 'magenta', page: 'red' }, text: 'place' },
  frame: {
    doc: 'A node has seen something.',
    fields: [
      shown('hash', 'hash', ({ hash }) => hash, 'Of what was seen.'),
      shown('peer_id', 'peer', ({ peerId }) => peerId, 'Who saw it.'),
      shown('place', 'name', ({ place }) => place, 'Where.', { example: 'here' }),
    ],
  },
  record: (message, context) => announcedRecord(sightings, message, context.recordFormat),
};
