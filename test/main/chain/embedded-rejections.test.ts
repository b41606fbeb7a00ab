import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeRejection } from '../../../src/main/announce/rejected-transactions.js';
import { EmbeddedRejections } from '../../../src/main/chain/embedded-rejections.js';
import type { KafkaRecord } from '../../../src/shared/sinks/kafka/types.js';
import { keptLog } from '../../support/logger.js';
import { settingsOf } from '../../support/settings.js';
import { waitFor } from '../../support/wait.js';

for (const kafka_record_format of ['raw', 'protobuf-bytes', 'protobuf'] as const) {
  test(`made-up rejections are records of the ${kafka_record_format} format, through a failing broker too`, async () => {
    const sent: KafkaRecord[] = [];
    let failures = 1;
    let connected = false;
    const rejections = new EmbeddedRejections({
      settings: settingsOf({ kafka_record_format, p2p_embedded_rejected_tx_interval: 5 }),
      logger: keptLog().logger,
      producer: {
        connect: async () => {
          connected = true;
        },
        send: async (records) => {
          if (failures-- > 0) throw new Error('broker down');
          sent.push(...records);
        },
        disconnect: async () => {
          connected = false;
        },
      },
    });
    await rejections.start();
    await waitFor(() => sent.length >= 2, { what: 'two rejections' });
    await rejections.stop();
    assert.equal(connected, false);
    for (const { value } of sent) {
      const rejection = decodeRejection(value, kafka_record_format);
      assert.match(rejection!.reason, /^TX_/);
      assert.equal(rejection!.peerId, '');
    }
  });
}
