/** What the feed promises its readers, at a node and at gateways on a real Kafka, held against what was accepted while everything dies: Kafka too. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { topicsIn } from '../support/deaths/kafka.js';
import { readThroughDeaths, seedsToRead, type Topics } from '../support/feed-readers/run.js';
import { type Broker, startKafka } from '../support/kafka/index.js';

/** A broker that is killed where another would stand still. */
class MortalBroker {
  deaths = 0;
  readonly #broker: Broker;
  /** What is done with it now. */
  #busy = Promise.resolve();
  #failure: unknown;

  constructor(broker: Broker) {
    this.#broker = broker;
  }

  pause(): void {
    this.#then(async () => {
      if (this.#broker.pid === undefined) return;
      await this.#broker.kill();
      this.deaths++;
    });
  }

  resume(): void {
    this.#then(async () => {
      if (this.#broker.pid === undefined) await this.#broker.start();
    });
  }

  /** Rejects with what could not be done first. */
  async settled(): Promise<void> {
    await this.#busy;
    if (this.#failure !== undefined) throw this.#failure;
  }

  #then(act: () => Promise<void>): void {
    this.#busy = this.#busy.then(act).catch((error: unknown) => {
      this.#failure ??= error;
    });
  }
}

for (const seed of seedsToRead(1))
  test(`whatever dies when, Kafka too, each reader has all that it asked for, once, in order, or is told what is lost (${seed})`, async (context) => {
    const kafka = await startKafka(context, { own: true });
    const broker = new MortalBroker(kafka.broker(1));
    const notifications = kafka.topic('notifications');
    const topicUrl = kafka.url(notifications, { partitions: 1, retention: 86_400_000 });
    const topics = async (): Promise<Topics> => ({
      deaths: { ...topicsIn(kafka), looksOften: false, broker },
      notifications: { written: topicUrl, read: { topicUrl } },
      values: async () => {
        const lines = await kafka.consoleConsumer({ topic: notifications });
        assert.equal(lines.length, await kafka.count(notifications));
        return lines.map((line) => Buffer.from(line));
      },
    });
    await readThroughDeaths(context, seed, { gateways: true, topics }).finally(() => broker.settled());
    assert.ok(broker.deaths > 0, 'Kafka did not die');
  });
