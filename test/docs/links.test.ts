import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

const ROOT = new URL('../../../', import.meta.url);
const PAGES = [
  'README.md',
  'CONTRIBUTING.md',
  ...readdirSync(new URL('docs/', ROOT))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

test('every relative link and picture of the documentation leads somewhere', () => {
  for (const page of PAGES) {
    const base = new URL(page, ROOT);
    const links = [...readFileSync(base, 'utf8').matchAll(/\]\(([^)#\s]+)[^)]*\)/g)].map(
      ([, link = '']) => link,
    );
    for (const link of links.filter((each) => !/^[a-z]+:/.test(each))) {
      assert.ok(existsSync(new URL(link, base)), `${page}: ${link}`);
    }
  }
  assert.ok(PAGES.length > 6);
});

test('every path of the source that the map names is there', () => {
  const map = readFileSync(new URL('docs/architecture.md', ROOT), 'utf8');
  const paths = new Set(
    [...map.matchAll(/`((?:src|proto|bench|test)\/[\w./-]*)`/g)].map(([, path = '']) => path),
  );
  assert.ok(paths.size > 20);
  // Made by the build.
  paths.delete('src/shared/generated/');
  for (const path of paths) assert.ok(existsSync(new URL(path, ROOT)), path);
});
