/** P11 to P14 with few of everything: that all arrives and each figure is told, not what it is. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { run as runEvents } from '../../bench/events.js';
import { run as runFilters } from '../../bench/filters.js';
import { run as runRenderings } from '../../bench/renderings.js';
import { run as runReplay } from '../../bench/replay.js';
import type { BenchmarkResult } from '../../bench/result.js';
import { markdownOf } from '../../bench/tables.js';

const options = { runs: 1, seconds: 1, progress: () => {} };

function check({ id, figures, ratios, dropped }: BenchmarkResult, aims: number): void {
  assert.equal(dropped, 0, id);
  for (const { name, unit, median } of figures) assert.ok(median > 0, `${id}, ${name}: ${median} ${unit}`);
  assert.equal(ratios.filter(({ aim }) => aim !== undefined).length, aims, id);
  for (const { name, value } of ratios) assert.ok(Number.isFinite(value), `${id}, ${name}`);
}

describe('the benchmarks of the feed', () => {
  it('replay what was written, to one and to many, and live frames beside it', async () => {
    check(await runReplay(options, { one: 20_000, each: 500, live: 20 }), 3);
  });

  it('filter, and deliver every frame to everybody', async () => {
    const result = await runFilters(options, { clients: 200, bursts: 2 });
    check(result, 3);
    const lines = markdownOf([result]);
    assert.equal(lines[0], '| P12 | deliveries/s | CPU µs/delivery |');
    assert.match(lines[2] ?? '', /^\| no filter \| [\d,]+ \| [\d.]+ \|$/);
  });

  it('render each form, of which a packed one is smaller', async () => {
    const result = await runRenderings(options, 50);
    check(result, 1);
    const packed = result.ratios.find(({ aim }) => aim !== undefined);
    assert.ok(Number(packed?.value) < 1);
  });

  it('send events beside WebSockets', async () => {
    check(await runEvents(options, 50), 2);
  });
});
