/**
 * A publisher worker that keeps a journal of what it is given in the file `journalPath`, one JSON line a batch. Where a file
 * `<journalPath>.die` exists when a batch comes, it is removed and the thread ends before the answer; with `<journalPath>.broken`
 * the thread does not start at all.
 */

import { appendFileSync, existsSync, rmSync } from 'node:fs';
import { workerData } from 'node:worker_threads';
import { answerTasks } from '../../src/shared/ipc/task-answers.js';
import { outcomeAt } from '../../src/shared/messages/outcomes.js';
import { decodeCheckedBatch } from '../../src/shared/pipeline/checked-batch.js';
import type { PublishedBatch } from '../../src/shared/pipeline/types.js';
import type { PublisherConfig, PublisherTask } from '../../src/shared/pipeline/worker-config.js';

export interface JournalMessage {
  readonly author: string;
  readonly kind: number;
  readonly own: boolean;
  readonly standing: string;
  readonly proven: boolean;
  readonly outcome: string;
  readonly frame: string;
  readonly record: string;
}

export interface JournalBatch {
  readonly retry: boolean;
  readonly messages: readonly JournalMessage[];
}

const config = workerData as PublisherConfig;
if (existsSync(`${config.journalPath}.broken`)) throw new Error('broken at birth');

function publish(batch: ArrayBuffer, retry: boolean): PublishedBatch {
  const checked = decodeCheckedBatch(batch);
  const messages = checked.map(({ author, kind, own, standing, proven, outcome, frame, record }) => ({
    author,
    kind,
    own,
    standing,
    proven,
    outcome: outcomeAt(outcome).name,
    frame: Buffer.from(frame).toString(),
    record: Buffer.from(record?.value ?? []).toString('hex'),
  }));
  appendFileSync(config.journalPath, `${JSON.stringify({ retry, messages })}\n`);
  if (existsSync(`${config.journalPath}.die`)) {
    rmSync(`${config.journalPath}.die`);
    process.exit(1);
  }
  return {
    outcomes: Uint8Array.from(checked, ({ outcome }) => outcome),
    outboxDepth: 0,
  };
}

answerTasks((task: PublisherTask) => (task.op === 'publish' ? publish(task.batch, task.retry) : null));
