import assert from 'node:assert/strict';
import { test } from 'node:test';
import { monotonic } from '../../../src/shared/clock.js';
import { Lifecycle } from '../../../src/shared/lifecycle/lifecycle.js';
import type { Part } from '../../../src/shared/lifecycle/part.js';
import { keptLog } from '../../support/logger.js';

function recorded(name: string, calls: string[], failing: { start?: Error; stop?: Error } = {}): Part {
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

test('parts start in order and stop backwards', async () => {
  const calls: string[] = [];
  const parts = new Lifecycle([recorded('a', calls), recorded('b', calls)], keptLog().logger);
  await parts.start(new AbortController().signal);
  await parts.stop(monotonic() + 1000);
  assert.deepEqual(calls, ['start a', 'start b', 'stop b', 'stop a']);
});

test('a part that fails to start is stopped with those before it, and those after it never start', async () => {
  const calls: string[] = [];
  const failing = recorded('b', calls, { start: new Error('port taken') });
  const parts = new Lifecycle([recorded('a', calls), failing, recorded('c', calls)], keptLog().logger);
  await assert.rejects(parts.start(new AbortController().signal), /port taken/);
  await parts.stop(monotonic() + 1000);
  assert.deepEqual(calls, ['start a', 'start b', 'stop b', 'stop a']);
});

test('a part that fails to stop is logged and the others stop all the same', async () => {
  const calls: string[] = [];
  const { logger, lines } = keptLog();
  const parts = new Lifecycle(
    [recorded('a', calls), recorded('b', calls, { stop: new Error('stuck') })],
    logger,
  );
  await parts.start(new AbortController().signal);
  await parts.stop(monotonic() + 1000);
  assert.deepEqual(calls.slice(2), ['stop b', 'stop a']);
  assert.ok(lines.some((line) => line.part === 'b' && line.error === 'stuck'));
});

test('a part that never stops is left behind at the deadline', async () => {
  const calls: string[] = [];
  const { logger, lines } = keptLog();
  const hanging: Part = { name: 'hanging', start: async () => {}, stop: () => new Promise(() => {}) };
  const parts = new Lifecycle([recorded('a', calls), hanging], logger);
  await parts.start(new AbortController().signal);
  await parts.stop(monotonic());
  assert.deepEqual(calls, ['start a', 'stop a']);
  assert.ok(lines.some((line) => line.part === 'hanging' && line.error === 'took too long'));
});

test('parts stop being started when the signal is given', async () => {
  const calls: string[] = [];
  const controller = new AbortController();
  const aborting: Part = { name: 'aborting', start: async () => controller.abort() };
  const parts = new Lifecycle([aborting, recorded('b', calls)], keptLog().logger);
  await assert.rejects(parts.start(controller.signal), { name: 'AbortedError' });
  assert.deepEqual(calls, []);
});
