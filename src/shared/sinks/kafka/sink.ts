/** Kafka as a sink: what a record of an entry is, on a cluster or on the embedded broker alike. */

import {
  decodeEntry,
  flagsOf,
  type JournalledEntry,
  OWN,
  RECORD,
  recordBytesOf,
  topicOf,
} from '../../journal/entry.js';
import type { Sink } from '../types.js';
import type { KafkaProducer, KafkaRecord } from './types.js';

/** Whether an entry is one of the records of the topic `id`: our own announcements are none. */
export function isRecordOf(id: number): (entry: Uint8Array) => boolean {
  return (entry) => topicOf(entry) === id && (flagsOf(entry) & (RECORD | OWN)) === RECORD;
}

/** What becomes of an entry in Kafka. */
export interface RecordForm {
  readonly recordOf: (entry: JournalledEntry) => KafkaRecord;
  /** Of its record, about. */
  readonly bytesOf: (entry: Uint8Array) => number;
}

/** The record that the entry carries. */
function announcedRecordOf({ bytes }: JournalledEntry): KafkaRecord {
  const { record } = decodeEntry(bytes);
  if (record === undefined) throw new RangeError('an entry without a record');
  const { key, value } = record;
  return key.length === 0 ? { value } : { key, value };
}

const ANNOUNCED: RecordForm = { recordOf: announcedRecordOf, bytesOf: recordBytesOf };
export class KafkaSink implements Sink {
  readonly name = 'kafka';
  readonly #producer: KafkaProducer;
  readonly #recordOf: RecordForm['recordOf'];
  readonly #bytesOf: RecordForm['bytesOf'];

  constructor(producer: KafkaProducer, { recordOf, bytesOf }: RecordForm = ANNOUNCED) {
    this.#producer = producer;
    this.#recordOf = recordOf;
    this.#bytesOf = bytesOf;
  }

  get resource(): string {
    return `kafka ${this.#producer.topic}`;
  }

  bytesOf(entry: Uint8Array): number {
    return this.#bytesOf(entry);
  }

  connect(signal?: AbortSignal): Promise<void> {
    return this.#producer.connect(signal);
  }

  send(entries: readonly JournalledEntry[]): Promise<void> {
    return this.#producer.send(entries.map((entry) => withHeaders(this.#recordOf(entry), entry)));
  }

  health(signal: AbortSignal) {
    return this.#producer.health(signal);
  }

  close(): Promise<void> {
    return this.#producer.disconnect();
  }
}

const withHeaders = (record: KafkaRecord, { headers }: JournalledEntry): KafkaRecord =>
  headers === undefined ? record : { ...record, headers };
