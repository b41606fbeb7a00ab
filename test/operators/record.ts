/**
 * Asks the Teranode operator's own code, and writes its answers to `test/fixtures/teranode-operator.json`: by hand, when `conventions.ts` asks something
 * else or a newer operator is out, for its module is not to be had as one.
 *
 * Usage: node dist/test/operators/record.js <checkout of github.com/bsv-blockchain/teranode-operator>
 */

import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CASES, type Made } from './conventions.js';
import { run } from './tools.js';

const FIXTURE = 'test/fixtures/teranode-operator.json';
const SOURCE = 'test/operators/conventions';

const [checkout = ''] = process.argv.slice(2);
const commit = run('git', ['-C', checkout, 'rev-parse', 'HEAD']).trim();
const copy = mkdtempSync(join(tmpdir(), 'teranode-operator-'));
try {
  for (const part of ['go.mod', 'go.sum', 'api', 'internal'])
    cpSync(join(checkout, part), join(copy, part), { recursive: true });
  // What they ask is internal to it.
  mkdirSync(join(copy, 'cmd', 'conventions'), { recursive: true });
  cpSync(join(SOURCE, 'main.go'), join(copy, 'cmd', 'conventions', 'main.go'));
  cpSync(join(SOURCE, 'made.go'), join(copy, 'internal', 'controller', 'made.go'));
  run('go', ['build', '-buildvcs=false', '-o', 'conventions-of-operator', './cmd/conventions'], {
    cwd: copy,
  });
  const cases = Object.entries(CASES).map(([name, question]) => {
    const asked = question();
    const answer = run(join(copy, 'conventions-of-operator'), [], { input: JSON.stringify(asked) });
    return [name, { asked, ...(JSON.parse(answer) as Made) }];
  });
  const recorded = {
    operator: `github.com/bsv-blockchain/teranode-operator at ${commit}`,
    cases: Object.fromEntries(cases),
  };
  writeFileSync(FIXTURE, `${JSON.stringify(recorded, undefined, 2)}\n`);
} finally {
  rmSync(copy, { recursive: true, force: true });
}
