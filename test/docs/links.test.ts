import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

const ROOT = new URL('../../../', import.meta.url);
const PAGES = [
  'README.md',
  'CONTRIBUTING.md',
  ...readdirSync(new URL('docs/', ROOT), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

/** What a heading is reached by: as GitHub makes it. */
const anchorOf = (heading: string): string =>
  heading
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replace(/\s/g, '-');
const anchorsOf = (text: string): Set<string> =>
  new Set(
    [...text.replace(/```[\s\S]*?```/g, '').matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
      anchorOf(heading),
    ),
  );

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

test('every link to a heading has that heading', () => {
  let count = 0;
  for (const page of PAGES) {
    const base = new URL(page, ROOT);
    const text = readFileSync(base, 'utf8');
    for (const [, path = '', anchor = ''] of text.matchAll(/\]\(([^)#\s]*)#([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(path) || (path !== '' && !path.endsWith('.md'))) continue;
      const target = path === '' ? text : readFileSync(new URL(path, base), 'utf8');
      assert.ok(anchorsOf(target).has(anchor), `${page}: ${path}#${anchor}`);
      count++;
    }
  }
  assert.ok(count > 10, `${count} links`);
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
