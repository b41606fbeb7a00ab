/**
 * The table of kinds with two more: `sighting`, which goes the whole way, to a Kafka topic of its own, and `trap`, which kills whoever opens it. Their
 * topics' settings are made up too, see `MADE_UP_TOPICS`.
 */

import { MESSAGE_KINDS as TABLE } from '../../src/shared/messages/index.js';
import type { MessageKind } from '../../src/shared/messages/kind.js';
import { announcedRecord } from '../../src/shared/messages/record.js';
import { requiredHash } from '../../src/shared/messages/text.js';
import { type KafkaTopic, subtrees, KAFKA_TOPICS as TOPICS } from '../../src/shared/messages/topics.js';
import { field, type MessageOf } from '../../src/shared/messages/wire-fields.js';
import type { SettingKey, Settings } from '../../src/shared/settings/table.js';
import type { KafkaSettingKey } from '../../src/shared/sinks/kafka/index.js';

/** What the settings of a server with these kinds hold besides the table's. */
export const MADE_UP_TOPICS = {
  p2p_sighting_topic: 'sighting',
  p2p_trap_topic: 'trap',
  kafka_sightingsConfig: 'memory://embedded/sightings?partitions=1',
} as Partial<Settings>;

const WIRE = [
  field('hash', 'text', 'Hash'),
  field('dataHubUrl', 'text', 'DataHubUrl', { bus: 'DataHubURL' }),
  field('peerId', 'text', 'PeerId', { bus: 'PeerID' }),
];

type Sighting = MessageOf<typeof WIRE>;

export const sightings: KafkaTopic = {
  id: 200,
  name: 'sightings',
  setting: 'kafka_sightingsConfig' as KafkaSettingKey,
  codec: subtrees.codec,
};

export const KAFKA_TOPICS: readonly KafkaTopic[] = [...TOPICS, sightings];

export const sighting: MessageKind<Sighting> = {
  id: 200,
  name: 'sighting',
  topicSetting: 'p2p_sighting_topic' as SettingKey,
  sizeBound: 1024,
  wire: WIRE,
  priority: 4,
  repeats: true,
  decode(message) {
    return { ...message, hash: requiredHash(message.hash, 'Hash') };
  },
  originator: (message) => message.peerId,
  identity: (message) => ({ hash: message.hash, url: message.dataHubUrl }),
  frame: (message) => ({ type: 'sighting', hash: message.hash, peer_id: message.peerId }),
  record: (message, context) => announcedRecord(sightings, message, context.recordFormat),
};

/** What its text says happens to the thread: `exit`, `hang`, `memory`, `busy` for 5 ms; anything else is fine. */
export const trap: MessageKind<{ readonly spring: string }> = {
  id: 201,
  name: 'trap',
  topicSetting: 'p2p_trap_topic' as SettingKey,
  sizeBound: 1024,
  wire: [field('spring', 'text', 'spring')],
  priority: 1,
  repeats: false,
  decode(message) {
    const { spring } = message;
    if (spring === 'exit') process.exit(1);
    if (spring === 'hang') for (;;);
    const busyUntil = performance.now() + 5;
    while (spring === 'busy' && performance.now() < busyUntil);
    if (spring === 'memory') {
      const kept: number[][] = [];
      for (;;) kept.push(new Array(100_000).fill(kept.length));
    }
    return message;
  },
  originator: () => '',
  identity: () => ({ hash: '', url: '' }),
};

export const MESSAGE_KINDS: readonly MessageKind[] = [...TABLE, sighting, trap];
