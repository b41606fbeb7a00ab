/**
 * Runs in each checker thread, as a Piscina task: verifies and checks every message of a batch, answers the checked batch,
 * transferred. Remembers nothing between batches. What it throws, or dies of, main retries message by message.
 */

import { workerData } from 'node:worker_threads';
import { move } from 'piscina';
import { steadyLibraries } from '../shared/clock.js';
import { MESSAGE_KINDS } from '../shared/messages/index.js';
import { encodeCheckedBatch } from '../shared/pipeline/checked-batch.js';
import { Judge } from '../shared/pipeline/judge.js';
import { decodeRawBatch } from '../shared/pipeline/raw-batch.js';
import type { CheckerConfig, CheckTask } from '../shared/pipeline/worker-config.js';

steadyLibraries();

const config = workerData as CheckerConfig;
const judge = new Judge(config.settings, MESSAGE_KINDS);

export default function check({ batch, tipBits }: CheckTask): unknown {
  judge.tipBits = tipBits;
  const micros: number[] = [];
  const checked = decodeRawBatch(batch).map((message) => {
    const began = performance.now();
    const result = judge.judge(message);
    micros.push((performance.now() - began) * 1000);
    return result;
  });
  return move(encodeCheckedBatch(checked, micros));
}
