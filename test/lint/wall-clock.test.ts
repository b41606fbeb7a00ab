import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { temporaryDirectory } from '../support/temporary.js';

const BIOME = createRequire(import.meta.url).resolve('@biomejs/biome/bin/biome');

test('the linter takes the time of day nowhere but in the module of clocks, and no duration by it in tests', (context) => {
  const directory = temporaryDirectory(context);
  const { vcs: _, $schema: _schema, ...rules } = JSON.parse(readFileSync('biome.json', 'utf8'));
  writeFileSync(join(directory, 'biome.json'), JSON.stringify(rules));
  cpSync('lint', join(directory, 'lint'), { recursive: true });
  const files: Readonly<Record<string, string>> = {
    'src/now.ts': 'export const t = Date.now();',
    'src/new.ts': 'export const t = new Date();',
    'src/bare.ts': 'export const t = Date();',
    'src/handed.ts': 'export const clock = { now: Date.now };',
    'src/taken.ts': 'export const { now } = Date;',
    'src/global.ts': 'export const t = globalThis.Date.now();',
    'bench/now.ts': 'export const t = Date.now();',
    'bin/now.mjs': 'export const t = Date.now();',
    'test/duration.ts': 'const began = Date.now();\nexport const ms = () => Date.now() - began;',
    'src/shared/clock.ts': 'export const t = Date.now();',
    'src/date.ts': 'export const t = new Date(5);',
    'test/date.ts': 'export const t = Date.now() + 60_000;',
  };
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), `${text}\n`);
  }
  const { stdout } = spawnSync(
    process.execPath,
    [BIOME, 'lint', '--reporter=json', '--max-diagnostics=100'],
    {
      cwd: directory,
      encoding: 'utf8',
    },
  );
  const { diagnostics } = JSON.parse(stdout) as {
    diagnostics: { category: string; severity: string; location: { path: unknown } }[];
  };
  const found = diagnostics
    .filter(({ category, severity }) => category === 'plugin' && severity === 'error')
    .map(({ location }) => String((location.path as { file?: string }).file ?? location.path));
  const allowed = ['src/shared/clock.ts', 'src/date.ts', 'test/date.ts'];
  assert.deepEqual(
    [...new Set(found)].sort(),
    Object.keys(files)
      .filter((path) => !allowed.includes(path))
      .sort(),
  );
});
