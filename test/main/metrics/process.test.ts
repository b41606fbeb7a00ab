import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import test from 'node:test';
import { promisify } from 'node:util';

/** Runs a process that is watched and has nothing to do for two seconds; answers its scrape and how often the kernel woke it. */
async function idleProcess(): Promise<{ wakeUps: number; text: string }> {
  const program = `
    const { Registry } = await import(${JSON.stringify(import.meta.resolve('prom-client'))});
    const { ProcessMetrics } = await import(${JSON.stringify(import.meta.resolve('../../../src/main/metrics/process.js'))});
    const registry = new Registry();
    const metrics = new ProcessMetrics({ registry });
    metrics.start();
    const nothing = () => new Promise((resolve) => setTimeout(resolve, 2000));
    await nothing();
    await registry.metrics();
    const before = process.resourceUsage().voluntaryContextSwitches;
    await nothing();
    const wakeUps = process.resourceUsage().voluntaryContextSwitches - before;
    console.log(JSON.stringify({ wakeUps, text: await registry.metrics() }));
    metrics.stop();
  `;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program]);
  return JSON.parse(stdout) as { wakeUps: number; text: string };
}

test('a process with nothing to do is hardly woken by what watches it, and is told to be on time', async () => {
  const { wakeUps, text } = await idleProcess();
  // Ten a second, and what Node's own threads do; a busy machine wakes a process less often, not more.
  assert.ok(wakeUps < 80, `woken ${wakeUps} times in two seconds`);
  const figure = (name: string) => Number(new RegExp(`^${name} (\\S+)`, 'm').exec(text)?.[1]);
  // Of twenty looks the most punctual one: this is not a question of the machine's other work.
  const least = figure('nodejs_eventloop_lag_min_seconds');
  assert.ok(least >= 0 && least < 0.008, `late by ${least} s at the least`);
  for (const name of ['max', 'mean', 'stddev', 'p50', 'p90', 'p99']) {
    assert.ok(figure(`nodejs_eventloop_lag_${name}_seconds`) >= 0, name);
  }
});
