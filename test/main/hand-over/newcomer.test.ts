import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { lstatSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { HandOverAnswer } from '../../../src/main/control/hand-over.js';
import { type ControlHandlers, controlSocketPath } from '../../../src/main/control/protocol.js';
import { ControlServer } from '../../../src/main/control/server.js';
import { DataDirectory } from '../../../src/main/data-directory/data-directory.js';
import { AskedByFile } from '../../../src/main/hand-over/files.js';
import { Newcomer } from '../../../src/main/hand-over/newcomer.js';
import { Tenure } from '../../../src/main/hand-over/tenure.js';
import { monotonic } from '../../../src/shared/clock.js';
import { ConfigurationError } from '../../../src/shared/errors.js';
import { keptLog } from '../../support/logger.js';
import { temporaryDirectory } from '../../support/temporary.js';

const WAIT_MS = 200;

/** A directory whose holder answers `handOver` so. */
async function held(context: TestContext, handOver: (request: unknown) => unknown) {
  const path = temporaryDirectory(context);
  const holder = new DataDirectory(path);
  await holder.open();
  const { logger } = keptLog();
  const handlers = { handOver } as unknown as ControlHandlers;
  const control = new ControlServer({ logger, handlers }, { socketPath: controlSocketPath(path) });
  await control.start();
  context.after(async () => {
    await control.stop();
    await holder.close();
  });
  return { path, holder, control };
}

/** The directory at `path`, opened by a newcomer that waits for `WAIT_MS`. */
async function openedBy(
  context: TestContext,
  path: string,
  tenure = new Tenure({ waitMs: WAIT_MS, version: 'new' }),
): Promise<DataDirectory> {
  const directory = new DataDirectory(path);
  context.after(() => directory.close());
  const { logger } = keptLog();
  const newcomer = new Newcomer(
    { tenure, logger, prepare: async () => {} },
    directory.path,
    new AbortController().signal,
  );
  await directory.open(() => newcomer.held());
  newcomer.end();
  return directory;
}

const OLD: HandOverAnswer = { granted: true, name: 'old', pod: 'old', version: 'old' };

/** Whether `tenure` knows that it has the directory from the pod that {@link OLD} names, whose container does not get it back. */
function isFromOld(tenure: Tenure): boolean {
  const { request } = new Tenure({ waitMs: 1, version: 'old', pod: 'old' });
  const answer = tenure.judge({ ...request, confirmed: true }, { stopping: false });
  return !answer.granted && answer.refusal === 'not to you';
}

test('one that has said that it hands over is waited for longer than one that has not: else it would do so for nobody', async (context) => {
  const answer: HandOverAnswer = { granted: true, name: 'old', pod: '', version: 'old' };
  let given = 0;
  let gone: Promise<void> | undefined;
  const { path, holder, control } = await held(context, (request) => {
    if ((request as { confirmed: boolean }).confirmed) {
      gone ??= new Promise<void>((resolve) => setTimeout(resolve, 10 * WAIT_MS)).then(async () => {
        await holder.close();
        given = monotonic();
        await control.stop();
      });
    }
    return answer;
  });
  const directory = await openedBy(context, path);
  assert.equal(directory.store.status, 'open');
  assert.ok(given > 0);
  await gone;
});

test('whoever was told that the directory is wanted for certain has given it, also where its answer got lost', async (context) => {
  const { path, holder, control } = await held(context, async (request) => {
    if ((request as { confirmed: boolean }).confirmed) {
      await holder.close();
      // Which ends the connection before the answer is on it.
      await control.stop();
    }
    return OLD;
  });
  const tenure = new Tenure({ waitMs: WAIT_MS, version: 'new', pod: 'new' });
  await openedBy(context, path, tenure);
  assert.ok(isFromOld(tenure));
});

test('whoever was asked by file has given it, also where the directory was free before its answer was read', async (context) => {
  const path = temporaryDirectory(context);
  const holder = new DataDirectory(path);
  await holder.open();
  context.after(() => holder.close());
  const answer = (): HandOverAnswer => {
    void holder.close();
    return OLD;
  };
  const asked = new AskedByFile({ logger: keptLog().logger, answer }, path);
  asked.start();
  context.after(() => asked.stop());
  const tenure = new Tenure({ waitMs: 60_000, version: 'new', pod: 'new' });
  await openedBy(context, path, tenure);
  assert.ok(isFromOld(tenure));
});

test('a directory that came free by itself is from nobody', async (context) => {
  const refusal: HandOverAnswer = { granted: false, refusal: 'busy', message: 'it stops' };
  const { path, holder } = await held(context, async (request) => {
    const { confirmed } = request as { confirmed: boolean };
    if (confirmed) await holder.close();
    return confirmed ? refusal : OLD;
  });
  const tenure = new Tenure({ waitMs: WAIT_MS, version: 'new', pod: 'new' });
  await openedBy(context, path, tenure);
  assert.ok(!isFromOld(tenure));
});

test('an answer that is none counts as no answer', async (context) => {
  for (const answer of [{ granted: true }, { granted: 'yes' }, null, 7, { granted: false, refusal: 'off' }]) {
    const { path } = await held(context, () => answer);
    await assert.rejects(openedBy(context, path), (error) => {
      assert.ok(error instanceof ConfigurationError, String(error));
      assert.match(error.message, /did not hand it over .*it does not answer .*no answer about/);
      return true;
    });
  }
});

test('what is put in place of the files of the hand-over is neither written through nor waited for', (context) => {
  const directory = temporaryDirectory(context);
  const other = join(temporaryDirectory(context), 'other');
  writeFileSync(other, 'kept');
  mkdirSync(join(directory, 'hand-over'));
  const ask = join(directory, 'hand-over', 'ask');
  symlinkSync(other, ask);
  const { logger, lines } = keptLog();
  const answer = () => assert.fail('nobody asks');
  const start = (): void => {
    const asked = new AskedByFile({ logger, answer }, directory);
    asked.start();
    asked.stop();
  };
  start();
  assert.equal(readFileSync(other, 'utf8'), 'kept');
  assert.ok(lstatSync(ask).isSymbolicLink());
  execFileSync('rm', [ask]);
  execFileSync('mkfifo', [ask]);
  start();
  assert.equal(lines.filter(({ msg }) => /over its socket alone/.test(String(msg))).length, 2);
});
