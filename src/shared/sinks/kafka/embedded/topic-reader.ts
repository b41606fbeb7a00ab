/** Reads a topic of the embedded broker. */

import {
  OffsetRangeError,
  type ReadOptions,
  type ReadRecords,
  type TopicBounds,
  type TopicReader,
} from '../topic-reader.js';
import { TopicFaultError } from '../types.js';
import type { BrokerPort } from './port.js';

export class EmbeddedTopicReader implements TopicReader {
  readonly topic: string;
  readonly place = 'embedded broker';
  readonly #broker: Pick<BrokerPort, 'topics' | 'read'>;
  readonly #close: () => Promise<void>;

  /** `close` ends what the reader alone uses, such as a connection. */
  constructor(
    broker: Pick<BrokerPort, 'topics' | 'read'>,
    topic: string,
    close: () => Promise<void> = async () => {},
  ) {
    this.topic = topic;
    this.#broker = broker;
    this.#close = close;
  }

  async bounds(): Promise<TopicBounds> {
    const found = (await this.#broker.topics()).find(({ topic }) => topic === this.topic);
    const [first] = found?.offsets ?? [];
    if (found === undefined || first === undefined)
      throw new TopicFaultError(`topic ${this.topic} does not exist`);
    return { partitions: found.offsets.length, ...first };
  }

  async offsetAt(ms: number): Promise<number> {
    // The broker stamps its records, so that their times never go back.
    let { oldest, next } = await this.bounds();
    while (oldest < next) {
      const middle = Math.floor((oldest + next) / 2);
      const [record] = (await this.read(middle, { maxBytes: 1, waitMs: 0 })).records;
      if (record === undefined || record.timestamp >= ms) next = middle;
      else oldest = middle + 1;
    }
    return next;
  }

  async read(offset: number, { maxBytes, waitMs }: ReadOptions): Promise<ReadRecords> {
    const { oldest, next } = await this.bounds();
    if (offset < oldest || offset > next)
      throw new OffsetRangeError(`topic ${this.topic} has ${oldest} to ${next}, not ${offset}`);
    const { topic } = this;
    const records = await this.#broker.read({ topic, partition: 0, offset, maxBytes, waitMs });
    const read = records.map(({ offset, timestamp, value }) => ({
      offset: Number(offset),
      timestamp,
      value,
    }));
    const after = (read.at(-1)?.offset ?? offset - 1) + 1;
    return { records: read, next: after, end: Math.max(next, after) };
  }

  close(): Promise<void> {
    return this.#close();
  }
}
