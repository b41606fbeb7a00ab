import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

const ROOT = new URL('../../../', import.meta.url);

test('every promise names tests that are there, and every test named has tests in it', () => {
  const page = readFileSync(new URL('docs/guarantees.md', ROOT), 'utf8');
  const named = new Set([...page.matchAll(/`([\w/-]+\.test\.ts)`/g)].map(([, path = '']) => path));
  assert.ok(named.size > 30, `${named.size} files`);
  for (const path of named) {
    const file = new URL(`test/${path}`, ROOT);
    assert.ok(existsSync(file), path);
    assert.match(readFileSync(file, 'utf8'), /\b(?:test|it)\(/, path);
  }
  const promises = page
    .split('## Not promised')[0]!
    .split('\n')
    // Rows of tables, without the two lines of their heads.
    .filter((line, index, lines) => /^\| [^-]/.test(line) && !/^\| -/.test(lines[index + 1] ?? ''));
  assert.ok(promises.length > 70, `${promises.length} promises`);
  for (const promise of promises) assert.match(promise, /\.test\.ts`/, promise);
});
