/** The harness of `npm run bench`, through its command line. What it measures is not judged here. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
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
  assert.match(stdout, /s to ready +[\d.]+ +≤ 1\.5/);
  assert.match(stdout, /teranode-p2p health +[\d.]+ +CPU ms/);
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
  // Nothing, on a fast machine whose kernel counts in steps of 10 ms.
  assert.ok(median('while nothing comes: in all') >= 0, stdout);
});

test('how late main is is told idle and under load, and every message arrives', (context) => {
  const folder = temporaryDirectory(context);
  const args = ['--runs', '1', '--seconds', '1', '--rates', '300', '--name', 'late', '--output', folder];
  const { status, stdout } = bench('P7', ...args);
  assert.equal(status, 0, stdout);
  const [{ dropped, figures }] = JSON.parse(readFileSync(join(folder, 'late.json'), 'utf8')).results as [
    { dropped: number; figures: Figure[] },
  ];
  assert.equal(dropped, 0);
  const median = (name: string) => figures.find((figure) => figure.name === name)?.median ?? Number.NaN;
  for (const name of ['at 300/s', 'while nothing comes']) {
    assert.ok(median(`${name}, max`) >= median(`${name}, p99`), stdout);
    assert.ok(median(`${name}, p99`) >= median(`${name}, p50`), stdout);
  }
  assert.match(stdout, /^P7 +ms late, p99 +[\d.]+ +≤ 20 /m);
});

test('1, 2 and 3 checkers take messages, lose none, and say what limits them', (context) => {
  const folder = temporaryDirectory(context);
  const args = ['--runs', '1', '--seconds', '1', '--name', 'checkers', '--output', folder];
  const { status, stdout } = bench('P8', ...args);
  assert.equal(status, 0, stdout);
  const [{ dropped, figures, notes }] = JSON.parse(readFileSync(join(folder, 'checkers.json'), 'utf8'))
    .results as [{ dropped: number; figures: Figure[]; notes: string[] }];
  assert.equal(dropped, 0);
  const median = (name: string) => figures.find((figure) => figure.name === name)?.median ?? Number.NaN;
  for (const name of ['1 checker', '2 checkers', '3 checkers', '1 checker: checkers']) {
    assert.ok(median(name) > 0, `${name}: ${stdout}`);
  }
  assert.ok(
    median('model of 16 cores, the sender elsewhere') >= median('model of 4 cores, the sender elsewhere'),
  );
  assert.match(notes.join('\n'), /^3 checkers, .* (is saturated|are shared out)/m);
  assert.match(notes.join('\n'), /^model of 16 cores: what ends first is /m);
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
      ['--beside', tmpdir()],
      ['--table', tmpdir()],
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

test('a file of results becomes the tables of the documentation', (context) => {
  const file = join(temporaryDirectory(context), 'p0.json');
  const figure = (name: string, samples: number[]) => figureOf(name, 'x', samples);
  const results = [
    {
      ...{ id: 'P0', title: '', dropped: 0, notes: [] },
      figures: [
        figure('1000/s, this server: CPU', [500, 510, 2000]),
        figure('1000/s, this server: to the client, p50', [2, 2]),
        figure('1000/s, Go reference: CPU', [250]),
        figure('1000/s, CPU: this server to Go reference', [2, 4]),
      ],
      ratios: [{ name: '1000/s, CPU', value: 2.04, aim: '≤ 1', met: false }],
    },
    {
      ...{ id: 'P4', title: '', dropped: 0, notes: [], figures: [] },
      ratios: [{ name: 'to 10', value: 1.5 }],
    },
  ];
  writeFileSync(file, JSON.stringify({ results }));
  const { status, stdout } = bench('--table', file);
  assert.equal(status, 0);
  assert.match(stdout, /^\| messages\/s \| {2}\| lost to Kafka, % \|/m);
  assert.match(
    stdout,
    /^\| 1,000 \| this server \| {2}\| {2}\| 510 \(500 – 2,000\) \| {2}\| 2 \| {2}\| {2}\| {2}\| {2}\|$/m,
  );
  assert.match(stdout, /^\| 1,000 \| Go reference \| {2}\| {2}\| 250 \|/m);
  assert.match(stdout, /^\| 1,000 \| Go reference \| 3 \(2 – 4\) \|$/m);
  assert.match(stdout, /^\| P0 \| 1000\/s, CPU \| 2.04 \| ≤ 1 \| \*\*not met\*\* \|$/m);
  assert.match(stdout, /^\| P4 \| to 10 \| 1.5 \| – \| {2}\|$/m);
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
