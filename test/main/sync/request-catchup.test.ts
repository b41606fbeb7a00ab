import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { requestCatchup } from '../../../src/main/sync/request-catchup.js';
import { KafkaBlockTopicMessage } from '../../../src/shared/generated/kafkamessage.js';
import type { Settings } from '../../../src/shared/settings/table.js';
import { asHub } from '../../support/branded.js';
import { recordsIn, serveBroker } from '../../support/embedded-broker.js';
import { hashOf } from '../../support/gossip.js';
import { startPublisher } from '../../support/publisher.js';
import { OTHER_PEER } from '../../support/sample-messages.js';
import { temporaryDirectory } from '../../support/temporary.js';
import { waitFor } from '../../support/wait.js';

const candidate = (n: number) => ({
  id: OTHER_PEER,
  height: 200,
  hash: hashOf(n),
  dataHubUrl: asHub('https://hub.example.org/api/v1'),
  full: true,
  banScore: 0,
  reputation: 50,
});

let nextId = 1;

const sent = (
  publisher: ReturnType<typeof startPublisher>,
  kafka_record_format: Settings['kafka_record_format'] = 'protobuf',
) => ({
  settings: { kafka_record_format },
  publisher: {
    publish: (batch: ArrayBuffer) => publisher.run('publish', { batch, id: nextId++, retry: false }),
  },
});

test('a trigger is a record of the blocks topic in the format of the settings, each time, and no frame', async (context) => {
  const broker = await serveBroker(context);
  const publisher = startPublisher(context, broker.socketPath, { p2p_max_announcers_per_hash: 1 });
  assert.equal(await requestCatchup(sent(publisher), candidate(1)), true);
  assert.equal(await requestCatchup(sent(publisher), candidate(1)), true, 'no repeat');
  assert.equal(await requestCatchup(sent(publisher, 'raw'), candidate(2)), true);
  const records = await waitFor(async () => {
    const found = await recordsIn(broker.broker, 'blocks');
    return found.length === 3 ? found : undefined;
  });
  for (const { key, value } of records.slice(0, 2)) {
    assert.equal(Buffer.from(key ?? []).toString(), hashOf(1));
    assert.deepEqual(KafkaBlockTopicMessage.decode(value), {
      hash: hashOf(1),
      URL: candidate(1).dataHubUrl,
      peer_id: OTHER_PEER,
    });
  }
  const raw = Buffer.concat([Buffer.from(hashOf(2), 'hex').reverse(), Buffer.from(candidate(2).dataHubUrl)]);
  assert.deepEqual(Buffer.from(records[2]?.value ?? []), raw);
  assert.equal(await publisher.metric('teranode_p2p_publisher_frames_total'), 0);
});

test('a full outbox refuses it, and while the broker is away it waits there', async (context) => {
  const socketPath = join(temporaryDirectory(context), 'broker.sock');
  const publisher = startPublisher(context, socketPath, { p2p_outbox_max: 1 });
  assert.equal(await requestCatchup(sent(publisher), candidate(1)), true);
  assert.equal(await requestCatchup(sent(publisher), candidate(2)), false);
  const broker = await serveBroker(context, {}, socketPath);
  await waitFor(async () => (await recordsIn(broker.broker, 'blocks')).length === 1, {
    what: 'the one that waited',
  });
});
