/** The archiver's process: begun where there is something to do, and again where it failed. */

import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Registry } from 'prom-client';
import { Archiving } from '../../../src/main/archive/archiving.js';
import { createArchiveMetrics } from '../../../src/main/archive/metrics.js';
import { Archive } from '../../../src/shared/archive/archive.js';
import { journalDirectory, segmentFiles, TestJournal } from '../../support/journal.js';
import { keptLog } from '../../support/logger.js';
import { waitFor } from '../../support/wait.js';

function archivingOf(context: TestContext, directory: string) {
  const log = keptLog();
  const registry = new Registry();
  const archive = new Archive({ directory });
  const archiving = new Archiving(
    { logger: log.logger, metrics: createArchiveMetrics(registry, () => archive.list()) },
    { directory: () => directory, cursors: 'node', logLevel: 'error', everyMs: 20 },
  );
  context.after(() => archiving.stop());
  const metric = async (name: string): Promise<number> => {
    const { values } = (await registry.getSingleMetric(`teranode_p2p_archive_${name}`)?.get()) ?? {
      values: [],
    };
    return values[0]?.value ?? Number.NaN;
  };
  /** Until all but the segment that is written to are archived. */
  const whole = () =>
    waitFor(() => archive.list().length === segmentFiles(directory).length - 1, { what: 'the archive' });
  return { archiving, archive, metric, whole, log };
}

function journal(directory: string): TestJournal {
  const test = new TestJournal(directory, { segmentBytes: 4000 });
  for (let n = 0; n < 60; n++) test.append([`${n}`]);
  assert.ok(segmentFiles(directory).length > 3);
  return test;
}

test('what is sealed is archived, what is sealed later too, and both are counted', async (context) => {
  const directory = journalDirectory(context);
  const { archiving, archive, metric, whole } = archivingOf(context, directory);
  // Before there is a journal, too.
  archiving.start();
  const made = journal(directory);
  await whole();
  const before = archive.list().length;
  for (let n = 0; n < 60; n++) made.append([`later ${n}`]);
  await whole();
  assert.ok(archive.list().length > before);
  assert.equal(await metric('segments'), archive.list().length);
  assert.equal(
    await metric('bytes'),
    archive.list().reduce((sum, { bytes }) => sum + bytes, 0),
  );
  assert.equal(await metric('failures_total'), 0);
  assert.deepEqual(await archiving.health(), {
    resource: 'archive',
    status: 200,
    message: 'sealed segments of the journal are archived',
  });
});

test('what cannot be written is told once, and tried until it can be', async (context) => {
  const directory = journalDirectory(context);
  const { archiving, metric, whole, log } = archivingOf(context, directory);
  journal(directory);
  // Where its folder is to be is a file.
  writeFileSync(join(directory, 'archive'), '');
  archiving.start();
  await waitFor(async () => (await metric('failures_total')) >= 2, { what: 'two attempts' });
  const { status, message } = await archiving.health();
  assert.equal(status, 200);
  assert.match(message, /not archived.*EEXIST|ENOTDIR/);
  rmSync(join(directory, 'archive'));
  await whole();
  await waitFor(() => log.lines.some(({ msg }) => msg === 'segments are archived again'), {
    what: 'the end of it',
  });
  const warnings = log.lines.filter(({ level }) => Number(level) >= 40);
  assert.deepEqual(
    warnings.map(({ msg }) => msg),
    ['segments of the journal are not archived'],
  );
  assert.match((await archiving.health()).message, /are archived$/);
});

test('a process that cannot be started, or ends at once, is followed by another', async (context) => {
  const directory = journalDirectory(context);
  const { archiving, metric, whole } = archivingOf(context, directory);
  journal(directory);
  const before = process.env.TERANODE_P2P_NODE;
  const restore = () => {
    if (before === undefined) delete process.env.TERANODE_P2P_NODE;
    else process.env.TERANODE_P2P_NODE = before;
  };
  context.after(restore);
  process.env.TERANODE_P2P_NODE = join(directory, 'no such program');
  archiving.start();
  await waitFor(async () => (await metric('failures_total')) >= 1, { what: 'a failure' });
  assert.match((await archiving.health()).message, /ENOENT/);
  process.env.TERANODE_P2P_NODE = `${process.execPath} --eval process.exit(1) --`;
  await waitFor(async () => /ended before/.test((await archiving.health()).message), {
    what: 'an early end',
  });
  restore();
  await whole();
});

test('stopped in the midst of it leaves what the next one finishes', async (context) => {
  const directory = journalDirectory(context);
  const large = new TestJournal(directory, { segmentBytes: 8 * 1_048_576 });
  for (let n = 0; n < 300; n++) large.append([`${n}`], { padding: 60_000 });
  const first = archivingOf(context, directory);
  first.archiving.start();
  await waitFor(() => first.archive.list().length > 0, { what: 'one archived', everyMs: 1 });
  await first.archiving.stop();
  const second = archivingOf(context, directory);
  second.archiving.start();
  await second.whole();
  assert.equal(await second.metric('failures_total'), 0);
});
