/** The publisher in a thread of its own, and checked messages for it. */

import { createHash, randomInt } from 'node:crypto';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { monotonic } from '../../src/shared/clock.js';
import { FrameStreamClient } from '../../src/shared/feed/stream-client.js';
import { TaskThread } from '../../src/shared/ipc/task-thread.js';
import { frameOf } from '../../src/shared/journal/entry.js';
import { type OutcomeName, outcomeAt, outcomeIndex } from '../../src/shared/messages/outcomes.js';
import { blocks, subtrees } from '../../src/shared/messages/topics.js';
import { encodeCheckedBatch } from '../../src/shared/pipeline/checked-batch.js';
import type { AuthorStanding } from '../../src/shared/pipeline/standing.js';
import type { CheckedMessage, PublishedBatch } from '../../src/shared/pipeline/types.js';
import type {
  PublisherConfig,
  PublisherTask,
  PublisherTasks,
} from '../../src/shared/pipeline/worker-config.js';
import { asPeer } from './branded.js';
import { kindNamed } from './kinds.js';
import { keptLog } from './logger.js';
import { type SettingChanges, settingsOf } from './settings.js';
import { temporaryDirectory } from './temporary.js';

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

export interface AnnouncementOptions {
  readonly topic?: 'blocks' | 'subtrees';
  readonly author?: string;
  /** A stranger's unless told. */
  readonly standing?: AuthorStanding;
  /** Carries a header; no unless told. */
  readonly proven?: boolean;
  readonly own?: boolean;
  /** Bytes of padding in the record. */
  readonly padding?: number;
  readonly receivedAt?: number;
}

/** A checked announcement of the block or subtree called `name`, whose record's value begins with that name. */
export function announcement(name: string, options: AnnouncementOptions = {}): CheckedMessage {
  const { topic = 'blocks', author = 'peer', own = false, padding = 0, receivedAt = Date.now() } = options;
  const { standing = 'stranger', proven = false } = options;
  const kind = topic === 'blocks' ? 'block' : 'subtree';
  const hash = digest(name);
  const fact = {
    type: 'block',
    peer: author,
    height: 1,
    hash: name,
    dataHubUrl: '',
    clientName: '',
    header: '',
  };
  return {
    outcome: outcomeIndex('ok'),
    kind: kindNamed(kind).id,
    own,
    author,
    standing,
    proven,
    receivedAt,
    repeatKey: digest(`${kind} ${author} ${name}`).toString('latin1', 0, 16),
    hashKey: digest(`${kind} ${name}`).toString('latin1', 0, 16),
    frame: Buffer.from(JSON.stringify({ type: kind, hash: name, peer_id: author })),
    record: {
      topic: (topic === 'blocks' ? blocks : subtrees).id,
      hash,
      key: Buffer.from(Buffer.from(hash).reverse().toString('hex')),
      value: Buffer.from(name + ' '.repeat(padding)),
      dataHubUrl: 'http://datahub.example',
    },
    fact: JSON.stringify(fact),
  };
}

export class PublisherUnderTest {
  readonly #thread: TaskThread;
  /** Of the next batch. */
  #id = randomInt(2 ** 47);

  constructor(readonly config: PublisherConfig) {
    this.#thread = new TaskThread(
      {
        name: 'publisher',
        file: new URL('../../src/workers/publisher.js', import.meta.url),
        workerData: config,
        maxOldSpaceMb: 512,
        onDeath: () => {},
      },
      keptLog().logger,
    );
  }

  run<K extends keyof PublisherTasks>(
    op: K,
    request: PublisherTasks[K]['request'],
  ): Promise<PublisherTasks[K]['response']> {
    return this.#thread.run({ op, ...request } as PublisherTask) as Promise<PublisherTasks[K]['response']>;
  }

  publish(messages: readonly CheckedMessage[], retry = false, id = this.#id++): Promise<PublishedBatch> {
    return this.run('publish', { batch: encodeCheckedBatch(messages), id, retry });
  }

  /** The names of the outcomes. */
  async outcomes(messages: readonly CheckedMessage[], retry = false, id?: number): Promise<OutcomeName[]> {
    const { outcomes } = await this.publish(messages, retry, id);
    return [...outcomes].map((index) => outcomeAt(index).name);
  }

  async metric(name: string, labels: Record<string, string> = {}): Promise<number> {
    const metrics = (await this.run('metrics', {})) as {
      name: string;
      values: { value: number; labels: Record<string, string> }[];
    }[];
    const values = metrics.find((metric) => metric.name === name)?.values ?? [];
    const matching = values.filter((value) =>
      Object.entries(labels).every(([key, wanted]) => value.labels[key] === wanted),
    );
    return matching.reduce((sum, { value }) => sum + value, 0);
  }

  async waiting(): Promise<number> {
    return (await this.run('outbox', {})).reduce((sum, { waiting }) => sum + waiting, 0);
  }

  /** Ends it as a stopping server does. */
  async close(patienceMs = 5000): Promise<number> {
    const { left } = await this.run('close', { deadline: monotonic() + patienceMs });
    await this.kill();
    return left;
  }

  /** Ends its thread in the middle of whatever it does. */
  async kill(): Promise<void> {
    await this.#thread.destroy();
  }
}

/** Where a publisher lives. */
export function publisherConfig(
  directory: string,
  brokerSocketPath: string,
  changes: SettingChanges = {},
): PublisherConfig {
  return {
    settings: settingsOf({ p2p_max_announcers_per_hash: 0, ...changes }),
    journalPath: join(directory, 'journal'),
    frameSocketPath: join(directory, 'frames.sock'),
    brokerSocketPath,
    peerId: asPeer('self'),
    logLevel: 'silent',
  };
}

export function startPublisher(
  context: Pick<TestContext, 'after'>,
  brokerSocketPath: string,
  changes: SettingChanges = {},
  directory = temporaryDirectory(context),
): PublisherUnderTest {
  const publisher = new PublisherUnderTest(publisherConfig(directory, brokerSocketPath, changes));
  context.after(() => publisher.kill());
  return publisher;
}

/** Follows the frames of the publisher whose socket is at `socketPath`, over its deaths. */
export function followFrames(
  context: Pick<TestContext, 'after'>,
  socketPath: string,
): {
  readonly seqs: number[];
  readonly texts: string[];
  readonly gaps: () => number;
  /** Whether it reads now: what is published from then on is followed. */
  readonly connected: () => boolean;
} {
  const seqs: number[] = [];
  const texts: string[] = [];
  let gaps = 0;
  const client = new FrameStreamClient(
    {
      logger: keptLog().logger,
      handlers: {
        frames: (entries) => {
          for (const { seq, bytes } of entries) {
            seqs.push(seq);
            texts.push(Buffer.from(frameOf(bytes)).toString());
          }
        },
        gap: () => gaps++,
        ownStatus: () => {},
      },
    },
    { socketPath },
  );
  client.start();
  context.after(() => client.stop());
  return { seqs, texts, gaps: () => gaps, connected: () => client.connected };
}
