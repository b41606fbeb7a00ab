/** kafkajs, loaded by the first who uses it: on the embedded broker alone a server and its publisher start without it. */

import { createRequire } from 'node:module';

type KafkaJs = typeof import('kafkajs');

const require = createRequire(import.meta.url);

export function kafkajs(): KafkaJs {
  return require('kafkajs') as KafkaJs;
}
