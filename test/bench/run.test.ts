/** The harness of `npm run bench`, through its command line. What it measures is not judged here. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { resultLines } from '../../bench/report.js';
import { type Figure, figureOf } from '../../bench/result.js';
import { temporaryDirectory } from '../support/temporary.js';

const PROGRAM = fileURLToPath(new URL('../../bench/run.js', import.meta.url));
const benchIn = (env: NodeJS.ProcessEnv, ...args: string[]) =>
  spawnSync(process.execPath, [PROGRAM, ...args], { encoding: 'utf8', timeout: 180_000, env });
const bench = (...args: string[]) => benchIn(process.env, ...args);

test('one benchmark prints its figures against its aims and writes them with the machine', (context) => {
  const folder = temporaryDirectory(context);
  const { status, stdout, stderr } = bench('p9', '--runs', '1', '--name', 'smoke', '--output', folder);
  assert.equal(status, 0, stderr);
  assert.match(stdout, /P9 {2}Start to ready/);
  assert.match(stdout, /s to ready +[\d.]+ +≤ 2/);
  assert.match(stderr, /P9 {2}start 1 of 1/);
  const text = readFileSync(join(folder, 'smoke.json'), 'utf8');
  const { machine, results } = JSON.parse(text);
  assert.deepEqual(Object.keys(machine), [
    'cores',
    'cpu',
    'memoryGiB',
    'platform',
    'node',
    'commit',
    'loadBefore',
  ]);
  assert.equal(results[0].id, 'P9');
  assert.equal(results[0].dropped, 0);
  assert.ok(results[0].figures[0].median > 0);
  assert.ok(!text.includes(process.cwd()), 'says nothing of whose machine it is');
});

test('what one message costs is told for each thread, apart from an idle server, and every message arrives', (context) => {
  const folder = temporaryDirectory(context);
  const args = ['--runs', '1', '--seconds', '1', '--rates', '300', '--name', 'cost', '--output', folder];
  const { status, stdout, stderr } = bench('P3', ...args);
  assert.equal(status, 0, stdout + stderr);
  const [{ dropped, figures }] = JSON.parse(readFileSync(join(folder, 'cost.json'), 'utf8')).results as [
    { dropped: number; figures: Figure[] },
  ];
  assert.equal(dropped, 0);
  const median = (name: string) => figures.find((figure) => figure.name === name)?.median ?? Number.NaN;
  assert.ok(median('at 300/s: main') > 0, stdout);
  assert.ok(median('at 300/s: in all') > median('at 300/s: main'), stdout);
  assert.ok(median('while nothing comes: in all') > 0, stdout);
});

test('without Java what needs it is not run, said and counted, and nothing fails', (context) => {
  const folder = temporaryDirectory(context);
  const env = { ...process.env, PATH: folder, JAVA_HOME: '' };
  const { status, stdout, stderr } = benchIn(env, 'P0', 'P10', '--name', 'without', '--output', folder);
  assert.equal(status, 0, stderr);
  assert.match(stdout, /NOT RUN: all of it: .*Java/);
  assert.match(stdout, /^P0 +all of it +NOT RUN$/m);
  assert.match(stdout, /^P10 +all of it +NOT RUN$/m);
  assert.match(stdout, /not run for what this machine lacks: 2$/m);
  const { results } = JSON.parse(readFileSync(join(folder, 'without.json'), 'utf8'));
  for (const { figures, notRun } of results) {
    assert.deepEqual(figures, []);
    assert.equal(notRun.length, 1);
  }
});

test('what does not exist is a usage error, and help is none', () => {
  const wrong = [
    ...[['P99'], ['--runs', '0'], ['--seconds', 'x'], ['--fast'], ['--name', '../x']],
    ...[
      ['--rates', '0'],
      ['--rates', '100,'],
      ['--against', tmpdir()],
    ],
  ];
  for (const args of wrong) {
    const { status, stderr } = bench(...args);
    assert.equal(status, 2, args.join(' '));
    assert.match(stderr, /Usage: npm run bench/);
  }
  const { status, stdout } = bench('--help');
  assert.equal(status, 0);
  assert.match(stdout, /P4 {2}ban check/);
});

test('a figure is a median with its spread, and what was dropped is said', () => {
  assert.deepEqual(figureOf('x', 'ms', [3, 1, 2, 10]), {
    name: 'x',
    unit: 'ms',
    median: 2.5,
    min: 1,
    max: 10,
  });
  assert.throws(() => figureOf('x', 'ms', []), RangeError);
  const result = { id: 'P0', title: 'none', figures: [], ratios: [], dropped: 7, notes: [] };
  assert.match(resultLines(result).join('\n'), /DROPPED 7: this benchmark fails/);
});
