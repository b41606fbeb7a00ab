/**
 * Runs in the publisher's thread: tasks by `op`, of which several may be under way. The journal opens with the first task; while it
 * cannot, every task rejects with the reason, and the next tries again. It drains between tasks.
 */

import { workerData } from 'node:worker_threads';
import { steadyLibraries } from '../shared/clock.js';
import { answerTasks } from '../shared/ipc/task-answers.js';
import { createLogger } from '../shared/logging/logger.js';
import type { PublisherConfig, PublisherTask, PublisherTasks } from '../shared/pipeline/worker-config.js';
import { Publisher } from './publisher/publisher.js';

steadyLibraries();

const config = workerData as PublisherConfig;
const logger = createLogger({
  level: config.logLevel,
  node: config.settings.clientName,
  component: 'publisher',
});
let opened: Promise<Publisher> | undefined;

async function open(): Promise<Publisher> {
  const publisher = new Publisher({ logger }, config);
  await publisher.start();
  return publisher;
}

async function answer(task: PublisherTask): Promise<PublisherTasks[keyof PublisherTasks]['response']> {
  opened ??= open().catch((error: unknown) => {
    opened = undefined;
    throw error;
  });
  const publisher = await opened;
  switch (task.op) {
    case 'publish':
      return publisher.publish(task.batch, task);
    case 'announcers':
      return publisher.announcers(task.topic, task.hashes);
    case 'health':
      return publisher.health();
    case 'metrics':
      return publisher.metrics();
    case 'level':
      logger.level = task.level;
      return null;
    case 'outbox':
      return publisher.outbox();
    case 'deadLetters':
      return publisher.deadLetters(task.limit);
    case 'replayDeadLetters':
      return { replayed: await publisher.replayDeadLetters() };
    case 'acceptLoss':
      publisher.acceptLoss(task.topic);
      return null;
    case 'forget':
      publisher.forget(task.cursor);
      return null;
    case 'close':
      return { left: await publisher.close(task.deadline) };
  }
}

answerTasks(answer);
