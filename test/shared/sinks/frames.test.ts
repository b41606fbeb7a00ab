/** The notifications topic: frames of the journal in Kafka. */

import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { hasFrame } from '../../../src/shared/journal/entry.js';
import { segmentName } from '../../../src/shared/journal/layout.js';
import { parseKafkaUrl } from '../../../src/shared/settings/values/kafka-topic.js';
import { Drainer } from '../../../src/shared/sinks/drainer.js';
import { EmbeddedProducer } from '../../../src/shared/sinks/kafka/embedded/producer.js';
import { frameForm } from '../../../src/shared/sinks/kafka/frame-record.js';
import { KafkaSink } from '../../../src/shared/sinks/kafka/sink.js';
import {
  BrokerFaultError,
  type KafkaProducer,
  RecordFaultError,
  TopicFaultError,
} from '../../../src/shared/sinks/kafka/types.js';
import { NO_METERS } from '../../../src/shared/sinks/metrics.js';
import { recordsIn, startBroker } from '../../support/embedded-broker.js';
import { keptLog } from '../../support/logger.js';
import { frameEntry, type OpenJournal, openJournal, recordEntry } from '../../support/open-journal.js';
import { waitFor } from '../../support/wait.js';

/** A drainer of frames before `producer`, from the journal's position `from` on. */
function drainFrames(
  context: TestContext,
  producer: KafkaProducer,
  given: { opened?: OpenJournal; from?: number; waiting?: number } = {},
) {
  const { opened = openJournal(context), waiting = 0 } = given;
  const { logger, lines } = keptLog();
  const cursor = {
    position: given.from ?? opened.journal.end,
    move(to: number) {
      this.position = to;
    },
  };
  let lost = 0;
  const drainer = new Drainer(
    {
      sink: new KafkaSink(producer, frameForm(opened.journal.epoch)),
      source: opened.source,
      cursor,
      logger,
      meters: NO_METERS,
      refused: () => lost++,
    },
    {
      topic: 'notifications',
      takes: hasFrame,
      what: 'frames',
      lost: (positions) => {
        lost += positions;
      },
    },
  );
  drainer.start(waiting);
  context.after(() => drainer.stop(0));
  const append = (...entries: readonly Uint8Array[]): void => {
    for (const entry of opened.append(...entries)) if (hasFrame(entry.bytes)) drainer.add(entry);
  };
  return { drainer, opened, cursor, lines, append, lost: () => lost };
}

test('a frame’s record is its JSON and then epoch, number, time of receipt, author and flags; all of an epoch’s are in one partition', async (context) => {
  const broker = await startBroker(context);
  const url = parseKafkaUrl('kafka_notificationsConfig', 'memory://embedded/notifications?partitions=3');
  const opened = openJournal(context);
  opened.append(frameEntry({ name: 'before' }));
  const { append, drainer } = drainFrames(context, new EmbeddedProducer(broker, url), { opened });
  append(frameEntry({ name: 'a' }), recordEntry('no frame'), frameEntry({}));
  append(frameEntry({ name: 'b' }));
  await waitFor(() => drainer.waiting === 0, { what: 'the frames' });
  const all = await Promise.all([0, 1, 2].map((partition) => recordsIn(broker, 'notifications', partition)));
  assert.equal(all.filter((records) => records.length > 0).length, 1);
  const { epoch } = opened.journal;
  assert.deepEqual(
    all.flat().map(({ key, value }) => [Buffer.from(key ?? []).toString(), Buffer.from(value).toString()]),
    [
      [epoch, `{"name":"a","epoch":"${epoch}","seq":1,"received_at":5,"author":"peer","flags":0}`],
      [epoch, `{"epoch":"${epoch}","seq":2,"received_at":5,"author":"peer","flags":0}`],
      [epoch, `{"name":"b","epoch":"${epoch}","seq":3,"received_at":5,"author":"peer","flags":0}`],
    ],
  );
});

/** A broker that answers each request, given as its frames' numbers, as `answer` says. */
const answering = (answer: (seqs: readonly number[]) => void): KafkaProducer => ({
  topic: 'notifications',
  connect: async () => {},
  send: async (records) =>
    answer(records.map(({ value }) => JSON.parse(Buffer.from(value).toString()).seq as number)),
  health: async () => ({ resource: 'kafka notifications', status: 200, message: '' }),
  disconnect: async () => {},
});
const five = Array.from({ length: 5 }, (_, n) => frameEntry({ n }));

test('frames that went out one by one do not come again when the broker fails among them', async (context) => {
  const taken: number[] = [];
  let down = true;
  const producer = answering((seqs) => {
    if (seqs.includes(1)) throw new RecordFaultError('too large');
    if (down && seqs.includes(3)) {
      down = false;
      throw new BrokerFaultError('no answer');
    }
    taken.push(...seqs);
  });
  const { append, cursor, lost } = drainFrames(context, producer);
  append(...five);
  await waitFor(() => cursor.position === 5, { what: 'all frames' });
  assert.deepEqual(taken, [0, 2, 3, 4]);
  assert.equal(lost(), 1);
});

test('a topic that takes nothing is told in readiness and once in the log, until it takes again', async (context) => {
  let refusals = 0;
  let refuses = true;
  const producer = answering(() => {
    if (!refuses) return;
    refusals++;
    throw new TopicFaultError('may not write');
  });
  const { drainer, append, cursor, lines } = drainFrames(context, producer);
  const health = () => drainer.health(AbortSignal.timeout(1000));
  assert.equal((await health()).status, 200);
  append(...five);
  await waitFor(() => refusals >= 3, { what: 'a third try' });
  const told = await health();
  assert.deepEqual([told.status, told.error], [503, 'may not write']);
  assert.equal(lines.filter(({ msg }) => /its frames wait in the outbox/.test(String(msg))).length, 1);
  refuses = false;
  await waitFor(() => cursor.position === 5, { what: 'the frames' });
  await waitFor(async () => (await health()).status === 200, { what: 'readiness' });
});

test('frames that the journal has no more are passed over and counted, and the rest follows in order', async (context) => {
  const opened = openJournal(context, undefined, { segmentBytes: 65_536 });
  const numbers = Array.from({ length: 200 }, (_, n) => n);
  for (const n of numbers) opened.append(frameEntry({ n, padding: 'x'.repeat(1000) }));
  rmSync(join(opened.directory, segmentName(0)));
  const taken: number[] = [];
  const producer = answering((seqs) => void taken.push(...seqs));
  const { drainer, lost } = drainFrames(context, producer, { opened, from: 0, waiting: numbers.length });
  await waitFor(() => drainer.waiting === 0, { what: 'the frames that are left' });
  assert.ok(lost() > 0 && lost() < numbers.length, `${lost()} lost`);
  assert.deepEqual(taken, numbers.slice(lost()));
});
