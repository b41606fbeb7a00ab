import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { Worker } from 'node:worker_threads';
import { Registry } from 'prom-client';
import { CheckerPool } from '../../src/main/pipeline/checker-pool.js';
import { createPipelineMetrics } from '../../src/main/pipeline/metrics.js';
import { outcomeAt } from '../../src/shared/messages/outcomes.js';
import { decodeCheckedMessage, outcomeOf } from '../../src/shared/pipeline/checked-batch.js';
import type { RawMessage } from '../../src/shared/pipeline/types.js';
import { keptLog } from '../support/logger.js';
import { trap as trapKind } from '../support/made-up/trap.js';
import { AUTHOR, heard, sampleData } from '../support/sample-messages.js';
import { settingsOf } from '../support/settings.js';
import { SharedByTests, temporaryDirectory } from '../support/temporary.js';
import { checkerOf, TRAP as TRAP_FILE, treeWith } from '../support/tree-with.js';
import { waitFor } from '../support/wait.js';

const shared = new SharedByTests();
/** The program with the trap in its table. */
let checkers: URL;
before(() => {
  checkers = checkerOf(treeWith(shared, TRAP_FILE));
});
after(() => shared.clean());
const TRAP = trapKind.id;

async function poolOf(
  context: TestContext,
  options: { threads?: number; taskTimeoutMs?: number; birthTimeoutMs?: number; file?: URL } = {},
) {
  const registry = new Registry();
  const metrics = createPipelineMetrics(registry);
  const pool = new CheckerPool(
    { logger: keptLog().logger, metrics },
    { config: { settings: settingsOf() }, threads: 2, file: checkers, ...options },
  );
  context.after(() => pool.stop());
  const deaths = async () => (await metrics.workerDeaths.get()).values[0]?.value ?? 0;
  return { pool, deaths };
}

function trap(spring: string): RawMessage {
  return heard('', `{"spring":"${spring}"}`, { kind: TRAP });
}

function outcomes(messages: readonly Buffer[]): string[] {
  return messages.map((message) => outcomeAt(outcomeOf(message)).name);
}

const GOOD = heard('subtree', sampleData('subtree'));

describe('the checker threads', () => {
  it('check a batch and answer it in its order', async (context) => {
    const { pool } = await poolOf(context);
    await pool.start();
    const batch = await pool.check([GOOD, heard('subtree', '{}'), heard('block', sampleData('block'))], 0);
    assert.deepEqual(outcomes(batch), ['ok', 'unknown_framing', 'ok']);
    assert.equal(pool.threads, 2);
  });

  it('take our tip’s target from the batch', async (context) => {
    const { pool } = await poolOf(context);
    await pool.start();
    assert.deepEqual(outcomes(await pool.check([heard('block', sampleData('block'))], 0x1800ffff)), [
      'bad_header',
    ]);
  });

  it('lose only the message that kills alone, and are replaced', async (context) => {
    const { pool, deaths } = await poolOf(context);
    await pool.start();
    const batches = await Promise.all([
      pool.check([GOOD, trap('exit'), GOOD, trap('fine')], 0),
      pool.check([GOOD, GOOD], 0),
      pool.check([trap('exit')], 0),
    ]);
    assert.deepEqual(batches.map(outcomes), [['ok', 'poisonous', 'ok', 'ok'], ['ok', 'ok'], ['poisonous']]);
    const poisonous = decodeCheckedMessage(batches[2]![0]!);
    assert.equal(poisonous.author, AUTHOR);
    await waitFor(() => pool.threads === 2, { what: 'two threads again' });
    assert.ok((await deaths()) >= 4);
    assert.equal(pool.failed, undefined);
  });

  it('end a thread that hangs', async (context) => {
    const { pool } = await poolOf(context, { threads: 1, taskTimeoutMs: 5_000 });
    await pool.start();
    assert.deepEqual(outcomes(await pool.check([trap('hang'), GOOD], 0)), ['poisonous', 'ok']);
  });

  it('survive a message that eats the memory of its thread', async (context) => {
    const { pool } = await poolOf(context, { threads: 1 });
    await pool.start();
    assert.deepEqual(outcomes(await pool.check([trap('memory'), GOOD], 0)), ['poisonous', 'ok']);
  });

  /** A checker whose thread does `first` before it is one. */
  function slowChecker(context: TestContext, first: string): URL {
    const path = join(temporaryDirectory(context), 'slow.mjs');
    writeFileSync(path, `${first}\nexport { default } from ${JSON.stringify(checkers.href)};\n`);
    return pathToFileURL(path);
  }

  it('start, and answer, on a machine so busy that a thread loads for longer than a batch may take', async (context) => {
    const file = slowChecker(context, 'await new Promise((done) => setTimeout(done, 6_500));');
    const { pool, deaths } = await poolOf(context, { file, threads: 1, taskTimeoutMs: 5_000 });
    await pool.start();
    assert.deepEqual(outcomes(await pool.check([GOOD], 0)), ['ok']);
    // Nor does it cost a message when a thread has to be loaded anew.
    assert.deepEqual(outcomes(await pool.check([trap('exit'), GOOD], 0)), ['poisonous', 'ok']);
    assert.ok((await deaths()) <= 2, 'no thread is ended while it loads');
  });

  it('say what was given up and why, when no thread loads or answers', async (context) => {
    const file = slowChecker(context, 'setInterval(() => {}, 1_000);\nawait new Promise(() => {});');
    const { pool } = await poolOf(context, { file, threads: 1, taskTimeoutMs: 500, birthTimeoutMs: 1_000 });
    await assert.rejects(pool.start(), /checkers were given up: no thread loaded within 1 s/);
  });

  it('are all gone when stopped, one included that was given up and ends late, and none begins after', async (context) => {
    const threads: Worker[] = [];
    const seen = (thread: Worker) => threads.push(thread);
    process.on('worker', seen);
    context.after(async () => {
      process.off('worker', seen);
      await Promise.all(threads.map((thread) => thread.terminate()));
    });
    // A thread that waits for another program is not ended before that is.
    const waiting = `import { spawnSync } from 'node:child_process';
spawnSync(process.execPath, ['-e', 'setTimeout(() => {}, 3_000)']);
await new Promise(() => {});`;
    const file = slowChecker(context, waiting);
    const { pool } = await poolOf(context, { file, threads: 1, taskTimeoutMs: 1_500, birthTimeoutMs: 1_500 });
    await assert.rejects(pool.start());
    const begun = threads.length;
    await pool.stop();
    assert.deepEqual(
      threads.map(({ threadId }) => threadId),
      threads.map(() => -1),
      'a thread that has ended has the id -1',
    );
    assert.equal(threads.length, begun);
  });

  it('say so when they cannot start', async (context) => {
    const { pool } = await poolOf(context, {
      file: new URL('./absent.js', import.meta.url),
      taskTimeoutMs: 3000,
    });
    await assert.rejects(pool.start());
    await waitFor(() => pool.failed, { what: 'the pool to say that it failed', timeoutMs: 20_000 });
    assert.match(pool.failed ?? '', /do not respawn/);
  });
});
