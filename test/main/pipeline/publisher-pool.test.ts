import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { Registry } from 'prom-client';
import { createPipelineMetrics } from '../../../src/main/pipeline/metrics.js';
import { PublisherPool } from '../../../src/main/pipeline/publisher-pool.js';
import { encodeCheckedBatch } from '../../../src/shared/pipeline/checked-batch.js';
import { keptLog } from '../../support/logger.js';
import { announcement, publisherConfig } from '../../support/publisher.js';
import { temporaryDirectory } from '../../support/temporary.js';
import { waitFor } from '../../support/wait.js';

test('a publisher’s thread that cannot be ended gets no successor beside it: the process ends', async (context) => {
  const directory = temporaryDirectory(context);
  const pipe = join(directory, 'pipe');
  execFileSync('mkfifo', [pipe]);
  // As a disk that hangs: nobody ends a thread in the midst of a call to the system.
  const file = join(directory, 'publisher.mjs');
  writeFileSync(
    file,
    `import { openSync } from 'node:fs';
    import { answerTasks } from ${JSON.stringify(new URL('../../../src/shared/ipc/task-answers.js', import.meta.url).href)};
    answerTasks((task) => (task.op === 'publish' ? openSync(${JSON.stringify(pipe)}, 'r') : null));`,
  );
  const codes: number[] = [];
  const pool = new PublisherPool(
    { logger: keptLog().logger, metrics: createPipelineMetrics(new Registry()) },
    {
      config: publisherConfig(directory, ''),
      file: pathToFileURL(file),
      taskTimeoutMs: 200,
      endTimeoutMs: 200,
      exit: (code) => codes.push(code),
    },
  );
  await pool.start();
  const { instance } = pool;
  pool.publish(encodeCheckedBatch([announcement('a')])).catch(() => {});
  await waitFor(() => codes.length > 0, { what: 'the end of the process' });
  assert.deepEqual(codes, [1]);
  assert.equal(pool.instance, instance, 'no other took its place');
  // The call comes back.
  closeSync(openSync(pipe, 'r+'));
  await pool.stop();
});
