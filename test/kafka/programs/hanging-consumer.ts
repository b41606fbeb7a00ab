/** Reads a topic, writes a line for each record, and never ends its first batch: made to be killed in the midst of its work. */

import { createConsumer } from '../../../src/shared/sinks/kafka/index.js';
import { keptLog } from '../../support/logger.js';
import { settingsOf } from '../../support/settings.js';

const [url = '', group = ''] = process.argv.slice(2);
const settings = settingsOf({ kafka_rejectedTxConfig: url });
const consumer = createConsumer(settings, 'kafka_rejectedTxConfig', {
  logger: keptLog().logger,
  brokerSocketPath: undefined,
  group,
});
await consumer.start(async (records) => {
  process.stdout.write(records.map(({ value }) => `${Buffer.from(value).toString()}\n`).join(''));
  await new Promise(() => {});
});
