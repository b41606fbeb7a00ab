import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Stage, Stages } from '../../../src/main/server/stages.js';
import { monotonic } from '../../../src/shared/clock.js';
import { keptLog } from '../../support/logger.js';

function recorded(name: string, calls: string[], failing: { start?: Error; stop?: Error } = {}): Stage {
  return {
    name,
    async start() {
      calls.push(`start ${name}`);
      if (failing.start) throw failing.start;
    },
    async stop() {
      calls.push(`stop ${name}`);
      if (failing.stop) throw failing.stop;
    },
  };
}

test('stages start in order and stop backwards', async () => {
  const calls: string[] = [];
  const stages = new Stages([recorded('a', calls), recorded('b', calls)], keptLog().logger);
  await stages.start(new AbortController().signal);
  await stages.stop(monotonic() + 1000);
  assert.deepEqual(calls, ['start a', 'start b', 'stop b', 'stop a']);
});

test('a stage that fails to start is stopped with those before it, and those after it never start', async () => {
  const calls: string[] = [];
  const failing = recorded('b', calls, { start: new Error('port taken') });
  const stages = new Stages([recorded('a', calls), failing, recorded('c', calls)], keptLog().logger);
  await assert.rejects(stages.start(new AbortController().signal), /port taken/);
  await stages.stop(monotonic() + 1000);
  assert.deepEqual(calls, ['start a', 'start b', 'stop b', 'stop a']);
});

test('a stage that fails to stop is logged and the others stop all the same', async () => {
  const calls: string[] = [];
  const { logger, lines } = keptLog();
  const stages = new Stages(
    [recorded('a', calls), recorded('b', calls, { stop: new Error('stuck') })],
    logger,
  );
  await stages.start(new AbortController().signal);
  await stages.stop(monotonic() + 1000);
  assert.deepEqual(calls.slice(2), ['stop b', 'stop a']);
  assert.ok(lines.some((line) => line.stage === 'b' && line.error === 'stuck'));
});

test('a stage that never stops is left behind at the deadline', async () => {
  const calls: string[] = [];
  const { logger, lines } = keptLog();
  const hanging: Stage = { name: 'hanging', start: async () => {}, stop: () => new Promise(() => {}) };
  const stages = new Stages([recorded('a', calls), hanging], logger);
  await stages.start(new AbortController().signal);
  await stages.stop(monotonic());
  assert.deepEqual(calls, ['start a', 'stop a']);
  assert.ok(lines.some((line) => line.stage === 'hanging' && line.error === 'took too long'));
});

test('stages stop being started when the signal is given', async () => {
  const calls: string[] = [];
  const controller = new AbortController();
  const aborting: Stage = { name: 'aborting', start: async () => controller.abort() };
  const stages = new Stages([aborting, recorded('b', calls)], keptLog().logger);
  await assert.rejects(stages.start(controller.signal), { name: 'AbortedError' });
  assert.deepEqual(calls, []);
});
