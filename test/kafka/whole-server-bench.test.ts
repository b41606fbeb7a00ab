/** Benchmark P0 through its command line, as it runs where there is no Go that it can use: what it measures of this server, not how fast that is. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Figure } from '../../bench/result.js';
import { temporaryDirectory } from '../support/temporary.js';

const PROGRAM = fileURLToPath(new URL('../../bench/run.js', import.meta.url));

test('P0 finds everything that was sent in Kafka and with the client, in two builds in turns, and says what Go it lacks', async (context) => {
  const folder = temporaryDirectory(context);
  writeFileSync(join(folder, 'go'), '#!/bin/sh\necho go1.1\n', { mode: 0o755 });
  const args = ['P0', '--runs', '1', '--seconds', '2', '--rates', '400', '--against', '.'];
  const child = spawn(process.execPath, [PROGRAM, ...args, '--name', 'p0', '--output', folder], {
    env: { ...process.env, PATH: `${folder}${delimiter}${process.env.PATH ?? ''}` },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const output of [child.stdout, child.stderr]) {
    output.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
  }
  const [code] = await once(child, 'close');
  assert.equal(code, 0, said);
  assert.match(said, /NOT RUN: the Go reference: Go 1.1 is on the path and is too old/);
  const text = readFileSync(join(folder, 'p0.json'), 'utf8');
  assert.ok(!text.includes(process.cwd()), 'says nothing of whose machine it is');
  const [{ dropped, figures }] = JSON.parse(text).results as [{ dropped: number; figures: Figure[] }];
  assert.equal(dropped, 0);
  const median = (name: string) => {
    const found = figures.find((figure) => figure.name === name);
    assert.ok(found !== undefined && Number.isFinite(found.median), `${name}: ${said}`);
    return found.median;
  };
  for (const subject of ['this server', 'the other build']) {
    const name = `400/s, ${subject}`;
    assert.equal(median(`${name}: lost on the way to Kafka`), 0);
    assert.equal(median(`${name}: lost on the way to the client`), 0);
    for (const way of ['to the client', 'into Kafka']) {
      const [p50, p99] = [median(`${name}: ${way}, p50`), median(`${name}: ${way}, p99`)];
      assert.ok(p99 >= p50, `${name} ${way}: ${p50} and ${p99} ms`);
    }
    for (const cost of ['sent', 'CPU', 'Kafka’s own CPU', 'memory after 2 s']) {
      assert.ok(median(`${name}: ${cost}`) > 0, `${name}: ${cost}`);
    }
  }
  assert.ok(median('400/s, CPU: this server to the other build') > 0);
});
